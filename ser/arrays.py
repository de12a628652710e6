"""Ragged arrays in few large files: one flat `.npy` and an index, read a slice at a time.

Why not zarr: an utterance is one contiguous run of rows, always read whole, so chunking would buy nothing and cost
a dependency and thousands of small files (DVC is slow with those: treeverse/dvc#7607). Slices are read with `pread`
rather than through a memory map, so that pages of the file never count as memory of the process.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ser.errors import SerError
from ser.files import read_csv, replacing, write_csv

_HEADER_BYTES = 128  # numpy pads its header to a multiple of 64; ours is fixed, so that it can be written last


class ArraysError(SerError):
    """A stored array is missing, damaged or of another shape than its index says."""


def write_arrays(
    folder: Path,
    items: Iterable[tuple[str, np.ndarray]],
    *,
    dtype: str,
    recipe: dict[str, Any],
    columns: Iterable[str] | None = None,
) -> int:
    """Stream arrays of shape (rows, ...) into `folder`, holding one at a time; returns how many were written.

    The folder holds `values.npy` (all rows, one after the other), `index.csv` (id, start, length) and `recipe.json`
    (how the values were made and, for tables, the column names). The bytes depend on the content alone.

    Args:
        folder: written under a temporary name and renamed at the end.
        items: (id, array) in the order to store them; all arrays share their trailing shape.
        dtype: numpy name of the stored type.
        recipe: class name and fields of the front end.
        columns: names of the trailing axis, stored in the recipe.
    """
    rows: dict[str, tuple[int, int]] = {}
    trailing: tuple[int, ...] | None = None
    start = 0
    with replacing(folder) as temporary:
        temporary.mkdir()
        with open(temporary / "values.npy", "wb") as file:
            file.write(b"\0" * _HEADER_BYTES)
            for name, array in items:
                if trailing is None:
                    trailing = array.shape[1:]
                if array.shape[1:] != trailing:
                    raise ArraysError(f"{folder}: '{name}' has rows of shape {array.shape[1:]}, others {trailing}")
                if name in rows:
                    raise ArraysError(f"{folder}: '{name}' comes twice")
                file.write(np.ascontiguousarray(array, dtype=dtype).tobytes())
                rows[name] = (start, len(array))
                start += len(array)
            file.seek(0)
            file.write(_header((start, *(trailing or ())), dtype))
        import pandas as pd

        index = [(name, *where) for name, where in rows.items()]
        write_csv(temporary / "index.csv", pd.DataFrame(index, columns=["id", "start", "length"]))
        description = {**recipe, "columns": list(columns)} if columns is not None else recipe
        (temporary / "recipe.json").write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
    return len(rows)


def _header(shape: tuple[int, ...], dtype: str) -> bytes:
    text = repr({"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape})
    return b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little") + text.ljust(_HEADER_BYTES - 11).encode() + b"\n"


class Arrays:
    """Read access by id to a folder written by `write_arrays`."""

    def __init__(self, folder: Path) -> None:
        """Open the index; the values stay on disk.

        Raises:
            ArraysError: a file of the folder is missing or damaged, or the value file is not as long as the index says.
        """
        self.folder = folder
        try:
            self.index = read_csv(folder / "index.csv").set_index("id")
            self.recipe: dict[str, Any] = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
            self._file = open(folder / "values.npy", "rb")  # noqa: SIM115 - lives as long as the reader
            np.lib.format.read_magic(self._file)
            shape, _, self.dtype = np.lib.format.read_array_header_1_0(self._file)
            starts, lengths = self.index["start"], self.index["length"]
        except FileNotFoundError as error:
            raise ArraysError(f"{error.filename}: no such file; run `dvc repro`") from None
        except (ValueError, KeyError) as error:
            raise ArraysError(f"{folder}: damaged ({error}); delete the folder and run `dvc repro`") from None
        self.trailing = shape[1:]
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.trailing, dtype=int))
        self._where = dict(zip(self.index.index, zip(starts, lengths, strict=True), strict=True))
        size = (folder / "values.npy").stat().st_size
        if size != _HEADER_BYTES + shape[0] * self._row_bytes or shape[0] != lengths.sum():
            raise ArraysError(f"{folder}: values.npy does not match index.csv; delete the folder and run `dvc repro`")

    @property
    def ids(self) -> list[str]:
        """Ids in stored order."""
        return list(self._where)

    def __len__(self) -> int:
        return len(self._where)

    def __contains__(self, name: str) -> bool:
        return name in self._where

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of one id, shape (rows, ...), freshly read."""
        try:
            start, length = self._where[name]
        except KeyError:
            raise ArraysError(f"{self.folder}: holds nothing for '{name}'; run `dvc repro`") from None
        data = os.pread(self._file.fileno(), int(length) * self._row_bytes, _HEADER_BYTES + int(start) * self._row_bytes)
        return np.frombuffer(data, self.dtype).reshape(int(length), *self.trailing)

    def __getstate__(self) -> dict[str, Any]:
        """Pass the folder alone to another process, which opens its own file."""
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]
