"""A spectrogram of any length as windows of the length that the models take."""

import numpy as np


def windows(frames: np.ndarray, n_frames: int) -> np.ndarray:
    """Cut a spectrogram (frames, bands) into overlapping windows: (n, n_frames, bands), NaN where it is too short.

    Windows overlap by half and the last one ends with the clip, so that every frame is seen.
    """
    if len(frames) <= n_frames:
        return pad(frames, n_frames)[np.newaxis]
    return np.stack([frames[start : start + n_frames] for start in window_starts(len(frames), n_frames)])


def window_starts(n: int, n_frames: int) -> list[int]:
    """First frame of each window of a clip of `n` frames."""
    return sorted({*range(0, n - n_frames, n_frames // 2), n - n_frames}) if n > n_frames else [0]


def pad(frames: np.ndarray, n_frames: int) -> np.ndarray:
    """Append NaN frames up to `n_frames`: the models read NaN as 'nothing here'."""
    padded = np.full((n_frames, frames.shape[1]), np.nan, np.float32)
    padded[: len(frames)] = frames
    return padded
