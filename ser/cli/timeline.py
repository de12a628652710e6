"""`ser timeline`: how the emotion goes over time."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ser.cli.options import load_predictor, load_profile, model_option, names_of, profile_option, trained_on
from ser.cli.text import path_text, printable

if TYPE_CHECKING:
    from ser.predictor import Predictor
    from ser.profile import Profile
    from ser.timeline import TimelinePoint

_SUFFIXES = {".csv": "csv", ".json": "json", ".textgrid": "textgrid", ".rttm": "rttm"}
_LEVELS = " ▁▂▃▄▅▆▇█"
_MOST_COLUMNS = 100
EPILOG = """\b
Examples:
  ser timeline interview.mp3
  ser timeline interview.mp3 --out interview.TextGrid      to open in Praat
  ser timeline interview.mp3 --format json | jq .

Formats: csv, json, textgrid (Praat), rttm (diarisation tools). On a terminal, without
--format or --out, there is a picture instead; elsewhere csv."""


@click.command(short_help="Follow the emotion through a recording.", epilog=EPILOG)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--format", "style", type=click.Choice(list(_SUFFIXES.values()), case_sensitive=False), help="What to write.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to; its suffix gives the format.")
@click.option("--window-s", type=click.FloatRange(0.5, 30), help="Length of the stretch that is judged at a time.")
@click.option("--hop-s", type=click.FloatRange(0.1, 30), help="Step from one stretch to the next.")
@model_option
@profile_option
def timeline(
    path: Path,
    style: str | None,
    out: Path | None,
    window_s: float | None,
    hop_s: float | None,
    model: str | None,
    profile_path: Path | None,
) -> None:
    """Follow the emotion through a recording of up to two hours.

    Overlapping stretches are judged one by one and smoothed; those without speech are left out.
    """
    style = style or _style_of(out)
    predictor = load_predictor(model)
    profile = load_profile(profile_path, predictor)
    points = _points(path, predictor, profile, {"window_s": window_s, "hop_s": hop_s})
    (name,) = names_of([predictor.folder])
    corpora = trained_on(predictor)
    if style is None:
        _draw(path, predictor.emotions, list(points), f"{name}: trained on {corpora}")
        return
    _write(style, out, path, points)
    if corpora.startswith("synthetic"):  # a TextGrid and an RTTM have no place for it
        click.echo(f"{printable(name)}: trained on {corpora}", err=True)


def _style_of(out: Path | None) -> str | None:
    """The format to write: by the suffix of --out; None draws."""
    if out is None:
        return None if sys.stdout.isatty() else "csv"
    if out.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"--out {path_text(str(out))}: name it {', '.join(_SUFFIXES)}, or say --format.")
    return _SUFFIXES[out.suffix.lower()]


def _points(path: Path, predictor: "Predictor", profile: "Profile | None", given: dict) -> "Iterator[TimelinePoint]":
    from ser.recording import open_recording
    from ser.timeline import TimelineParams, timeline_of

    known = {name: value for name, value in given.items() if value is not None}
    if "window_s" in known:
        known["first_s"] = min(TimelineParams.first_s, known["window_s"])  # it may not be longer than the window
    params = TimelineParams(**known)
    with open_recording(path, predictor.audio) as recording:
        yield from timeline_of(recording, predictor, params, profile)


def _write(style: str, out: Path | None, path: Path, points: "Iterator[TimelinePoint]") -> None:
    from ser.timeline_formats import render, write_timeline

    name = path_text(path.stem)
    if out is None:
        click.echo(render(points, style, name), nl=False)
    else:
        write_timeline(out, points, style, name)


def _draw(path: Path, emotions: Sequence[str], points: "Sequence[TimelinePoint]", about: str) -> None:
    """A curve for each emotion, then the stretches of one verdict."""
    from ser.timeline_formats import SILENCE, segments_of

    columns = max(10, min(shutil.get_terminal_size().columns - 12, _MOST_COLUMNS, len(points)))
    click.echo(f"{printable(path_text(str(path)))}, {points[-1].end_s:.1f} s; {printable(about)}")
    for code, emotion in enumerate(emotions):
        click.echo(f"{emotion:<10} {curve([float(p.probabilities[code]) if p.speech else None for p in points], columns)}")
    for segment in segments_of(points):
        said = f"{segment.label:<10} {segment.confidence:.0%}" if segment.label != SILENCE else "no speech"
        click.echo(f"{segment.start_s:7.1f} to {segment.end_s:6.1f} s  {said}")


def curve(values: Sequence[float | None], columns: int) -> str:
    """Probabilities as at most so many letters, each as high as the mean of its part; a space where nobody speaks."""
    n_parts = min(columns, len(values))
    parts = [values[part * len(values) // n_parts : (part + 1) * len(values) // n_parts] for part in range(n_parts)]
    return "".join(_level([value for value in part if value is not None]) for part in parts)


def _level(values: Sequence[float]) -> str:
    if not values:
        return " "
    return _LEVELS[max(1, round(sum(values) / len(values) * (len(_LEVELS) - 1)))]
