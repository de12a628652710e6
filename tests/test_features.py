"""Stored features found by corpus and variant, cut into windows that miss nothing."""

import numpy as np
import pytest

from ser.arrays import ArraysError, write_arrays
from ser.features import Clip, Features, pad, windows


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


def test_copies_are_listed_by_their_parent(features):
    assert features.copies("spectrogram", "ravdess") == {"r1": ["r1#1", "r1#2"], "r2": ["r2#1"]}
    assert features.copies("prosody", "emodb") == {}


def test_recipe_and_missing_stores(features):
    assert features.recipe("prosody", ["emodb", "ravdess"]) == {"name": "prosody"}
    with pytest.raises(ArraysError, match="spectrogram/clean/tess/.*no such file"):
        features.get("spectrogram", Clip("t1", "tess"))
    with pytest.raises(ArraysError, match="emodb: holds nothing for 'r1'"):
        features.get("spectrogram", Clip("r1", "emodb"))


@pytest.mark.parametrize("n", [1, 7, 8, 9, 12, 13, 16, 40, 41])
def test_windows_are_of_one_length_and_cover_every_frame(n):
    frames = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
    cut = windows(frames, 8)
    assert cut.shape[1:] == (8, 2) and cut.dtype == np.float32
    assert set(cut[~np.isnan(cut)]) == set(frames.ravel())
    assert len(cut) == max(1, int(np.ceil((n - 8) / 4)) + 1)
    assert np.isnan(cut).any() == (n < 8)
    assert (np.diff(cut[:, 0, 0]) <= 8).all(), "neighbours overlap by at least a half"


def test_padding_is_nan_at_the_end():
    frames = np.ones((3, 2), np.float32)
    padded = pad(frames, 5)
    assert padded.dtype == np.float32
    assert np.array_equal(padded[:3], frames) and np.isnan(padded[3:]).all() and padded.shape == (5, 2)
    assert np.array_equal(pad(frames, 3), frames)
