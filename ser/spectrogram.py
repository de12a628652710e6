"""The spectrogram front end: log-mel bands, with MFCC and chroma as further bands on request."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from ser.errors import SerError
from ser.filterbanks import chroma_basis, dct_basis, hann, mel_basis

_FLOOR_POWER = 1e-10  # -100 dB re full scale: below any recording's noise, so that digital zero stays finite


class SpectrogramError(SerError):
    """The front end's settings contradict each other."""


@dataclass(frozen=True)
class Spectrogram:
    """Log-mel spectrogram of a mono signal, and what may stand beside it along the frequency axis.

    Power is in dB re a full-scale sine's bin, bands follow Slaney's mel scale with equal area (the librosa default,
    after Slaney, Auditory Toolbox, 1998). MFCC are the orthonormal DCT-II of the same log-mel bands.
    """

    sampling_rate_hz: int
    window_s: float
    hop_s: float
    n_mels: int
    minimum_hz: float
    maximum_hz: float
    trim_db: float  # leading and trailing frames this far below the loudest are cut
    further_bands: tuple[Literal["mfcc", "chroma"], ...] = ()
    n_mfcc: int = 20

    def __post_init__(self) -> None:
        """Refuse what would end in empty bands, no frames or wrong band names."""
        for wrong, sentence in (
            (self.maximum_hz > self.sampling_rate_hz / 2,
             f"maximum_hz {self.maximum_hz} is above half of sampling_rate_hz {self.sampling_rate_hz}"),
            (self.minimum_hz >= self.maximum_hz, f"minimum_hz {self.minimum_hz} is not below maximum_hz {self.maximum_hz}"),
            (self.trim_db <= 0, f"trim_db {self.trim_db} is not above 0 (1000.0 keeps every frame)"),
            ("mfcc" in self.further_bands and self.n_mfcc > self.n_mels,
             f"n_mfcc {self.n_mfcc} is more than n_mels {self.n_mels}"),
        ):  # fmt: skip
            if wrong:
                raise SpectrogramError(f"spectrogram.{sentence}")

    @property
    def n_fft(self) -> int:
        """Transform length: the next power of two that holds the window."""
        return 1 << (self.window_samples - 1).bit_length()

    @property
    def window_samples(self) -> int:
        """Window length in samples."""
        return round(self.window_s * self.sampling_rate_hz)

    @property
    def hop_samples(self) -> int:
        """Hop length in samples."""
        return round(self.hop_s * self.sampling_rate_hz)

    @property
    def band_names(self) -> list[str]:
        """Names of the frequency axis, in order."""
        names = [f"mel_{n}" for n in range(self.n_mels)]
        if "mfcc" in self.further_bands:
            names += [f"mfcc_{n}" for n in range(self.n_mfcc)]
        if "chroma" in self.further_bands:
            names += [f"chroma_{n}" for n in range(12)]
        return names

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Bands over time of a mono float32 signal of shape (n_samples,): float32, shape (n_frames, n_bands)."""
        return self.trimmed(signal)[0]

    def trimmed(self, signal: np.ndarray) -> tuple[np.ndarray, int]:
        """The same, and how many leading frames were cut as silence."""
        power, first = self._trim(_power(signal, self.window_samples, self.hop_samples, self.n_fft))
        mel = 10 * np.log10(np.maximum(power @ _mel_basis(self), _FLOOR_POWER))
        bands = [mel]
        if "mfcc" in self.further_bands:
            bands.append(mel @ dct_basis(self.n_mels, self.n_mfcc).astype(np.float32))
        if "chroma" in self.further_bands:
            chroma = power @ _chroma_basis(self)
            bands.append(chroma / np.maximum(chroma.max(axis=1, keepdims=True), _FLOOR_POWER))
        return np.concatenate(bands, axis=1, dtype=np.float32), first

    def _trim(self, power: np.ndarray) -> tuple[np.ndarray, int]:
        """Cut the silence at both ends: its length tells the corpus, not the emotion."""
        level = 10 * np.log10(np.maximum(power.sum(axis=1), _FLOOR_POWER))
        loud = np.flatnonzero(level > level.max() - self.trim_db)
        return power[loud[0] : loud[-1] + 1], int(loud[0])


def _power(signal: np.ndarray, window_samples: int, hop_samples: int, n_fft: int) -> np.ndarray:
    """Power spectra of Hann-windowed frames, ends padded by reflection: shape (n_frames, n_fft // 2 + 1)."""
    half = window_samples // 2
    mode = "reflect" if len(signal) > half else "constant"
    padded = np.pad(signal, half, mode=mode)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window_samples)[::hop_samples]
    spectra = np.fft.rfft(frames * _window(window_samples), n=n_fft, axis=1)
    return spectra.real**2 + spectra.imag**2


@cache
def _window(n_samples: int) -> np.ndarray:
    window = hann(n_samples)
    return (2 * window / window.sum()).astype(np.float32)  # a full-scale sine has power 1 in its bin


@cache
def _mel_basis(front_end: Spectrogram) -> np.ndarray:
    return mel_basis(
        front_end.sampling_rate_hz, front_end.n_fft, front_end.n_mels, front_end.minimum_hz, front_end.maximum_hz
    ).astype(np.float32)


@cache
def _chroma_basis(front_end: Spectrogram) -> np.ndarray:
    return chroma_basis(front_end.sampling_rate_hz, front_end.n_fft).astype(np.float32)
