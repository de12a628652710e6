"""Tables of target distributions: read as written, over the emotions wanted, and refused in one sentence."""

import numpy as np
import pandas as pd
import pytest

from ser.files import write_csv
from ser.soft_targets import SoftTargetError, read_soft, write_soft

EMOTIONS = ("neutral", "happy", "sad", "fear")
SHARES = np.array([[0.25, 0.5, 0.125, 0.125], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]])
IDS = ["iesc/1", "iesc/02", "iesc/3"]


@pytest.fixture
def path(tmp_path):
    write_soft(tmp_path / "soft.csv", IDS, SHARES, EMOTIONS)
    return tmp_path / "soft.csv"


def test_what_is_written_is_read(path):
    found = read_soft(path, EMOTIONS)
    assert list(found) == IDS
    np.testing.assert_allclose(np.stack(list(found.values())), SHARES, atol=1e-6)
    assert {values.dtype for values in found.values()} == {np.dtype("float32")}


def test_emotions_come_in_the_order_asked_for_and_those_not_in_the_table_have_no_share(path):
    found = read_soft(path, ("fear", "boredom", "sad", "happy", "neutral"))
    np.testing.assert_allclose(found["iesc/3"], [0.4, 0, 0.3, 0.2, 0.1], atol=1e-6)


def test_other_emotions_are_left_out_and_the_rest_sums_to_one(path):
    found = read_soft(path, ("neutral", "sad"))
    np.testing.assert_allclose(found["iesc/1"], [2 / 3, 1 / 3], atol=1e-6)
    np.testing.assert_allclose(found["iesc/02"], [0, 1], atol=1e-6)


def test_a_clip_with_nothing_left_is_named(path):
    with pytest.raises(SoftTargetError, match=r"soft.csv: iesc/02 has no share of neutral, happy; leave its row out$"):
        read_soft(path, ("neutral", "happy"))


@pytest.mark.parametrize("table", [{"name": ["a"], "p_happy": [1]}, {"id": ["a"], "happy": [1]}, {"id": ["a"], "p_boredom": [1]}])
def test_another_table_is_refused_with_what_it_needs(tmp_path, table):
    write_csv(tmp_path / "soft.csv", pd.DataFrame(table))
    with pytest.raises(SoftTargetError, match=r"soft.csv: needs the columns id and p_<emotion>, of neutral, happy, sad, fear$"):
        read_soft(tmp_path / "soft.csv", EMOTIONS)
