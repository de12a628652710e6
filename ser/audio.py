"""Any audio file to one mono signal at one rate, on the 16-bit grid."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ser.errors import SerError

_LFS_MAGIC = b"version https://git-lfs"


class AudioError(SerError):
    """A file is not usable speech; the message says why in words fit for a table."""


@dataclass(frozen=True)
class AudioParams:
    """What counts as usable audio, and the rate everything downstream works at."""

    sampling_rate_hz: int
    minimum_s: float
    silence_peak: float  # full scale is 1.0


@dataclass(frozen=True)
class Decoded:
    """Samples as they stand in a file: float32, shape (n_samples, n_channels), full scale 1.0."""

    samples: np.ndarray
    sampling_rate_hz: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sampling_rate_hz

    @property
    def sha256(self) -> str:
        """Hash of the sample values and their layout: equal for the same audio in another container or folder."""
        n_samples, n_channels = self.samples.shape
        digest = hashlib.sha256(f"{n_samples}x{n_channels}@{self.sampling_rate_hz}".encode())
        digest.update(np.ascontiguousarray(self.samples).tobytes())
        return digest.hexdigest()


def decode(source: Path | BinaryIO) -> Decoded:
    """Decode what libsndfile can open, else what audioread can; the suffix is not trusted.

    Raises:
        AudioError: a Git-LFS pointer, an undecodable or empty file, or non-finite samples.
    """
    import soundfile

    if isinstance(source, Path):
        with open(source, "rb") as file:
            if file.read(len(_LFS_MAGIC)) == _LFS_MAGIC:
                raise AudioError("Git-LFS pointer, not audio; fetch it with `git lfs pull`")
    try:
        samples, rate = soundfile.read(source, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError):
        samples, rate = _decode_audioread(source)
    if not len(samples):
        raise AudioError("undecodable: no samples in it")
    if not np.isfinite(samples).all():
        raise AudioError("undecodable: samples that are not numbers")
    return Decoded(samples, rate)


def _decode_audioread(source: Path | BinaryIO) -> tuple[np.ndarray, int]:
    import audioread

    if not isinstance(source, Path):
        raise AudioError("undecodable: no audio format that libsndfile knows")
    try:
        with audioread.audio_open(str(source)) as file:
            data = b"".join(file)
            rate, n_channels = file.samplerate, file.channels
    except (audioread.DecodeError, EOFError, OSError):
        raise AudioError("undecodable: neither libsndfile nor audioread can open it") from None
    samples = np.frombuffer(data, "<i2").reshape(-1, n_channels).astype(np.float32) / 32768
    return samples, rate


def to_signal(decoded: Decoded, params: AudioParams) -> np.ndarray:
    """Mono float32 signal at the working rate, shape (n_samples,), each value a multiple of 1/32768.

    The grid makes storing the signal in 16 bits lossless, so that what a stage reads back from disk and what a
    predictor computes from a file are the same bits. 16-bit mono corpora at the working rate pass untouched.

    Raises:
        AudioError: too short or silent.
    """
    import soxr

    if decoded.duration_s < params.minimum_s:
        raise AudioError(f"too short: {decoded.duration_s:.2f} s of audio, at least {params.minimum_s} s are needed")
    mono = decoded.samples.mean(axis=1, dtype=np.float32)
    if np.abs(mono).max() < params.silence_peak:
        raise AudioError(f"silent: peak below {params.silence_peak}")
    if decoded.sampling_rate_hz != params.sampling_rate_hz:
        mono = soxr.resample(mono, decoded.sampling_rate_hz, params.sampling_rate_hz, quality="VHQ")
    return to_float(to_int16(mono))


def to_int16(signal: np.ndarray) -> np.ndarray:
    """Round to 16 bits, clipping at full scale."""
    return np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16)


def to_float(samples: np.ndarray) -> np.ndarray:
    """Undo `to_int16`: float32 with full scale 1.0."""
    return samples.astype(np.float32) / 32768


def load_audio(path: Path, params: AudioParams) -> np.ndarray:
    """Decode a file to the signal all front ends take: mono float32, shape (n_samples,).

    Raises:
        AudioError: not usable, with the path and the reason.
    """
    try:
        return to_signal(decode(path), params)
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file") from None
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from None
