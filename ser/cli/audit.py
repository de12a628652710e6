"""`ser audit`: whether the sides of a split share what they should not."""

import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ser.cli import workers
from ser.cli.clips import find_clips
from ser.cli.text import path_text, printable, sentence
from ser.errors import SerError

if TYPE_CHECKING:
    from ser.fingerprint import Fingerprint
    from ser.leakage import Clip, Finding

_KINDS = ("same-audio", "near-duplicate", "sibling", "speaker", "sentence")  # as in ser.leakage, which help need not import
UNREAD = "unread"
_COLUMNS = {  # what a column is called elsewhere
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "audio", "audio_path", "wav"),
    "speaker": ("speaker", "speaker_id", "spk", "actor", "subject"),
    "sentence": ("sentence", "text", "transcript", "statement"),
    "id": ("id", "utterance_id"),
    "corpus": ("corpus", "dataset"),
    "sha256": ("audio_sha256",),
}
_RATE_HZ = 16000
_LONGEST_S = 600.0
_WORTH_A_PROCESS = 100  # clips
_SHOWN = 5  # findings of a kind in the table, and clips of a speaker in the other formats
EPILOG = """\b
Examples:
  ser audit train.csv test.csv
  ser audit data/train data/test --json
  ser audit data/cleaned_data.csv --root data/raw --allow sentence
  ser audit clips.csv --split-column fold --no-audio

\b
Kinds of leaks, for --allow:
  same-audio      the same samples
  near-duplicate  the same recording, resampled, louder, trimmed, coded or a little noisy
  sibling         names that say one is an augmented copy of the other
  speaker         heard on both sides
  sentence        spoken on both sides
  unread          not a leak: audio that could not be read, so that nothing is proven

Exit codes: 0 clean, 1 leaks, 2 the command line or a table was wrong."""


@click.command(short_help="Check a split for leaks.", epilog=EPILOG)
@click.argument("inputs", nargs=-1, required=True, metavar="TRAIN TEST", type=click.Path(exists=True, path_type=Path))
@click.option("--split-column", default="split", show_default=True, help="Of a single CSV: what tells its sides apart.")
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), help="What paths in a CSV start from.")
@click.option("--allow", multiple=True, type=click.Choice([*_KINDS, UNREAD]), help="Accept a kind of leak. Repeat it for more.")
@click.option("--strict", is_flag=True, help="Audio repeated within one side counts as a leak, too.")
@click.option("--audio/--no-audio", default=True, show_default=True, help="Listen, or go by tables and names alone.")
@click.option("--json", "style", flag_value="json", help="One JSON object with all findings.")
@click.option("--csv", "style", flag_value="csv", help="A table with one line for each finding and clip.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes. Default: one for a few clips, else one a core.")
@click.pass_context
def audit(
    ctx: click.Context,
    inputs: tuple[Path, ...],
    split_column: str,
    root: Path | None,
    allow: tuple[str, ...],
    strict: bool,
    audio: bool,
    style: str | None,
    jobs: int | None,
) -> None:
    """Check whether TRAIN and TEST share recordings, near copies of them, speakers or sentences.

    Each is a folder, or a CSV with a column `path`, and `speaker`, `sentence`, `id` and `corpus` if there are any. A single
    CSV needs a column that tells its sides apart. File names of known corpora say speaker and sentence by themselves.
    """
    from ser import leakage

    clips, files = _sides(inputs, split_column, root, audio)
    unread: dict[str, str] = {}
    if audio:
        clips, unread = _heard(clips, files, jobs)
    report = Report(tuple(clips), leakage.find(clips), unread, frozenset(allow), strict)
    {"json": _print_json, "csv": _print_csv, None: _print_table}[style](report)
    if not report.clean:
        ctx.exit(1)


