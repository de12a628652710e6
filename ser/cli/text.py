"""Text that may come from anywhere, made safe to print."""

import os
from pathlib import Path

from ser.errors import SerError


def path_text(path: str) -> str:
    r"""A path as valid Unicode: bytes that are not UTF-8 appear as \xNN."""
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def printable(text: str) -> str:
    r"""One line without control characters (a file name may hold a terminal's commands) and without lone surrogates."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def sentence(error: SerError | OSError, path: str) -> str:
    """What went wrong with a file, without its path, which stands beside it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    from ser.recording import shown  # already there if it is what failed

    return str(error).removeprefix(f"{shown(Path(path))}: ").removeprefix(f"{path}: ")


def _escaped(letter: str) -> str:
    if letter == "\N{NO-BREAK SPACE}":
        return " "
    if "\udc80" <= letter <= "\udcff":  # how Python keeps a byte that is not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode("ascii")
