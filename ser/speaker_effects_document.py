"""What voices and microphones do to a result, as a document."""

from collections.abc import Iterator, Mapping
from typing import Any

from ser.speaker_effects import CONDITIONS

_HEAD = """# What voices and microphones do to a result

Written by `python -m benchmarks.run speakers`, from the features of the pipeline.

Why is one corpus harder than another on an unheard voice? Each line is one corpus. *Tilt* is the level above 4 kHz against that
between 300 Hz and 2 kHz in a clip's loud frames, *range* the loud frames over the quiet ones, both as medians over a speaker's
clips: where they differ widely between speakers, so did the microphones, rooms or converters. *Speaker* and *emotion* are the
shares, in percent, of a prosodic column's variance between speakers and between emotions (eta squared, median over columns);
*columns* is the share of columns that tell the speaker better than the emotion. The last three are the UAR, in percent, of a
linear discriminant on the prosodic columns of each speaker in turn, trained on all others of the corpus: a single clip, nothing
known; the speaker's mean known from {clips} other unlabelled clips; and from all the speaker's other clips.
"""


def as_markdown(report: Mapping[str, Any]) -> str:
    """The document."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield _HEAD.format(clips=report["enrolment_clips"])
    if report["synthetic_demo_voices"]:
        yield "All figures are of **synthetic demo voices** and mean nothing about people.\n"
    measures = ("tilt, least to most, dB", "range, dB", "speaker", "emotion", "columns")
    header = ["corpus", "speakers", *measures, *CONDITIONS]
    yield from (f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header)))
    for name, corpus in report["corpora"].items():
        tilts = [speaker["tilt_db"] for speaker in corpus["speakers"].values()]
        ranges = [speaker["range_db"] for speaker in corpus["speakers"].values()]
        cells = [
            name, f"{len(tilts)}", f"{min(tilts):.0f} to {max(tilts):.0f}", f"{min(ranges):.0f} to {max(ranges):.0f}",
            *(f"{100 * corpus['variance'][key]:.0f}" for key in ("speaker", "emotion", "columns_of_speaker")),
            *(f"{100 * corpus['uar'][condition]:.1f}" for condition in CONDITIONS),
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"
    name = report["shown"]
    yield f"\n## {name}, speaker by speaker\n"
    header = ["speaker", "tilt, dB", "range, dB", *CONDITIONS]
    yield from (f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header)))
    for speaker, scores in report["corpora"][name]["speakers"].items():
        uars = " | ".join(f"{100 * scores[condition]:.1f}" for condition in CONDITIONS)
        yield f"| {speaker} | {scores['tilt_db']:.1f} | {scores['range_db']:.1f} | {uars} |"
