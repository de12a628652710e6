"""Stored features found by corpus and variant."""

import numpy as np
import pytest

from ser.arrays import ArraysError, write_arrays
from ser.features import Clip, Features


@pytest.fixture
def features(tmp_path):
    def store(kind, variant, corpus, values):
        items = [(name, np.full((3 if kind == "spectrogram" else 1, 2), value)) for name, value in values.items()]
        dtype = "float16" if kind == "spectrogram" else "float32"
        write_arrays(tmp_path / kind / variant / corpus, items, dtype=dtype, recipe={"name": kind})

    for kind, sign in [("spectrogram", 1), ("prosody", -1)]:
        store(kind, "clean", "ravdess", {"r1": sign * 1, "r2": sign * 2})
        store(kind, "clean", "emodb", {"e1": sign * 3})
        store(kind, "augmented", "ravdess", {"r1#1": sign * 11, "r1#2": sign * 12, "r2#1": sign * 21})
        store(kind, "augmented", "emodb", {})
    return Features(tmp_path)


def test_a_clip_is_found_by_corpus_and_variant(features):
    assert Clip("r1", "ravdess").variant == "clean" and Clip("r1#2", "ravdess").variant == "augmented"
    for clip, value in [(Clip("r2", "ravdess"), 2), (Clip("r1#2", "ravdess"), 12), (Clip("e1", "emodb"), 3)]:
        spectrogram, prosody = features.get("spectrogram", clip), features.get("prosody", clip)
        assert spectrogram.dtype == prosody.dtype == np.float32
        assert np.array_equal(spectrogram, np.full((3, 2), value))
        assert np.array_equal(prosody, [-value, -value])
        prosody += 1  # the caller's own copy
        assert np.array_equal(features.get("prosody", clip), [-value, -value])


def test_a_feature_set_is_one_row_or_frames_as_its_recipe_says(tmp_path):
    values = np.arange(6.0).reshape(3, 2)
    for kind, stored, fields in (("rows", values[:1], {"n_frames": None}), ("frames", values, {"n_frames": 3})):
        write_arrays(tmp_path / kind / "clean/emodb", [("e1", stored)], dtype="float32", recipe={"fields": fields})
    features = Features(tmp_path)
    assert np.array_equal(features.get("rows", Clip("e1", "emodb")), values[0])
    assert np.array_equal(features.get("frames", Clip("e1", "emodb")), values)


def test_copies_are_listed_by_their_parent(features):
    assert features.copies("spectrogram", "ravdess") == {"r1": ["r1#1", "r1#2"], "r2": ["r2#1"]}
    assert features.copies("prosody", "emodb") == {}


def test_recipe_and_missing_stores(features):
    assert features.recipe("prosody", ["emodb", "ravdess"]) == {"name": "prosody"}
    with pytest.raises(ArraysError, match="spectrogram/clean/tess/.*no such file"):
        features.get("spectrogram", Clip("t1", "tess"))
    with pytest.raises(ArraysError, match="emodb: holds nothing for 'r1'"):
        features.get("spectrogram", Clip("r1", "emodb"))


def test_nobody_is_known_among_stored_features(features):
    mean = features.get("speaker", Clip("r1", "ravdess"))
    assert mean.shape == (2,) and mean.dtype == np.float32 and np.isnan(mean).all()
