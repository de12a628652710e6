"""`ser record`: from the microphone to an emotion."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ser.cli.options import load_predictor, load_profile, model_option, names_of, profile_option, trained_on

if TYPE_CHECKING:
    import numpy as np

EPILOG = """\b
Examples:
  ser record
  ser record --seconds 8 --save me.wav
  ser record --profile anna.json"""


@click.command(short_help="Record from the microphone and predict.", epilog=EPILOG)
@click.option("--seconds", type=click.FloatRange(0.5, 60), default=5.0, show_default=True, help="How long to listen.")
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Keep the recording as this wav file.")
@click.option("--json", "style", flag_value="json", help="One JSON object.")
@model_option
@profile_option
def record(seconds: float, save: Path | None, style: str | None, model: str | None, profile_path: Path | None) -> None:
    """Record from the microphone and say which emotion it expresses."""
    from ser.cli.answering import Answer
    from ser.cli.clips import Clip
    from ser.cli.microphone import record_samples
    from ser.cli.output import Row, writer
    from ser.recording import samples_to_signal

    predictor = load_predictor(model)  # before anybody speaks in vain
    profile = load_profile(profile_path, predictor)
    rate_hz = predictor.audio.sampling_rate_hz
    click.echo(f"speak: recording {seconds:g} s", err=True)
    samples = record_samples(seconds, rate_hz)
    if save:
        _save(save, samples, rate_hz)
    prediction = predictor.predict(samples_to_signal(samples, rate_hz, predictor.audio), profile)
    (name,) = names_of([predictor.folder])
    out = writer(style, {name: trained_on(predictor)}, predictor.emotions)
    out.write(Row(Clip(str(save) if save else "microphone"), None, (Answer(name, prediction.as_dict()),)))
    out.end()


def _save(path: Path, samples: "np.ndarray", sampling_rate_hz: int) -> None:
    import wave

    from ser.files import replacing

    with replacing(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sampling_rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
