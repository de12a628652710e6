"""`ser predict`: files and folders to emotions."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import click

from ser.cli import workers
from ser.cli.answering import Answer, Answerer
from ser.cli.clips import STDIN, Clip, find_clips
from ser.cli.options import models_option, profile_option

_WORTH_A_PROCESS = 24  # clips; starting a process and loading a model takes as long as predicting about that many
_DIED = "the process that read it crashed or was killed (out of memory?); try it alone, or convert it to wav"
EPILOG = """\b
Examples:
  ser predict clip.wav
  ser predict data/raw/emodb data/raw/tess      with accuracy, since their names tell the emotion
  ser predict recordings --csv > result.csv
  ser predict clip.wav --model cnn --model hybrid
  ffmpeg -i film.mkv -f wav - | ser predict -
  ser predict -- -odd-name.wav

Without --json or --csv there is a table on a terminal, and tab-separated lines elsewhere.
--json gives one object a line for each clip and model. A file that cannot be used does not
stop the rest: it is listed with the reason, and the exit code is 1."""


@click.command(short_help="Say which emotion clips express, and how sure that is.", epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="FILE|FOLDER...", type=click.Path(allow_dash=True))
@models_option
@click.option("--json", "style", flag_value="json", help="One JSON object a line for each clip and model.")
@click.option("--csv", "style", flag_value="csv", help="CSV with a column for each emotion.")
@profile_option
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: one for a few clips, else one a core.")
@click.option("--recursive/--no-recursive", default=True, show_default=True, help="Look into folders within folders.")
@click.pass_context
def predict(
    ctx: click.Context,
    inputs: tuple[str, ...],
    models: tuple[str, ...],
    style: str | None,
    profile_path: Path | None,
    jobs: int | None,
    recursive: bool,
) -> None:
    """Say which emotion each clip expresses, and how sure that is.

    Takes wav, mp3, flac, ogg, opus and aiff, and m4a and webm if ffmpeg is installed; any sampling rate and number of
    channels. `-` reads one clip from the standard input.
    """
    if len(models) > 1 and profile_path:
        raise click.UsageError("--profile belongs to one model; give one --model with it.")
    if STDIN in inputs and _is_terminal(sys.stdin):
        raise click.UsageError("`-` reads audio from the standard input, which is a terminal; pipe a clip into it.")
    from ser.bundle import find_bundle

    clips = find_clips(inputs, recursive)
    folders = tuple(dict.fromkeys(find_bundle(name) for name in models or (None,)))
    if not show(clips, folders, profile_path, style, jobs):
        ctx.exit(1)


def show(
    clips: Sequence[Clip], folders: tuple[Path, ...], profile_path: Path | None, style: str | None, jobs: int | None
) -> bool:
    """Predict and print; whether every clip got its answers."""
    from ser.cli.output import Row, writer
    from ser.known_labels import known_label

    answerer = Answerer.load(folders, profile_path)
    emotions = dict.fromkeys(emotion for predictor in answerer.predictors.values() for emotion in predictor.emotions)
    out = writer(style, answerer.trained_on, tuple(emotions))
    make = partial(Answerer.load, folders, profile_path)
    n_failed = 0
    with _progress(clips, out.streams) as bar, closing(answers(clips, answerer, make, processes(clips, jobs))) as answered:
        for clip, answer in zip(clips, answered, strict=True):
            row = Row(clip, None if clip.path == STDIN else known_label(Path(clip.path)), answer)
            n_failed += row.error is not None
            out.write(row)
            bar.update(1)
    out.end()
    if n_failed:
        click.echo(f"{n_failed} of {len(clips)} could not be predicted", err=True)
    return not n_failed


def processes(clips: Sequence[Clip], jobs: int | None) -> int:
    """How many to use: as asked, but none without a clip, and one if something comes through a pipe."""
    readable = [clip for clip in clips if clip.problem is None]
    if any(clip.in_parts for clip in readable):
        return 1
    return max(1, min(jobs or workers.cores(), len(readable) if jobs else len(readable) // _WORTH_A_PROCESS))


def answers(clips: Sequence[Clip], answerer: Answerer, make: Any, n_processes: int) -> Iterator[tuple[Answer, ...]]:
    """The answers to each clip, in order; `make` loads an answerer in each process if there are several."""
    readable = [clip.path for clip in clips if clip.problem is None]
    load = make if n_processes > 1 else lambda: answerer
    with closing(workers.each(load, readable, n_processes, died=partial(_died, answerer))) as found:
        for clip in clips:
            yield next(found) if clip.problem is None else answerer.failed(clip.problem)


def _died(answerer: Answerer, path: str) -> tuple[Answer, ...]:
    return answerer.failed(_DIED)


def _progress(clips: Sequence[Clip], streams: bool) -> Any:
    """A bar on stderr, unless nobody would see it, or it would be mixed with rows on the same terminal."""
    hidden = len(clips) < 2 or not _is_terminal(sys.stderr) or (streams and _is_terminal(sys.stdout))
    return click.progressbar(length=len(clips), label="predicting", file=sys.stderr, show_pos=True, hidden=hidden)


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()
