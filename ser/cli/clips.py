"""The audio files that the arguments of a command stand for."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

STDIN = "-"
SUFFIXES = (".wav", ".mp3", ".flac", ".ogg", ".aiff", ".aif", ".m4a", ".webm", ".opus")


@dataclass(frozen=True)
class Clip:
    """A file to be read, or an argument that leads to none."""

    path: str  # as given, or below the folder as given; `-` is the standard input
    folder: str | None = None  # the argument it was found in; None for a file that was named itself
    problem: str | None = None  # why there is nothing to read

    @property
    def in_parts(self) -> bool:
        """Whether it can be read once only, in this process: the standard input or a named pipe."""
        return self.path == STDIN or is_pipe(self.path)


def find_clips(arguments: Sequence[str], recursive: bool = True) -> list[Clip]:
    """The files named and those in the folders named, folders in sorted order, each file once.

    In folders the suffix decides, and hidden files and folders are left out; a file that is named is always tried.
    """
    found: dict[str, Clip] = {}
    for argument in arguments:
        for clip in _in_folder(argument, recursive) if os.path.isdir(argument) else [Clip(argument)]:
            found.setdefault(STDIN if argument == STDIN else os.path.abspath(clip.path), clip)
    return list(found.values())


def is_pipe(path: str) -> bool:
    """Whether this is a named pipe, as a shell's `<(command)` is."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _in_folder(folder: str, recursive: bool) -> Iterator[Clip]:
    n_clips = 0
    problems: list[Clip] = []

    def unreadable(error: OSError) -> None:
        problems.append(Clip(error.filename, folder, f"the folder cannot be read: {(error.strerror or str(error)).lower()}"))

    for where, inner, names in os.walk(folder, onerror=unreadable):
        inner[:] = sorted(name for name in inner if recursive and not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(where, name)
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES and os.path.isfile(path):
                n_clips += 1
                yield Clip(path, folder)
    yield from problems
    if not n_clips and not problems:
        below = "" if recursive else "; --no-recursive leaves out the folders below it"
        yield Clip(folder, folder, f"no audio in this folder; looked for {' '.join(SUFFIXES)}{below}")
