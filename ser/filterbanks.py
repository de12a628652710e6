"""Weights that sum the bins of a power spectrum into mel bands or pitch classes, and mel bands into cepstra.

Written out rather than taken from librosa and SciPy, whose import costs seconds that a predictor's start cannot spare; tests
hold them to the values of these two.
"""

import numpy as np

N_CHROMA = 12
_A4_HZ = 440.0
_LINEAR_HZ, _MELS_PER_HZ, _OCTAVE = 1000.0, 3 / 200, np.log(6.4) / 27  # Slaney: linear to 1 kHz, then logarithmic


def mel_basis(sampling_rate_hz: int, n_fft: int, n_mels: int, minimum_hz: float, maximum_hz: float) -> np.ndarray:
    """Triangles of equal area between equally spaced points of Slaney's mel scale (Auditory Toolbox, 1998).

    Returns:
        float64, shape (n_fft // 2 + 1, n_mels).
    """
    edges_hz = _mel_to_hz(np.linspace(_hz_to_mel(minimum_hz), _hz_to_mel(maximum_hz), n_mels + 2))
    bins_hz = np.fft.rfftfreq(n_fft, 1 / sampling_rate_hz)[:, np.newaxis]
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    return np.maximum(0, np.minimum(rising, falling)) * (2 / (edges_hz[2:] - edges_hz[:-2]))


def chroma_basis(sampling_rate_hz: int, n_fft: int) -> np.ndarray:
    """Gaussian bumps around the twelve pitch classes from C, weighted towards the middle octaves (Ellis 2007).

    A bin's bump is as wide as the bin is, in semitones; octaves count by a Gaussian around the fifth, two octaves wide.
    Equals `librosa.filters.chroma` with its defaults and no tuning.

    Returns:
        float64, shape (n_fft // 2 + 1, 12); the column sums of squares over pitch classes are one a bin.
    """
    bins_hz = np.linspace(0, sampling_rate_hz, n_fft, endpoint=False)[1:]
    semitones = N_CHROMA * np.log2(bins_hz / (_A4_HZ / 16))
    semitones = np.concatenate(([semitones[0] - 1.5 * N_CHROMA], semitones))  # the bin at 0 Hz lies below all others
    width = np.concatenate((np.maximum(np.diff(semitones), 1.0), [1.0]))
    distance = np.subtract.outer(semitones, np.arange(N_CHROMA))
    distance = np.remainder(distance + N_CHROMA / 2 + 10 * N_CHROMA, N_CHROMA) - N_CHROMA / 2
    bumps = np.exp(-0.5 * (2 * distance / width[:, np.newaxis]) ** 2)
    bumps /= np.linalg.norm(bumps, axis=1, keepdims=True)
    bumps *= np.exp(-0.5 * ((semitones / N_CHROMA - 5.0) / 2.0) ** 2)[:, np.newaxis]
    return np.roll(bumps, -3, axis=1)[: n_fft // 2 + 1]  # from A to C


def dct_basis(n: int, n_kept: int) -> np.ndarray:
    """Matrix whose columns give the first coefficients of the orthonormal DCT-II of a row: float64, shape (n, n_kept)."""
    basis = np.cos(np.pi / n * np.outer(np.arange(n) + 0.5, np.arange(n_kept))) * np.sqrt(2 / n)
    basis[:, 0] /= np.sqrt(2)
    return basis


def hann(n: int) -> np.ndarray:
    """Periodic Hann window, float64 (n,)."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


def _hz_to_mel(hz: float) -> float:
    if hz < _LINEAR_HZ:
        return hz * _MELS_PER_HZ
    return _LINEAR_HZ * _MELS_PER_HZ + np.log(hz / _LINEAR_HZ) / _OCTAVE


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    bend = _LINEAR_HZ * _MELS_PER_HZ
    return np.where(mel < bend, mel / _MELS_PER_HZ, _LINEAR_HZ * np.exp(_OCTAVE * (np.maximum(mel, bend) - bend)))
