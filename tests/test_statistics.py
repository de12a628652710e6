"""Training statistics agree with numpy's, over ragged arrays with gaps."""

import numpy as np
import pytest

from ser.statistics import column_statistics


@pytest.fixture
def clips():
    random = np.random.default_rng(1)
    clips = [random.normal([0.0, 500.0, -60.0], [1.0, 200.0, 0.1], (n, 3)).astype(np.float32) for n in (1, 40, 7, 300)]
    for clip in clips:
        clip[random.random(clip.shape) < 0.2] = np.nan
    return clips


def test_mean_and_deviation_over_all_defined_values(clips):
    mean, deviation = column_statistics(iter(clips))
    together = np.concatenate(clips).astype(np.float64)
    np.testing.assert_allclose(mean, np.nanmean(together, axis=0), rtol=1e-12)
    np.testing.assert_allclose(deviation, np.nanstd(together, axis=0), rtol=1e-6)


def test_single_rows_and_single_vectors_are_the_same(clips):
    rows = np.concatenate(clips)
    for shape in [(1, 3), (3,)]:
        np.testing.assert_allclose(column_statistics(row.reshape(shape) for row in rows), column_statistics([rows]), rtol=1e-12)


def test_level_free_leaves_each_clips_own_level_out(clips):
    levelled = [clip.astype(np.float64) - np.nanmean(clip.astype(np.float64)) for clip in clips]
    louder = [clip + np.float32(level) for clip, level in zip(clips, (0, 8, -16, 4), strict=True)]
    for given in (clips, louder):
        mean, deviation = column_statistics(given, level_free=True)
        np.testing.assert_allclose(mean, np.nanmean(np.concatenate(levelled), axis=0), rtol=1e-4)
        np.testing.assert_allclose(deviation, np.nanstd(np.concatenate(levelled), axis=0), rtol=1e-4)


def test_columns_without_values_or_without_variation():
    mean, deviation = column_statistics([np.array([[np.nan, 7.0], [np.nan, 7.0]], np.float32)] * 3)
    assert np.array_equal(mean, [0.0, 7.0]) and np.array_equal(deviation, [0.0, 0.0])


def test_the_arrays_are_left_as_they_are(clips):
    before = [clip.copy() for clip in clips]
    column_statistics(clips, level_free=True)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, clips, strict=True))
