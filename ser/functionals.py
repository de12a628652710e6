"""Statistics, over the speech frames of one utterance, of cepstra and other short-time descriptions of its spectrum."""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np

from ser.filterbanks import N_CHROMA, chroma_basis, dct_basis, hann, mel_basis
from ser.smoothing import derivative

_SILENT_DB = -90.0  # re full scale: less than one step of 16 bits
_DELTA_FRAMES = 9  # width of the local fit, librosa's default
_ROLLOFF_SHARE = 0.85  # librosa's default
_CONTRAST_BANDS, _CONTRAST_FLOOR_HZ, _CONTRAST_QUANTILE = 6, 200.0, 0.02  # librosa's defaults, after Jiang et al. 2002

_FEW = ("mean", "sd")
_TREND = ("mean", "sd", "slope")
_BAND = ("mean", "sd", "p10", "p90", "slope")
_FULL = ("mean", "sd", "p10", "p50", "p90", "slope", "skewness", "kurtosis")
_SINGLE = ("centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness_db", "entropy", "flux", "tilt_db_per_khz", "zcr", "rms_db")


@dataclass(frozen=True)
class Functionals:
    """How frames are described and summarised; called with a signal, gives one row of numbers named by `names`."""

    sampling_rate_hz: int
    window_s: float
    hop_s: float
    n_mfcc: int
    n_mels: int
    n_log_mels: int
    speech_gate_db: float
    floor_db: float
    minimum_frames: int

    @cached_property
    def _groups(self) -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
        """Key of a group of descriptors, their names with units, and the statistics taken of each."""

        def numbered(name: str, count: int, unit: str = "") -> tuple[str, ...]:
            return tuple(f"{name}{n:02d}{unit}" for n in range(count))

        return (
            ("mfcc", numbered("mfcc", self.n_mfcc), _FULL),
            ("mfcc_delta", numbered("mfcc_delta", self.n_mfcc), _FEW),
            ("mfcc_delta2", numbered("mfcc_delta2_", self.n_mfcc), _FEW),
            ("log_mel", numbered("log_mel", self.n_log_mels, "_db"), _BAND),
            ("chroma", numbered("chroma", N_CHROMA), _FEW),
            ("contrast", numbered("contrast", _CONTRAST_BANDS + 1, "_db"), _TREND),
            ("single", _SINGLE, _FULL),
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names: `fun_<descriptor>_<statistic>`; a slope is per second, skewness and kurtosis have no unit."""
        return (
            "fun_level_db",
            *(f"fun_{name}_{kind}" for _, columns, kinds in self._groups for kind in kinds for name in columns),
        )

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Summarise a mono float signal of shape (n_samples,); full scale is 1.0.

        Returns:
            float32 of shape (n_columns,), all NaN when there are too few frames of speech. Except for the first
            column, the level of the speech, nothing depends on the recording gain.
        """
        described = self.describe(signal)
        if described is None:
            return np.full(len(self.names), np.nan, dtype=np.float32)
        times, level_db, tracks = described
        row = [np.array([level_db])]
        for key, _, kinds in self._groups:
            row.append(_summary(tracks[key], times, kinds))
        return np.concatenate(row).astype(np.float32)

    def describe(self, signal: np.ndarray) -> tuple[np.ndarray, float, dict[str, np.ndarray]] | None:
        """Descriptors of the speech frames: times in s (n_speech,), level in dB, and (n_speech, n) by group; or None."""
        width, hop = round(self.window_s * self.sampling_rate_hz), round(self.hop_s * self.sampling_rate_hz)
        if len(signal) < width + (max(self.minimum_frames, _DELTA_FRAMES) - 1) * hop:
            return None
        samples = signal - signal.mean(dtype=np.float64)
        frames = np.lib.stride_tricks.sliding_window_view(samples, width)[::hop]
        energy = np.einsum("ij,ij->i", frames, frames) / width
        energy_db = 10 * np.log10(np.maximum(energy, 1e-12))
        loud = np.percentile(energy_db, 95)
        speech = np.flatnonzero(energy_db >= loud - self.speech_gate_db)
        if loud <= _SILENT_DB or len(speech) < self.minimum_frames:
            return None
        level = energy[speech].mean()

        n_fft = _n_fft(width)
        bases = _bases(self.sampling_rate_hz, width, self.n_mels, self.n_log_mels)
        spectrum = np.fft.rfft(frames * bases.window, n_fft)
        power = (spectrum.real**2 + spectrum.imag**2) / level
        # Deltas need neighbours, so cepstra are taken of all frames and gated after.
        mfcc = self._db(power @ bases.mel) @ dct_basis(self.n_mels, self.n_mfcc)
        delta = derivative(mfcc, _DELTA_FRAMES, order=1)
        delta2 = derivative(mfcc, _DELTA_FRAMES, order=2)
        magnitude = np.sqrt(power)
        share = power / np.maximum(power.sum(axis=1, keepdims=True), 1e-12)
        flux = np.concatenate(([0.0], np.sqrt((np.diff(np.sqrt(share), axis=0) ** 2).sum(axis=1))))
        crossings = (np.signbit(frames[:, 1:]) != np.signbit(frames[:, :-1])).mean(axis=1)
        rms_db = 10 * np.log10(energy[speech] / level)
        tracks = {
            "mfcc": mfcc[speech],
            "mfcc_delta": delta[speech],
            "mfcc_delta2": delta2[speech],
            "log_mel": self._db(power[speech] @ bases.log_mel),
            "chroma": _chroma(power[speech], bases.chroma),
            "contrast": _contrast(magnitude[speech], self.sampling_rate_hz),
            "single": np.column_stack(
                (*_shape(magnitude[speech], power[speech], bases.hz), flux[speech], self._tilt(power[speech], bases.hz),
                 crossings[speech], rms_db)
            ),
        }  # fmt: skip
        return speech * self.hop_s, float(10 * np.log10(level)), tracks

    def _db(self, power: np.ndarray) -> np.ndarray:
        """Decibels with a floor `floor_db` below the loudest value of the clip (librosa's `top_db`)."""
        return 10 * np.log10(np.maximum(power, power.max() * 10 ** (-self.floor_db / 10)))

    def _tilt(self, power: np.ndarray, hz: np.ndarray) -> np.ndarray:
        """Slope of the line through the spectrum in dB, per kHz."""
        khz = hz / 1000 - hz.mean() / 1000
        return (self._db(power) @ khz) / (khz @ khz)


@dataclass(frozen=True)
class _Bases:
    window: np.ndarray
    hz: np.ndarray
    mel: np.ndarray
    log_mel: np.ndarray
    chroma: np.ndarray


def _n_fft(width: int) -> int:
    return 1 << (width - 1).bit_length()


@cache
def _bases(sampling_rate_hz: int, width: int, n_mels: int, n_log_mels: int) -> _Bases:
    """Filters depend on the parameters alone and take longer than a clip: once a process."""
    n_fft = _n_fft(width)
    return _Bases(
        window=hann(width),
        hz=np.arange(n_fft // 2 + 1) * sampling_rate_hz / n_fft,
        mel=mel_basis(sampling_rate_hz, n_fft, n_mels, 0.0, sampling_rate_hz / 2),
        log_mel=mel_basis(sampling_rate_hz, n_fft, n_log_mels, 0.0, sampling_rate_hz / 2),
        chroma=chroma_basis(sampling_rate_hz, n_fft),
    )


def _chroma(power: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Energy by pitch class, the largest of each frame being 1."""
    raw = power @ basis
    return raw / np.maximum(raw.max(axis=1, keepdims=True), 1e-12)


def _contrast(magnitude: np.ndarray, sampling_rate_hz: int) -> np.ndarray:
    """Peak over valley of each octave band in dB, the bands and quantiles as in librosa."""
    edges = (0.0, *(_CONTRAST_FLOOR_HZ * 2.0 ** np.arange(_CONTRAST_BANDS + 1)))
    n_bins = magnitude.shape[1]
    hz = np.arange(n_bins) * sampling_rate_hz / (2 * (n_bins - 1))
    columns = []
    for k, (low, high) in enumerate(pairwise(edges)):
        bins = np.flatnonzero((hz >= low) & (hz <= high))
        first, last = bins[0] - (k > 0), bins[-1]
        last = n_bins - 1 if k == _CONTRAST_BANDS else last
        count = last + 1 - first
        stop = last + 1 if k == _CONTRAST_BANDS else last  # librosa drops the upper edge of all bands but the last
        n = max(1, round(_CONTRAST_QUANTILE * count))
        band = np.sort(magnitude[:, first:stop], axis=1)
        valley, peak = band[:, :n].mean(axis=1), band[:, -n:].mean(axis=1)
        columns.append(10 * np.log10(np.maximum(peak, 1e-10) / np.maximum(valley, 1e-10)))
    return np.column_stack(columns)


def _shape(magnitude: np.ndarray, power: np.ndarray, hz: np.ndarray) -> tuple[np.ndarray, ...]:
    """Centroid, bandwidth, roll-off (Hz), flatness (dB) and entropy (0 to 1) of each frame, each of shape (n_frames,)."""
    share = magnitude / np.maximum(magnitude.sum(axis=1, keepdims=True), 1e-12)
    centroid = share @ hz
    bandwidth = np.sqrt(np.maximum(share @ hz**2 - centroid**2, 0.0))
    rolloff = hz[np.argmax(np.cumsum(share, axis=1) >= _ROLLOFF_SHARE, axis=1)]
    floored = np.maximum(power, 1e-10)
    flatness = 10 * (np.log10(floored).mean(axis=1) - np.log10(floored.mean(axis=1)))
    p = floored / floored.sum(axis=1, keepdims=True)
    entropy = -(p * np.log(p)).sum(axis=1) / np.log(p.shape[1])
    return centroid, bandwidth, rolloff, flatness, entropy


def _summary(x: np.ndarray, times: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    """Statistics of each column of `x` (n_frames, n), one statistic after the other: shape (n_kinds * n,)."""
    mean = x.mean(axis=0)
    centred = x - mean
    variance = (centred**2).mean(axis=0)
    computed = {"mean": mean, "sd": np.sqrt(variance)}
    if "slope" in kinds:
        t = times - times.mean()
        computed["slope"] = (t @ centred) / (t @ t)
    if "p10" in kinds:
        computed["p10"], computed["p50"], computed["p90"] = np.percentile(x, (10, 50, 90), axis=0)
    if "skewness" in kinds:
        square = centred**2
        spread = np.where(variance > 1e-12 * (mean**2 + 1e-12), variance, np.nan)  # a constant has no shape
        computed["skewness"] = (square * centred).mean(axis=0) / spread**1.5
        computed["kurtosis"] = (square**2).mean(axis=0) / spread**2 - 3
    return np.concatenate([computed[kind] for kind in kinds])
