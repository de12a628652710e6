"""`ser enroll`: a few clips of one speaker to a profile."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ser.cli.clips import Clip, find_clips
from ser.cli.options import load_predictor, model_option, names_of
from ser.cli.text import path_text, printable, sentence
from ser.errors import SerError

if TYPE_CHECKING:
    import numpy as np

    from ser.audio import AudioParams

_LONGEST_S = 60.0  # of one clip: the mean over a minute is as good as that over an hour
EPILOG = """\b
Examples:
  ser enroll anna/*.wav --out anna.json
  ser predict new.wav --profile anna.json

Take five to ten clips, of different moods if you have them. No emotion needs to be known.
The profile holds averages of pitch, loudness and voice quality, no audio."""


class EnrollError(SerError):
    """Clips that cannot be enrolled."""


@click.command(short_help="Learn a speaker's voice from a few clips.", epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="FILE|FOLDER...", type=click.Path())
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The profile to write: anna.json.")
@model_option
def enroll(inputs: tuple[str, ...], out: Path, model: str | None) -> None:
    """Learn how a speaker usually sounds, so that predictions tell their mood from their voice.

    The profile works with the model it was made with. Of clips over a minute, the first minute is used.
    """
    predictor = load_predictor(model)
    clips = find_clips(inputs)
    signals = [_signal(clip, predictor.audio) for clip in clips]
    predictor.profile(signals).save(out)
    seconds = sum(len(signal) for signal in signals) / predictor.audio.sampling_rate_hz
    (name,) = names_of([predictor.folder])
    click.echo(f"{printable(path_text(str(out)))}: {len(clips)} clips, {seconds:.0f} s, for {name}", err=True)


def _signal(clip: Clip, params: "AudioParams") -> "np.ndarray":
    """The clip, or its first minute; one that cannot be used is an error, since leaving it out might go unnoticed."""
    try:
        if clip.problem:
            raise EnrollError(clip.problem)
        return _first_minute(Path(clip.path), params)
    except (SerError, OSError) as error:
        name, reason = printable(path_text(clip.path)), sentence(error, clip.path)
        raise EnrollError(f"{name}: {reason}; nothing was written, name only clips that are usable") from None


def _first_minute(path: Path, params: "AudioParams") -> "np.ndarray":
    import numpy as np

    from ser.recording import open_recording

    longest = round(_LONGEST_S * params.sampling_rate_hz)
    parts, n_samples = [], 0
    with open_recording(path, params) as recording:
        for block in recording.blocks():
            parts.append(block)
            n_samples += len(block)
            if n_samples >= longest:
                break
    return np.concatenate(parts)[:longest]
