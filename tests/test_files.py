"""Files appear whole or not at all, and tables come back as they were."""

import json

import pandas as pd
import pytest

from ser.files import read_csv, replacing, write_csv, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_the_block_ends_and_its_folder_is_made(tmp_path):
    path = tmp_path / "deep/below/a.txt"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(ValueError), replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "half").touch()
        raise ValueError
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["store"]


def test_a_folder_is_replaced_whole_not_merged(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "old").touch()
    with replacing(folder) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert names(folder) == ["new"]
    assert names(tmp_path) == ["store"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_run_left_is_swept(tmp_path, kind):
    with replacing(tmp_path / "store") as temporary:
        left = temporary
        left.mkdir()
    if kind == "file":
        left.write_text("half")
    else:
        left.mkdir()
        (left / "half").touch()
    with replacing(tmp_path / "store") as temporary:
        assert not temporary.exists()
        temporary.mkdir()
    assert names(tmp_path) == ["store"]
    assert names(tmp_path / "store") == []


def test_json_is_sorted_and_refuses_what_is_no_number(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": [1.5]})
    before = path.read_bytes()
    write_json(path, {"a": [1.5], "b": 1})
    assert path.read_bytes() == before
    assert json.loads(before) == {"a": [1.5], "b": 1}
    with pytest.raises(ValueError):
        write_json(path, {"a": float("nan")})
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a.json"]


def test_tables_come_back_as_text_but_for_units_and_counts(tmp_path):
    table = pd.DataFrame(
        {
            "id": ["03", "NA", "1e3", "null", ""],
            "sentence": ["a, b", 'say "c"', "d\ne", "ä", " "],
            "duration_s": [0.5, 1.0, 2.25, 3.0, 4.0],
            "channels": [1, 2, 1, 1, 2],
        }
    )
    write_csv(tmp_path / "a.csv", table)
    again = read_csv(tmp_path / "a.csv")
    assert again.to_dict("list") == table.to_dict("list")
    assert again["duration_s"].dtype == float and again["channels"].dtype == int
    write_csv(tmp_path / "b.csv", again)
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_an_empty_table_keeps_its_columns(tmp_path):
    write_csv(tmp_path / "a.csv", pd.DataFrame(columns=["id", "duration_s"]))
    table = read_csv(tmp_path / "a.csv")
    assert list(table.columns) == ["id", "duration_s"] and table.empty
    assert table["duration_s"].sum() == 0