@dataclass(frozen=True)
class Report:
    """All findings, and what of them is accepted."""

    clips: "tuple[Clip, ...]"
    findings: "list[Finding]"
    unread: dict[str, str]  # path and reason
    allowed: frozenset[str]
    strict: bool

    def is_leak(self, finding: "Finding") -> bool:
        """Whether this one fails the audit."""
        return (finding.between or self.strict) and finding.kind not in self.allowed

    @property
    def clean(self) -> bool:
        """Whether nothing fails the audit."""
        return not any(map(self.is_leak, self.findings)) and (not self.unread or UNREAD in self.allowed)

    @property
    def sides(self) -> dict[str, int]:
        """Clips of each side."""
        return dict(Counter(clip.side for clip in self.clips))

    @property
    def known(self) -> dict[str, int]:
        """For how many clips there was something to go by."""
        known = {name: sum(bool(getattr(clip, name)) for clip in self.clips) for name in ("speaker", "sentence")}
        heard = sum(clip.fingerprint is not None and bool(clip.fingerprint.active.any()) for clip in self.clips)  # not silent
        return {"samples": sum(bool(clip.sha256) for clip in self.clips), "fingerprint": heard, **known}

    def number(self, kind: str, *, between: bool) -> int:
        """How many findings of a kind there are between sides, or within one."""
        return sum(finding.kind == kind and finding.between == between for finding in self.findings)

    def verdict(self) -> str:
        """One sentence."""
        leaks = Counter(finding.kind for finding in self.findings if self.is_leak(finding))
        found = [f"{leaks[kind]} {kind}" for kind in _KINDS if leaks[kind]]
        if self.unread and UNREAD not in self.allowed:
            found.append(f"{len(self.unread)} unread")
        total = len(self.clips)
        unknown = [f"{name} ({total - n} of {total} clips)" for name, n in self.known.items() if n < total]
        gaps = f"; not known, so not checked: {', '.join(unknown)}" if unknown else ""
        return (f"leaks: {', '.join(found)}" if found else "clean") + gaps


# Reading


def _sides(inputs: Sequence[Path], split_column: str, root: Path | None, audio: bool) -> "tuple[list[Clip], list[Path]]":
    """The clips of all sides with what tables and names say, and where their audio is."""
    if len(inputs) > 2 or (len(inputs) == 1 and inputs[0].is_dir()):
        raise click.UsageError("Give two CSV files or folders, TRAIN and TEST, or one CSV with a column for the side.")
    named = dict(zip(_names(inputs), inputs, strict=True))
    clips, files = [], []
    for side, source in named.items():
        read = (
            _folder(source, side) if source.is_dir() else _table(source, side if len(inputs) == 2 else None, split_column, root)
        )
        found = list(read)
        if not found:
            raise click.UsageError(f"{path_text(str(source))}: no clips in it.")
        if audio and not source.is_dir() and not any(file.is_file() for _, file in found):
            raise click.UsageError(
                f"{path_text(str(source))}: none of its files is there, such as {path_text(str(found[0][1]))}; "
                "say with --root what its paths start from, or --no-audio to go by the table alone."
            )
        clips += [clip for clip, _ in found]
        files += [file for _, file in found]
    if len({clip.side for clip in clips}) < 2:
        raise click.UsageError(f"There is one side only, '{printable(clips[0].side)}'; an audit compares at least two.")
    return clips, files


def _names(inputs: Sequence[Path]) -> list[str]:
    """What to call the sides: their names, or whole paths where those would be the same."""
    stems = [printable(path_text(Path(os.path.abspath(path)).stem)) for path in inputs]
    whole = [path_text(os.path.abspath(path)) for path in inputs]
    if len(set(whole)) < len(whole):
        raise click.UsageError("TRAIN and TEST are the same.")
    return stems if len(set(stems)) == len(stems) else whole


def _folder(folder: Path, side: str) -> "Iterator[tuple[Clip, Path]]":
    from ser.leakage import Clip, named

    for clip in find_clips([str(folder)]):
        if clip.problem is None:
            yield named(Clip(path_text(clip.path), side)), Path(clip.path)


