"""The six plots of docs/robustness.md: which conditions each shows, and in what words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Panel:
    """One plot and its section.

    Attributes:
        title: of both.
        axis: what the levels are.
        conditions: names in the report, and how they are called.
        intact: what the intact clip is called among the levels.
        what: how it is made, with the settings' names in braces.
        intact_level: where the intact clip stands among numbers; it comes first where None.
    """

    title: str
    axis: str
    conditions: Mapping[str, str]
    intact: str
    what: str
    intact_level: float | None = None


PANELS = (
    Panel(
        title="Noise",
        axis="signal-to-noise ratio, dB",
        conditions={"white_noise": "white", "pink_noise": "pink", "speech_noise": "like speech"},
        intact="none",
        what="Gaussian noise, white, pink (3 dB less an octave above 50 Hz), or of the clip's own spectrum. The ratio is of root "
        "mean squares over the whole clip, as in training's augmented copies; the recording's own noise comes on top.",
    ),
    Panel(
        title="Level",
        axis="gain, dB",
        conditions={"gain": ""},
        intact="0",
        what="The clip softer or louder, rounded to 16 bits and clipped at full scale as a recorder does: a soft recording loses "
        "its lowest bits for good.",
        intact_level=0.0,
    ),
    Panel(
        title="Telephone",
        axis="band",
        conditions={"band": ""},
        intact="full",
        what="Wideband keeps 50 to 7000 Hz; narrowband keeps 300 to 3400 Hz at 8 kHz, in the 8 bits of G.711's mu-law.",
    ),
    Panel(
        title="MP3",
        axis="kbit/s",
        conditions={"mp3": ""},
        intact="none",
        what="Encoded by LAME at a constant bitrate, mono at the rate that the model hears, and decoded again.",
    ),
    Panel(
        title="Length",
        axis="first seconds of speech",
        conditions={"length": ""},
        intact="whole",
        what="Nothing but the beginning of the speech: no silence before it ({speech_db:g} dB below its loudest), nothing after "
        "it. A clip that ends earlier loses that silence alone.",
    ),
    Panel(
        title="Reverberation",
        axis="reverberation time T60, s",
        conditions={"reverberation": ""},
        intact="0",
        what="A synthetic room: the direct sound, then noise that decays evenly. In energy the direct sound stands {direct_db:g} "
        "dB over all of that noise; the result is as long and as loud as the clip.",
        intact_level=0.0,
    ),
)


def points(report: Mapping[str, Any], panel: Panel, condition: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Levels of one condition by the names that they are shown with, the intact clip among them, and their figures."""
    levels = list(report["conditions"].get(condition, ()))
    shown = [(_name(scores["level"]), scores) for scores in levels]
    before = 0 if panel.intact_level is None else sum(scores["level"] < panel.intact_level for scores in levels)
    return [*shown[:before], (panel.intact, report["intact"]), *shown[before:]]


def _name(level: float | str) -> str:
    return level if isinstance(level, str) else f"{level:g}"
