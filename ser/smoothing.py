"""Derivatives and peaks of tracks over time, without SciPy, whose signal package takes longer to import than a prediction."""

from functools import cache

import numpy as np


def derivative(tracks: np.ndarray, width: int, *, order: int) -> np.ndarray:
    """First or second derivative, per frame, of the polynomial of that order fitted around each frame.

    Savitzky & Golay (Analytical Chemistry 1964); at the ends the polynomial of the outermost full window goes on. Equals
    `scipy.signal.savgol_filter` with `mode="interp"`.

    Args:
        tracks: (n_frames, n), at least `width` frames.
        width: odd number of frames fitted.
        order: 1 or 2, of the polynomial and of its derivative.

    Returns:
        float64 (n_frames, n).
    """
    middle, edges = _weights(width, order)
    views = np.lib.stride_tricks.sliding_window_view(tracks, width, axis=0)  # (n_frames - width + 1, n, width)
    half = width // 2
    result = np.empty(tracks.shape)
    result[half : len(tracks) - half] = views @ middle
    result[:half] = edges[:half] @ tracks[:width]
    result[len(tracks) - half :] = edges[half + 1 :] @ tracks[-width:]
    return result


@cache
def _weights(width: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a window's frames for the derivative in its middle, (width,), and at each of its frames, (width, width)."""
    place = np.arange(width) - width // 2
    coefficients = np.linalg.pinv(np.vander(place, order + 1, increasing=True))  # (order + 1, width)
    if order == 1:
        every = np.repeat(coefficients[1:2], width, axis=0)
    else:
        every = np.repeat(2 * coefficients[2:3], width, axis=0)
    return every[width // 2], every


def prominent_peaks(track: np.ndarray, *, height: float, prominence: float) -> np.ndarray:
    """Places of local maxima at least `height` high that stand out by `prominence`: int (n_peaks,).

    A flat top counts once, at its middle. Prominence is the height above the higher of the two lowest points between the peak
    and the next higher value, or the end, on either side; as `scipy.signal.find_peaks` has it.
    """
    peaks = [peak for peak in _tops(track) if track[peak] >= height and _prominence(track, peak) >= prominence]
    return np.array(peaks, dtype=int)


def _tops(track: np.ndarray) -> list[int]:
    changes = np.flatnonzero(np.diff(track)) + 1
    starts = np.concatenate(([0], changes))  # of runs of equal values
    ends = np.concatenate((changes, [len(track)])) - 1
    level = track[starts]
    inner = np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])) + 1
    return [int(place) for place in (starts[inner] + ends[inner]) // 2]


def _prominence(track: np.ndarray, peak: int) -> float:
    higher = np.flatnonzero(track > track[peak])
    before, after = higher[higher < peak], higher[higher > peak]
    left = track[before[-1] if len(before) else 0 : peak + 1].min()
    right = track[peak : (after[0] if len(after) else len(track)) + 1].min()
    return float(track[peak] - max(left, right))