def _table(table: Path, side: str | None, split_column: str, root: Path | None) -> "Iterator[tuple[Clip, Path]]":
    """Rows of a CSV; of the side given, or of that in their split column."""
    from ser.leakage import Clip, named

    where = path_text(str(table))
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = _columns(rows.fieldnames or (), where, None if side else split_column)
            for number, row in enumerate(rows, start=2):
                said = {name: (row[column] or "").strip() for name, column in columns.items()}
                path = said.pop("path")
                if not path or "\0" in path:
                    raise click.UsageError(f"{where}: line {number} has no path.")
                of = side or said.pop("side")
                if of:  # an empty cell: a row that is on no side
                    yield named(Clip(path, of, **said)), _located(path, table, root)
    except (UnicodeDecodeError, csv.Error) as error:
        raise click.UsageError(f"{where}: not a CSV in UTF-8: {error}.") from None
    except OSError as error:
        raise click.UsageError(f"{where}: {sentence(error, where)}.") from None


def _columns(header: Sequence[str], where: str, split_column: str | None) -> dict[str, str]:
    """Our names to those in the header."""
    spelled = {name.strip().lower(): name for name in reversed(header) if name}
    columns = {
        ours: spelled[found] for ours, names in _COLUMNS.items() if (found := next((n for n in names if n in spelled), None))
    }
    if "path" not in columns:
        raise click.UsageError(
            f"{where}: no column of paths; call it `path` (there are: {printable(', '.join(header)) or 'none'})."
        )
    if split_column is not None:
        if split_column not in header:
            raise click.UsageError(
                f"{where}: no column '{printable(split_column)}' that tells the sides apart; name it with --split-column, "
                "or give two files, TRAIN and TEST."
            )
        columns["side"] = split_column
    return columns


def _located(path: str, table: Path, root: Path | None) -> Path:
    """Where a table's file is: below --root, else beside the table, else below the folder we are in."""
    if root is not None:
        return root / path
    beside = table.parent / path
    return beside if beside.is_file() else Path(path)


# Hearing


@dataclass(frozen=True)
class Heard:
    """What listening to one file gave."""

    sha256: str = ""
    fingerprint: "Fingerprint | None" = None
    problem: str | None = None


