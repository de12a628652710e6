"""One corpus folder to one table of all its files and one store of the usable audio."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ser.arrays import Arrays, write_arrays
from ser.audio import AudioError, AudioParams, decode, to_int16, to_signal
from ser.corpus import Corpus, Utterance
from ser.duplicates import mark_duplicates
from ser.errors import SerError
from ser.parallel import each

COLUMNS = (
    "id path corpus speaker sex language recorded_emotion source_emotion intensity channel sentence "
    "duration_s sampling_rate_hz channels audio_sha256 rejected"
).split()
_NAMELESS = Utterance(*[""] * len(fields(Utterance)))


class CollectError(SerError):
    """A corpus folder holds nothing usable."""


@dataclass(frozen=True)
class Heard:
    """What decoding one file gave; `samples` is the int16 signal at the working rate, or None where `rejected` says why."""

    samples: np.ndarray | None
    rejected: str = ""
    duration_s: float | None = None
    sampling_rate_hz: int | None = None
    channels: int | None = None
    audio_sha256: str = ""


def collect(corpus: Corpus, folder: Path, audio: Path, params: AudioParams) -> pd.DataFrame:
    """Describe every audio file under `folder`, one row each with `COLUMNS`, and store the accepted signals in `audio`.

    Duplicates are known only when all is heard, so the signals go through a file beside `audio` and only the accepted
    ones are copied on; memory holds one clip and one row a file.

    Raises:
        CollectError: the folder has no audio files, or none of them is usable.
    """
    files = [name for name in walk(folder) if corpus.is_audio(name)]
    if not files:
        raise CollectError(f"{folder}: no audio files for corpus '{corpus.name}'. {corpus.obtain}")
    recipe = {"name": "AudioParams", "fields": asdict(params), "sampling_rate_hz": params.sampling_rate_hz}
    rows: list[dict] = []
    spool = audio.with_name(f".{audio.name}.spool")
    try:
        write_arrays(spool, _hear_all(corpus, folder, files, params, rows), dtype="int16", recipe=recipe)
        table = _table(rows)
        accepted = table[table["rejected"] == ""]
        if accepted.empty:
            raise CollectError(_nothing_usable(corpus, folder, table))
        heard = Arrays(spool)
        write_arrays(audio, ((row.id, heard[row.path]) for row in accepted.itertuples()), dtype="int16", recipe=recipe)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    return table


def walk(folder: Path) -> list[str]:
    """Posix paths, relative to `folder`, of all files under it, sorted; links are followed, hidden names left out."""
    return sorted(_walk(folder, "", (os.path.realpath(folder),)))


def _walk(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
    for entry in os.scandir(folder):
        if entry.name.startswith("."):  # also the ._ files that macOS leaves in archives
            continue
        if not entry.is_dir():
            yield prefix + entry.name
        elif (real := os.path.realpath(entry.path)) not in above:  # a link to a folder above would never end
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", (*above, real))


def hear(path: Path | None, params: AudioParams) -> Heard:
    """Decode one file and make its signal; a file that is not usable gives its reason, not an exception."""
    if path is None:
        return Heard(None)
    try:
        decoded = decode(path)
    except AudioError as error:
        return Heard(None, str(error))
    except (OSError, ValueError) as error:
        return Heard(None, f"undecodable: {getattr(error, 'strerror', None) or error}")
    facts = {
        "duration_s": round(decoded.duration_s, 6),
        "sampling_rate_hz": decoded.sampling_rate_hz,
        "channels": decoded.samples.shape[1],
        "audio_sha256": decoded.sha256,
    }
    try:
        return Heard(to_int16(to_signal(decoded, params)), **facts)
    except AudioError as error:
        return Heard(None, str(error), **facts)


def _hear_all(
    corpus: Corpus, folder: Path, files: list[str], params: AudioParams, rows: list[dict]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (path, samples) of the files that can be used as such; a row for every file is appended to `rows`."""
    said = [corpus.read(name) for name in files]
    paths = [folder / name if isinstance(what, Utterance) else None for name, what in zip(files, said, strict=True)]
    results = each(partial(hear, params=params), paths, total=len(paths), name=f"collect {corpus.name}")
    for name, what, heard in zip(files, said, results, strict=True):
        known = isinstance(what, Utterance)
        row = asdict(what if known else _NAMELESS)
        row |= {field.name: getattr(heard, field.name) for field in fields(Heard) if field.name != "samples"}
        row |= {"path": _printable(f"{corpus.name}/{name}"), "corpus": corpus.name}
        if not known:
            row["rejected"] = f"unknown name: {_printable(what)}"
        rows.append(row)
        if heard.samples is not None:
            yield row["path"], heard.samples


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # file names need not be UTF-8, tables must be


def _table(rows: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS)
    table = table.astype({"duration_s": float, "sampling_rate_hz": "Int64", "channels": "Int64"})
    usable = table[table["rejected"] == ""]
    table.loc[usable.index, "rejected"] = mark_duplicates(usable)
    return table.sort_values("path", ignore_index=True)


def kinds(reasons: pd.Series) -> str:
    """How often each kind of reason stands in a column, as text for a log line."""
    kind = reasons[reasons != ""].str.replace(r"([:,]| by ).*", "", regex=True)
    return ", ".join(f"{count} {name}" for name, count in sorted(kind.value_counts().items())) or "none"


def _nothing_usable(corpus: Corpus, folder: Path, table: pd.DataFrame) -> str:
    first = table.iloc[0]
    return (
        f"{folder}: none of {len(table)} audio files is usable for corpus '{corpus.name}' ({kinds(table['rejected'])}); "
        f"the first, {first['path']}: {first['rejected']}. {corpus.obtain}"
    )
