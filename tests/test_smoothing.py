import numpy as np
import pytest
from scipy.signal import find_peaks, savgol_filter

from ser.smoothing import derivative, prominent_peaks


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("n_frames", [9, 10, 200])
def test_derivatives_are_those_of_savitzky_and_golay(n_frames, order):
    tracks = np.random.default_rng(n_frames).normal(size=(n_frames, 20))
    expected = savgol_filter(tracks, 9, polyorder=order, deriv=order, axis=0, mode="interp")
    np.testing.assert_allclose(derivative(tracks, 9, order=order), expected, atol=1e-14)


def test_the_second_derivative_of_a_parabola_is_its_curvature():
    frames = np.arange(30.0)[:, np.newaxis]
    np.testing.assert_allclose(derivative(1.5 * frames**2, 9, order=2), 3.0)


@pytest.mark.parametrize("seed", range(40))
def test_peaks_are_those_of_scipy_flat_tops_included(seed):
    random = np.random.default_rng(seed)
    track = np.round(np.cumsum(random.normal(size=random.integers(3, 300))), int(random.integers(0, 3)))
    height, prominence = float(random.normal(0, 3)), float(abs(random.normal(0, 2)))
    expected, _ = find_peaks(track, height=height, prominence=prominence)
    assert prominent_peaks(track, height=height, prominence=prominence).tolist() == expected.tolist()
