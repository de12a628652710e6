"""Filter banks, equal to librosa's and SciPy's, which a predictor does without."""

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from ser.filterbanks import chroma_basis, dct_basis, hann, mel_basis


@pytest.mark.parametrize(
    ("rate_hz", "n_fft", "n_mels", "minimum_hz", "maximum_hz"),
    [
        (16000, 512, 64, 50.0, 8000.0),
        (16000, 512, 40, 0.0, 8000.0),
        (8000, 256, 26, 0.0, 3800.0),
        (44100, 2048, 128, 20.0, 11000.0),
        (16000, 1024, 20, 1500.0, 7000.0),  # all of it on the logarithmic part of the scale
        (16000, 1024, 10, 0.0, 900.0),  # all of it on the linear part
    ],
)
def test_mel_bands_are_those_of_librosa(rate_hz, n_fft, n_mels, minimum_hz, maximum_hz):
    expected = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=n_mels, fmin=minimum_hz, fmax=maximum_hz, dtype=np.float64)
    found = mel_basis(rate_hz, n_fft, n_mels, minimum_hz, maximum_hz)
    assert found.shape == (n_fft // 2 + 1, n_mels) and found.dtype == np.float64
    np.testing.assert_allclose(found, expected.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("rate_hz", "n_fft"), [(16000, 512), (16000, 400), (8000, 256), (44100, 2048)])
def test_pitch_classes_are_those_of_librosa(rate_hz, n_fft):
    expected = librosa.filters.chroma(sr=rate_hz, n_fft=n_fft, tuning=0.0, dtype=np.float64)
    found = chroma_basis(rate_hz, n_fft)
    assert found.shape == (n_fft // 2 + 1, 12)
    np.testing.assert_allclose(found, expected.T, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("n", "kept"), [(40, 20), (26, 26), (3, 1)])
def test_the_cosine_matrix_is_scipys_transform(n, kept):
    x = np.random.default_rng(1).normal(size=(5, n))
    np.testing.assert_allclose(x @ dct_basis(n, kept), scipy.fft.dct(x, type=2, norm="ortho")[:, :kept], atol=1e-12)


@pytest.mark.parametrize("n", [400, 401, 512])
def test_the_window_is_periodic(n):
    np.testing.assert_allclose(hann(n), scipy.signal.get_window("hann", n, fftbins=True), atol=1e-15)
