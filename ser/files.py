"""Outputs appear whole or not at all: written under a temporary name, then renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; on success it becomes `path`, on error it is removed.

    The block may write a file or make a folder there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")  # a fixed name, so that what a killed run left is swept by the next
    _remove(temporary)
    try:
        yield temporary
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as sorted, indented JSON; NaN and infinity are refused (ValueError)."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table without its index, lines ended by a newline on every platform."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def read_csv(path: Path) -> "pd.DataFrame":
    """Read a table written by `write_csv`: text stays text ('03' is not 3, 'NA' is not missing), empty is ''.

    Columns that end in a unit (`_s`, `_hz`, `_db`) or name a count are numbers.
    """
    import pandas as pd  # costs half a second, which a predictor that needs no table cannot spare

    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    for name in table.columns:
        if name.endswith(("_s", "_hz", "_db")) or name in {"channels", "start", "length"}:
            table[name] = pd.to_numeric(table[name])
    return table


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
