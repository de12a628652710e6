"""Altered copies of training clips: pitch, tempo, colour, position, level and noise, each copy the same whenever it is made."""

import random
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from ser.audio import to_float, to_int16

_NOISE_FLAT_BELOW_HZ = 50.0  # a slope carried on towards 0 Hz would put most of the power where nobody hears it


@dataclass(frozen=True)
class AugmentParams:
    """How many copies a clip gets, and how far each alteration may go when it is drawn."""

    copies: int
    seed: int
    pitch_probability: float
    min_pitch_semitones: float
    max_pitch_semitones: float
    stretch_probability: float
    min_stretch_rate: float  # above 1 is faster
    max_stretch_rate: float
    eq_probability: float
    min_eq_gain_db: float
    max_eq_gain_db: float
    shift_probability: float
    min_shift_s: float
    max_shift_s: float
    gain_probability: float
    min_gain_db: float
    max_gain_db: float
    noise_probability: float
    min_noise_snr_db: float
    max_noise_snr_db: float
    min_noise_slope_db_per_octave: float  # of its power: 0 is white, -3 pink, -6 brown
    max_noise_slope_db_per_octave: float

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from (ValueError)."""
        if self.copies < 0:
            raise ValueError(f"copies must not be negative, got {self.copies}")
        if not 0 < self.min_stretch_rate:
            raise ValueError(f"min_stretch_rate must be above 0, got {self.min_stretch_rate}")
        for name in (field.name for field in fields(self)):
            if name.endswith("_probability") and not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name)}")
            other = name.replace("min_", "max_", 1)
            if name.startswith("min_") and getattr(self, name) > getattr(self, other):
                raise ValueError(f"{name} must not be above {other}")


@dataclass(frozen=True)
class Augmenter:
    """Makes the copies; small enough to be sent to a worker process with every batch."""

    params: AugmentParams
    sampling_rate_hz: int

    def __call__(self, signal: np.ndarray, utterance_id: str, copy: int) -> np.ndarray:
        """One altered copy.

        The draws depend on the utterance's id, the number of the copy and the seed, and on nothing else, so neither the
        order of the work nor the number of workers matters. Not for threads: the global generators are borrowed.

        Args:
            signal: mono float32, shape (n_samples,).
            utterance_id: id of the parent.
            copy: from 1.

        Returns:
            Mono float32 on the 16-bit grid, shape (n_samples,) or, if stretched, (about n_samples / rate,).
        """
        seed = zlib.crc32(f"{utterance_id}#{copy}#{self.params.seed}".encode())
        with _seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # audiomentations warns of its own defaults, not of our signals
            altered = _chain(self.params)(np.ascontiguousarray(signal, dtype=np.float32), self.sampling_rate_hz)
        draws = np.random.default_rng(seed)
        if draws.random() < self.params.noise_probability:
            altered = self._noisy(altered, draws)
        return to_float(to_int16(altered / max(1.0, np.abs(altered).max())))  # too loud is turned down, not clipped

    def _noisy(self, signal: np.ndarray, draws: np.random.Generator) -> np.ndarray:
        """Add noise of a drawn colour at a drawn ratio of the root mean squares, silences included.

        Written here because audiomentations' AddColorNoise lets its slope run to 0 Hz: nearly all the power of its brown
        noise lies below 60 Hz, which leaves speech cleaner than the ratio says.
        """
        snr_db = draws.uniform(self.params.min_noise_snr_db, self.params.max_noise_snr_db)
        slope_db = draws.uniform(self.params.min_noise_slope_db_per_octave, self.params.max_noise_slope_db_per_octave)
        spectrum = np.fft.rfft(draws.standard_normal(len(signal)))
        frequencies_hz = np.fft.rfftfreq(len(signal), 1 / self.sampling_rate_hz)
        octaves = np.log2(np.maximum(frequencies_hz, _NOISE_FLAT_BELOW_HZ) / _NOISE_FLAT_BELOW_HZ)
        noise = np.fft.irfft(spectrum * 10 ** (slope_db * octaves / 20), len(signal))
        return signal + noise * (_rms(signal) / _rms(noise) * 10 ** (-snr_db / 20))


def _rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


@lru_cache(maxsize=8)
def _chain(params: AugmentParams) -> Any:
    """The steps audiomentations does, in the order in which a voice, a room and a recorder would.

    Signalsmith's stretcher for pitch and tempo: on 12 clips of EmoDB it met the pitch asked within about 0.1 semitones and
    moved HNR by less than 0.5 dB (medians), where librosa's phase vocoder was off by 0.4 and took 3 to 5 dB off the HNR,
    which is one of our features.
    """
    from audiomentations import Compose, Gain, PitchShift, SevenBandParametricEQ, Shift, TimeStretch

    return Compose([
        PitchShift(
            params.min_pitch_semitones, params.max_pitch_semitones, method="signalsmith_stretch", p=params.pitch_probability
        ),
        TimeStretch(
            params.min_stretch_rate,
            params.max_stretch_rate,
            leave_length_unchanged=False,
            method="signalsmith_stretch",
            p=params.stretch_probability,
        ),
        Shift(params.min_shift_s, params.max_shift_s, shift_unit="seconds", rollover=False, p=params.shift_probability),
        SevenBandParametricEQ(params.min_eq_gain_db, params.max_eq_gain_db, p=params.eq_probability),
        Gain(params.min_gain_db, params.max_gain_db, p=params.gain_probability),
    ])  # fmt: skip


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed both global generators, from which audiomentations draws, and put them back as they were."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