def _heard(clips: "list[Clip]", files: list[Path], jobs: int | None) -> "tuple[list[Clip], dict[str, str]]":
    """The clips with hash and fingerprint, and those that could not be read, each with the reason."""
    processes = max(1, min(jobs or workers.cores(), len(files) if jobs else len(files) // _WORTH_A_PROCESS))
    unread, heard = {}, []
    hidden = not (sys.stderr and sys.stderr.isatty())
    listening = workers.each(_listener, files, processes, _died)
    bar = click.progressbar(length=len(files), label="listening", file=sys.stderr, show_pos=True, hidden=hidden)
    with bar, closing(listening):
        for clip, result in zip(clips, listening, strict=True):
            heard.append(replace(clip, sha256=result.sha256, fingerprint=result.fingerprint))
            if result.problem is not None:
                unread[clip.path] = result.problem
            bar.update(1)
    return heard, unread


def _listener() -> Callable[[Path], Heard]:
    return hear


def hear(file: Path) -> Heard:
    """Hash and fingerprint of one file, or why there are none.

    The hash is of the signal, mono, 16 kHz, 16 bit: the same for the same recording as wav and as flac, in stereo and in mono.
    """
    import hashlib

    from ser.audio import AudioParams, to_int16
    from ser.fingerprint import fingerprint
    from ser.recording import Limits, load_clip

    try:
        signal = load_clip(file, AudioParams(_RATE_HZ, 0.0, 0.0), Limits(max_duration_s=_LONGEST_S))
    except (SerError, OSError) as error:
        return Heard(problem=sentence(error, str(file)))
    return Heard(hashlib.sha256(to_int16(signal).tobytes()).hexdigest(), fingerprint(signal, _RATE_HZ))


def _died(file: Path) -> Heard:
    return Heard(problem="the process that read it crashed or was killed (out of memory?)")


# Telling


def _print_json(report: Report) -> None:
    findings = [
        {
            "kind": finding.kind,
            "between": finding.between,
            "leak": report.is_leak(finding),
            "what": finding.what,
            "similarity": finding.similarity,
            "counts": {side: len(paths) for side, paths in finding.clips.items()},
            "clips": {side: list(paths) for side, paths in _few(finding).items()},
        }
        for finding in report.findings
    ]
    head = {"clean": report.clean, "sides": report.sides, "known": report.known, "allowed": sorted(report.allowed)}
    numbers = {
        kind: {"between": report.number(kind, between=True), "within": report.number(kind, between=False)} for kind in _KINDS
    }
    click.echo(json.dumps({**head, "numbers": numbers, "findings": findings, "unread": report.unread}, indent=2))


def _print_csv(report: Report) -> None:
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(["finding", "kind", "leak", "what", "similarity", "side", "path"])
    for number, finding in enumerate(report.findings, start=1):
        similarity = "" if finding.similarity is None else f"{finding.similarity:.4f}"
        head = [number, finding.kind, str(report.is_leak(finding)).lower(), finding.what, similarity]
        rows.writerows([*head, side, path] for side, paths in _few(finding).items() for path in paths)
    for path, reason in report.unread.items():
        rows.writerow(["", UNREAD, str(UNREAD not in report.allowed).lower(), reason, "", "", path])
    sys.stdout.flush()
    click.echo(printable(report.verdict()), err=True)


def _print_table(report: Report) -> None:
    """For people: numbers, then the first few of each kind, then the verdict."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(printable(", ".join(f"{side} {n} clips" for side, n in report.sides.items())))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "between sides", "within one side", "known of clips", ""):
        table.add_column(name)
    known = report.known
    basis = [known["samples"], known["fingerprint"], len(report.clips), known["speaker"], known["sentence"]]
    for kind, n_known in zip(_KINDS, basis, strict=True):
        within = "" if kind in ("sibling", "speaker", "sentence") else str(report.number(kind, between=False))
        leak = any(finding.kind == kind and report.is_leak(finding) for finding in report.findings)
        allowed = kind in report.allowed and report.number(kind, between=True)
        word = Text("leak", style="red") if leak else Text("allowed" if allowed else "")
        table.add_row(kind, str(report.number(kind, between=True)), within, f"{n_known} of {len(report.clips)}", word)
    console.print(table)
    for line in _details(report):
        console.print(printable(line))
    console.print(printable(report.verdict()), style="green" if report.clean else "bold red")


def _details(report: Report) -> Iterator[str]:
    for kind in _KINDS:
        found = sorted((finding for finding in report.findings if finding.kind == kind), key=lambda finding: not finding.between)
        for finding in found[:_SHOWN]:
            alike = "" if finding.similarity in (None, 1.0) else f", {finding.similarity:.0%} alike"
            where = "" if finding.between else " within"
            yield f"{kind}{where}: {finding.what}{alike}: {'; '.join(map(_shortly, finding.clips, finding.clips.values()))}"
        if len(found) > _SHOWN:
            yield f"{kind}: {len(found) - _SHOWN} more; --json and --csv list them all"
    for path, reason in list(report.unread.items())[:_SHOWN]:
        yield f"unread: {path}: {reason}"
    if len(report.unread) > _SHOWN:
        yield f"unread: {len(report.unread) - _SHOWN} more"


def _shortly(side: str, paths: Sequence[str]) -> str:
    return f"{side}: {', '.join(paths[:2])}{f' and {len(paths) - 2} more' if len(paths) > 2 else ''}"


def _few(finding: "Finding") -> dict[str, tuple[str, ...]]:
    """All clips that hold the same audio; a few examples of those that share a speaker or a sentence."""
    if finding.kind in ("speaker", "sentence"):
        return {side: paths[:_SHOWN] for side, paths in finding.clips.items()}
    return dict(finding.clips)
