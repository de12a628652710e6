"""The reference systems' front end: librosa's descriptors frame by frame, as they are or summed up in one row.

librosa is imported with the first clip, so that a predictor of models that do without it starts without it.
"""

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ser.errors import SerError

if TYPE_CHECKING:
    from types import ModuleType

NAME = "descriptors"  # of its recipes
_DELTA_FRAMES = 9  # librosa's default window of a derivative
_N_CHROMA, _N_TONNETZ, _N_CONTRAST = 12, 6, 7

Descriptor = Literal[
    "mfcc", "mfcc_delta", "mfcc_delta2", "mel", "log_mel", "chroma", "contrast", "tonnetz", "tonnetz_harmonic",
    "zcr", "rms", "centroid", "bandwidth", "rolloff",
]  # fmt: skip


class DescriptorsError(SerError):
    """The front end's settings contradict each other, or librosa is missing."""


@dataclass(frozen=True)
class Descriptors:
    """Descriptors with librosa's defaults, but for what is set here.

    Either `summary` or `n_frames` is set: one row of functionals over all frames, descriptor by descriptor within each
    functional, or the first `n_frames` frames, NaN where the clip is shorter. `log_mel` and the mel bands under the MFCC are in
    dB re full scale, at most 80 dB below the loudest; `mel` is power. `tonnetz` is librosa's, from a constant-Q chromagram,
    `tonnetz_harmonic` that of the harmonic part alone.
    """

    sampling_rate_hz: int  # signals at another rate are resampled first
    n_fft: int
    hop_samples: int
    descriptors: tuple[Descriptor, ...]
    n_mfcc: int
    n_mfcc_mels: int
    n_mels: int
    summary: tuple[Literal["mean", "sd"], ...] = ()
    n_frames: int | None = None

    def __post_init__(self) -> None:
        """Refuse an empty set, one with neither or both of summary and frames, and more cepstra than bands."""
        for wrong, sentence in (
            (not self.descriptors, "descriptors must name at least one"),
            (bool(self.summary) == bool(self.n_frames), "set summary or n_frames, and not both"),
            (self.n_mfcc > self.n_mfcc_mels, f"n_mfcc {self.n_mfcc} is more than n_mfcc_mels {self.n_mfcc_mels}"),
        ):
            if wrong:
                raise DescriptorsError(f"feature set: {sentence}")

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Descriptors":
        """Rebuild from the `fields` of a stored recipe."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})

    @property
    def recipe(self) -> dict[str, Any]:
        """What `from_fields` needs, for recipe.json."""
        return {"name": NAME, "fields": asdict(self)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the last axis: `mfcc_0`, or with a summary `mfcc_0_mean`."""
        columns = [name for descriptor in self.descriptors for name in self._columns(descriptor)]
        return tuple(f"{name}_{functional}" for functional in self.summary for name in columns) or tuple(columns)

    def _columns(self, descriptor: str) -> list[str]:
        widths = {
            **dict.fromkeys(("mfcc", "mfcc_delta", "mfcc_delta2"), self.n_mfcc),
            **dict.fromkeys(("mel", "log_mel"), self.n_mels),
            **dict.fromkeys(("tonnetz", "tonnetz_harmonic"), _N_TONNETZ),
            "chroma": _N_CHROMA,
            "contrast": _N_CONTRAST,
        }
        width = widths.get(descriptor)
        return [f"{descriptor}_{n}" for n in range(width)] if width else [descriptor]

    def __call__(self, signal: np.ndarray, sampling_rate_hz: int) -> np.ndarray:
        """Descriptors of a mono float32 signal (n_samples,): float32, (1, n_columns) or (n_frames, n_columns).

        Raises:
            DescriptorsError: librosa is not installed.
        """
        frames = self.frames(signal, sampling_rate_hz)
        if self.n_frames:
            shown = np.full((self.n_frames, frames.shape[1]), np.nan, np.float32)
            shown[: len(frames)] = frames[: self.n_frames]
            return shown
        functionals = {"mean": np.mean, "sd": np.std}
        row = np.concatenate([functionals[name](frames, axis=0, dtype=np.float64) for name in self.summary])
        return row[np.newaxis].astype(np.float32)

    def frames(self, signal: np.ndarray, sampling_rate_hz: int) -> np.ndarray:
        """All frames of a signal, float32 (n, columns of one frame)."""
        if sampling_rate_hz != self.sampling_rate_hz:
            import soxr

            signal = soxr.resample(signal, sampling_rate_hz, self.sampling_rate_hz, quality="VHQ")
        clip = _Clip(self, signal)
        with warnings.catch_warnings():
            for message in ("n_fft=.* is too large", "Trying to estimate tuning from empty"):  # short clips, and silence
                warnings.filterwarnings("ignore", message=message, category=UserWarning)
            found = [clip.measure(name) for name in self.descriptors]
        n = min(values.shape[1] for values in found)
        return np.concatenate([values[:, :n] for values in found]).T.astype(np.float32)


