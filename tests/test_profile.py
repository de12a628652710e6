"""Voice profiles: the same numbers back from the file, and only for a predictor that measures the same."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from ser.profile import Profile, ProfileError

COLUMNS = ("pro_f0_mean_hz", "fun_level_db", "pro_a", "fun_b")  # not in alphabetical order, as in life
PREDICTOR = SimpleNamespace(name="hybrid", prosody_columns=COLUMNS)
PROFILE = Profile(np.array([182.3, -21.7, np.nan, 1e-9], np.float32), 5, COLUMNS)


@pytest.fixture
def path(tmp_path):
    PROFILE.save(tmp_path / "anna.json")
    return tmp_path / "anna.json"


def test_what_is_saved_comes_back_to_the_bit(path):
    again = Profile.load(path, PREDICTOR)
    assert again.mean.dtype == np.float32 and again.mean.tobytes() == PROFILE.mean.tobytes()
    assert again.n_clips == 5 and again.columns == COLUMNS


def test_the_file_is_plain_json_whatever_is_undefined(path):
    node = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert node["mean"]["pro_a"] is None and node["n_clips"] == 5
    assert [file.name for file in path.parent.iterdir()] == ["anna.json"]


@pytest.mark.parametrize("columns", [COLUMNS[:-1], (*COLUMNS, "fun_c"), ("fun_x", *COLUMNS[1:]), ()])
def test_a_profile_of_other_measures_is_refused(path, columns):
    with pytest.raises(ProfileError, match="anna.json: made with other measures than those of 'other'; run `ser enroll` again"):
        Profile.load(path, SimpleNamespace(name="other", prosody_columns=columns))


@pytest.mark.parametrize(
    "change",
    [
        lambda node: node | {"format": "vcard"},
        lambda node: node | {"version": 2},
        lambda node: node | {"mean": [1, 2]},
        lambda node: node | {"mean": node["mean"] | {"pro_a": "loud"}},
        lambda node: node | {"mean": node["mean"] | {"pro_a": [1]}},
        lambda node: node | {"n_clips": "several"},
        lambda node: {key: value for key, value in node.items() if key != "mean"},
        lambda node: [node],
        lambda node: "anna",
    ],
)
def test_what_is_no_profile_is_one_sentence(path, change):
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(ProfileError, match="anna.json: not a voice profile; make it with `ser enroll`"):
        Profile.load(path, PREDICTOR)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"RIFF"])
def test_what_is_no_json_is_one_sentence(path, content):
    path.write_bytes(content)
    with pytest.raises(ProfileError, match="not a voice profile"):
        Profile.load(path, PREDICTOR)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ProfileError, match="bob.json: no such file; make it with `ser enroll`"):
        Profile.load(tmp_path / "bob.json", PREDICTOR)
    with pytest.raises(ProfileError, match="not a voice profile"):
        Profile.load(tmp_path, PREDICTOR)
