"""Derivatives and peaks, equal to SciPy's, which a predictor does without."""

import numpy as np
import pytest
from scipy.signal import find_peaks, savgol_filter

from ser.smoothing import derivative, prominent_peaks


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("n_frames", "width"), [(60, 9), (9, 9), (10, 9), (30, 5)])
def test_derivatives_are_those_of_savgol_filter_ends_included(n_frames, width, order):
    tracks = np.random.default_rng(n_frames).normal(size=(n_frames, 4)).cumsum(axis=0)
    expected = savgol_filter(tracks, width, polyorder=order, deriv=order, axis=0, mode="interp")
    np.testing.assert_allclose(derivative(tracks, width, order=order), expected, atol=1e-9)


def test_the_slope_of_a_line_is_its_slope_everywhere():
    line = np.arange(20.0)[:, None] * [2.0, -3.0]
    np.testing.assert_allclose(derivative(line, 9, order=1), np.tile([2.0, -3.0], (20, 1)), atol=1e-12)
    np.testing.assert_allclose(derivative(line, 9, order=2), 0.0, atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("coarse", [False, True])
def test_peaks_are_those_of_find_peaks(seed, coarse):
    track = np.random.default_rng(seed).normal(0, 3, 200).cumsum()
    track = np.round(track / 2) if coarse else track  # flat tops and ties
    height, prominence = float(np.median(track)), 2.0
    expected, _ = find_peaks(track, height=height, prominence=prominence)
    assert len(expected)
    assert prominent_peaks(track, height=height, prominence=prominence).tolist() == expected.tolist()


@pytest.mark.parametrize("track", [[1.0], [1.0, 2.0], [3.0] * 8, [1.0, 2.0, 3.0], [3.0, 1.0, 3.0]])
def test_what_has_no_peak_has_none(track):
    found = prominent_peaks(np.array(track), height=0.0, prominence=0.1)
    assert found.dtype == int and found.tolist() == find_peaks(np.array(track), height=0.0, prominence=0.1)[0].tolist() == []
