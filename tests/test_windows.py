"""Windows of one length that miss nothing of a spectrogram."""

import numpy as np
import pytest

from ser.windows import pad, window_starts, windows


@pytest.mark.parametrize("n", [1, 7, 8, 9, 12, 13, 16, 40, 41])
def test_windows_are_of_one_length_and_cover_every_frame(n):
    frames = np.arange(n * 2, dtype=np.float32).reshape(n, 2)
    cut = windows(frames, 8)
    assert cut.shape[1:] == (8, 2) and cut.dtype == np.float32
    assert set(cut[~np.isnan(cut)]) == set(frames.ravel())
    assert len(cut) == max(1, int(np.ceil((n - 8) / 4)) + 1)
    assert np.isnan(cut).any() == (n < 8)
    starts = window_starts(n, 8)
    assert (np.diff(starts) <= 4).all(), "neighbours overlap by at least a half"
    assert [frames[start, 0] for start in starts] == cut[:, 0, 0].tolist()
    assert starts[0] == 0 and starts[-1] == max(0, n - 8)


def test_padding_is_nan_at_the_end():
    frames = np.ones((3, 2), np.float32)
    padded = pad(frames, 5)
    assert padded.dtype == np.float32
    assert np.array_equal(padded[:3], frames) and np.isnan(padded[3:]).all() and padded.shape == (5, 2)
    assert np.array_equal(pad(frames, 3), frames)
