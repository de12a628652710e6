"""The model as MLflow serves it: files or samples in, the predictor's probabilities out, and an unusable row named."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser.errors import SerError
from ser.predictor import Predictor
from ser.served_model import ServedModel
from tests.tiny import EMOTIONS, RATE_HZ, speech


@pytest.fixture(scope="module")
def served(tiny_bundle):
    model = ServedModel()
    model.load_context(SimpleNamespace(artifacts={"bundle": str(tiny_bundle)}))
    return model


@pytest.fixture(scope="module")
def expected(tiny_bundle):
    predictor = Predictor.load(tiny_bundle)
    return [predictor.predict(speech(0.5, f0_hz)).probabilities.astype(np.float32) for f0_hz in (120, 240)]


@pytest.fixture
def path(tmp_path):
    soundfile.write(tmp_path / "low.wav", speech(0.5, 120), RATE_HZ, subtype="PCM_16")
    return str(tmp_path / "low.wav")


HIGH = {"samples": speech(0.5, 240).tolist(), "sampling_rate_hz": RATE_HZ}


def test_files_and_samples_answer_as_the_predictor(served, expected, path):
    by_path = served.predict(None, pd.DataFrame({"path": [path]}))
    assert list(by_path) == list(EMOTIONS)
    assert np.array_equal(by_path.to_numpy(), expected[:1])
    assert np.array_equal(served.predict(None, pd.DataFrame([HIGH])).to_numpy(), expected[1:])


def test_rows_of_both_kinds_may_stand_in_one_frame(served, expected, path):
    for first in ({"path": path}, {"path": path, "samples": None, "sampling_rate_hz": None}, {"path": path, **HIGH}):
        for second in (HIGH, {"path": "", **HIGH}, {"path": None, **HIGH}):
            found = served.predict(None, pd.DataFrame([first, second]))
            assert np.array_equal(found.to_numpy(), expected)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"path": "nowhere.wav"}, "row 1: nowhere.wav: no such file"),
        ({"path": ""}, "row 1: give `path`, or `samples` with `sampling_rate_hz`"),
        ({"samples": HIGH["samples"]}, "row 1: give `path`"),
        ({"samples": [0.0] * RATE_HZ, "sampling_rate_hz": RATE_HZ}, "row 1: silent"),
        ({"samples": HIGH["samples"][:99], "sampling_rate_hz": RATE_HZ}, "row 1: too short"),
    ],
)
def test_the_row_that_cannot_be_used_is_named(served, row, message):
    with pytest.raises(SerError, match=message):
        served.predict(None, pd.DataFrame([HIGH, row]))