class _Clip:
    """One signal, and what its descriptors share: a spectrogram and cepstra computed once."""

    def __init__(self, front_end: Descriptors, signal: np.ndarray) -> None:
        self.front_end, self.signal = front_end, signal
        self.librosa = _librosa()
        self.at = {"sr": front_end.sampling_rate_hz}
        self.framed = {"n_fft": front_end.n_fft, "hop_length": front_end.hop_samples}

    def measure(self, name: str) -> np.ndarray:
        """One descriptor, shape (columns, n_frames)."""
        feature, hop = self.librosa.feature, self.front_end.hop_samples
        measures: dict[str, Callable[[], np.ndarray]] = {
            "mfcc": lambda: self.mfcc,
            "mfcc_delta": lambda: self._derivative(1),
            "mfcc_delta2": lambda: self._derivative(2),
            "mel": lambda: self._mel(self.front_end.n_mels),
            "log_mel": lambda: self.librosa.power_to_db(self._mel(self.front_end.n_mels)),
            "chroma": lambda: feature.chroma_stft(S=self.power, **self.at, **self.framed),
            "contrast": lambda: feature.spectral_contrast(S=self.magnitude, **self.at, **self.framed),
            "tonnetz": lambda: self._tonnetz(self.signal),
            "tonnetz_harmonic": lambda: self._tonnetz(self._harmonic()),
            "zcr": lambda: feature.zero_crossing_rate(self.signal, frame_length=self.front_end.n_fft, hop_length=hop),
            "rms": lambda: feature.rms(y=self.signal, frame_length=self.front_end.n_fft, hop_length=hop),
            "centroid": lambda: feature.spectral_centroid(S=self.magnitude, **self.at, **self.framed),
            "bandwidth": lambda: feature.spectral_bandwidth(S=self.magnitude, **self.at, **self.framed),
            "rolloff": lambda: feature.spectral_rolloff(S=self.magnitude, **self.at, **self.framed),
        }
        return measures[name]()

    @cached_property
    def spectrum(self) -> np.ndarray:
        return self.librosa.stft(self.signal, **self.framed)

    @cached_property
    def magnitude(self) -> np.ndarray:
        return np.abs(self.spectrum)

    @cached_property
    def power(self) -> np.ndarray:
        return self.magnitude**2

    @cached_property
    def mfcc(self) -> np.ndarray:
        bands = self.librosa.power_to_db(self._mel(self.front_end.n_mfcc_mels))
        return self.librosa.feature.mfcc(S=bands, n_mfcc=self.front_end.n_mfcc)

    def _mel(self, n_mels: int) -> np.ndarray:
        return self.librosa.feature.melspectrogram(S=self.power, n_mels=n_mels, **self.at)

    def _derivative(self, order: int) -> np.ndarray:
        mode = "interp" if self.mfcc.shape[1] >= _DELTA_FRAMES else "nearest"  # librosa fits no line to fewer frames
        return self.librosa.feature.delta(self.mfcc, order=order, mode=mode)

    def _harmonic(self) -> np.ndarray:
        harmonic, _ = self.librosa.decompose.hpss(self.spectrum)
        return self.librosa.istft(harmonic, length=len(self.signal), **self.framed)

    def _tonnetz(self, signal: np.ndarray) -> np.ndarray:
        return self.librosa.feature.tonnetz(y=signal, hop_length=self.front_end.hop_samples, **self.at)


def _librosa() -> "ModuleType":
    try:
        import librosa
    except ImportError:
        raise DescriptorsError("this model measures with librosa, which is not here; pip install 'ser[pipeline]'") from None
    return librosa
