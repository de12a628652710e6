"""Ragged arrays: what was written is read, by any reader of `.npy` too, and damage is named."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ser.arrays import Arrays, ArraysError, write_arrays

RECIPE = {"name": "Spectrogram", "fields": {"n_mels": 3}}


def signals():
    random = np.random.default_rng(1)
    return [(name, random.integers(-32768, 32768, n).astype(np.int16)) for name, n in [("b", 5), ("a", 0), ("03", 1000)]]


def spectrograms():
    random = np.random.default_rng(2)
    return [(f"clip#{n}", random.standard_normal((n, 3)).astype(np.float16)) for n in (4, 0, 1, 7)]


@pytest.fixture
def folder(tmp_path):
    write_arrays(tmp_path / "store", spectrograms(), dtype="float16", recipe=RECIPE, columns=["x", "y", "z"])
    return tmp_path / "store"


@pytest.mark.parametrize(("items", "dtype"), [(signals(), "int16"), (spectrograms(), "float16")])
def test_what_was_written_is_read(tmp_path, items, dtype):
    assert write_arrays(tmp_path / "store", iter(items), dtype=dtype, recipe=RECIPE) == len(items)
    store = Arrays(tmp_path / "store")
    assert store.ids == [name for name, _ in items]
    assert len(store) == len(items) and items[0][0] in store and "other" not in store
    for name, array in reversed(items):
        assert store[name].dtype == dtype
        assert store[name].shape == array.shape
        assert np.array_equal(store[name], array)


def test_values_are_a_plain_npy_file_with_all_rows(folder):
    values = np.load(folder / "values.npy", mmap_mode="r")
    assert values.shape == (12, 3) and values.dtype == np.float16
    assert np.array_equal(values, np.concatenate([array for _, array in spectrograms()]))
    assert Arrays(folder).recipe == {**RECIPE, "columns": ["x", "y", "z"]}


def test_same_content_gives_same_bytes(folder, tmp_path):
    write_arrays(tmp_path / "again", iter(spectrograms()), dtype="float16", recipe=RECIPE, columns=("x", "y", "z"))
    for name in ("values.npy", "index.csv", "recipe.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_values_are_rounded_to_the_stored_type(tmp_path):
    write_arrays(tmp_path / "store", [("a", np.array([[1 / 3, np.nan]]))], dtype="float32", recipe={})
    assert np.array_equal(Arrays(tmp_path / "store")["a"], np.array([[1 / 3, np.nan]], np.float32), equal_nan=True)


def test_an_empty_store_is_a_store(tmp_path):
    assert write_arrays(tmp_path / "store", [], dtype="int16", recipe=RECIPE) == 0
    store = Arrays(tmp_path / "store")
    assert store.ids == [] and len(store) == 0 and store.recipe == RECIPE
    assert len(np.load(tmp_path / "store/values.npy")) == 0


def test_an_unknown_id_is_named(folder):
    with pytest.raises(ArraysError, match="store: holds nothing for 'clip#9'; run `dvc repro`"):
        Arrays(folder)["clip#9"]


def test_rows_of_another_shape_are_refused_and_the_old_store_stays(folder):
    items = [("a", np.zeros((2, 3))), ("b", np.zeros((2, 4)))]
    with pytest.raises(ArraysError, match=r"'b' has rows of shape \(4,\), others \(3,\)"):
        write_arrays(folder, items, dtype="float16", recipe=RECIPE)
    assert len(Arrays(folder)) == 4
    assert [path.name for path in folder.parent.iterdir()] == ["store"]


def test_an_id_given_twice_is_refused_since_one_of_them_could_never_be_read(folder):
    with pytest.raises(ArraysError, match="'a' comes twice"):
        write_arrays(folder, [("a", np.zeros((1, 3))), ("a", np.ones((1, 3)))], dtype="float16", recipe=RECIPE)


@pytest.mark.parametrize("name", ["values.npy", "index.csv", "recipe.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ArraysError, match=f"store/{name}: no such file; run `dvc repro`"):
        Arrays(folder)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("values.npy", lambda content: content[:-1]),
        ("values.npy", lambda content: content + b"\0\0"),
        ("values.npy", lambda content: content[:128]),
        ("values.npy", lambda content: content[:60]),
        ("values.npy", lambda content: b""),
        ("values.npy", lambda content: b"PK" + content[2:]),
        ("index.csv", lambda content: content.replace(b"clip#7,5,7\n", b"")),
        ("index.csv", lambda content: content.replace(b"5,7", b"5,x")),
        ("index.csv", lambda content: content.replace(b"length", b"size")),
        ("index.csv", lambda content: b""),
        ("recipe.json", lambda content: content[:-3]),
    ],
)
def test_damage_is_refused_with_the_way_out(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    with pytest.raises(ArraysError, match="store: .*delete the folder and run `dvc repro`"):
        Arrays(folder)


def test_a_store_goes_to_another_process_by_its_path(folder):
    store = Arrays(folder)
    assert len(pickle.dumps(store)) < 500
    code = "import pickle, sys; s = pickle.load(sys.stdin.buffer); print(s['clip#7'].astype(float).tolist(), len(s))"
    root = Path(__file__).parents[1]
    answer = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(store), cwd=root, capture_output=True, check=True)
    values, _, n = answer.stdout.decode().strip().rpartition(" ")
    assert np.array_equal(json.loads(values), store["clip#7"].astype(float)) and n == "4"
