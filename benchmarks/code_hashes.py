"""Hashes of every file of ours that trains one model on a fold: what is imported, by following the import statements."""

import argparse
import ast
import hashlib
from pathlib import Path

import pandas as pd

from ser.files import write_csv
from stages.running import run

_PACKAGES = ("ser", "stages", "benchmarks")


def main() -> None:
    """Write one row a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    paths = sorted(imported([Path("benchmarks/train.py"), Path("ser/models", f"{args.model}.py")]))
    rows = [(path.as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    write_csv(args.out, pd.DataFrame(rows, columns=["path", "sha256"]))


def imported(paths: list[Path]) -> set[Path]:
    """These files and those of our packages that they import, wherever in a file, and so on."""
    found: set[Path] = set()
    while paths:
        path = paths.pop()
        if path not in found:
            found.add(path)
            paths += [file for name in _modules(path) if (file := _file(name)) is not None]
    return found


def _modules(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in names if name.split(".")[0] in _PACKAGES]


def _file(module: str) -> Path | None:
    """A module's file; none for a package, whose own file is empty, and for a name inside a module."""
    path = Path(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


if __name__ == "__main__":
    run(main)
