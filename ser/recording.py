"""The one door for audio from outside: a file or an upload, whatever is in it, becomes the signal or one clear sentence.

Content decides, never the name. Decoding goes on in bounded memory and stops at the limits, whether the header keeps to
them or lies. What passes gives the very bits that `ser.audio.load_audio` gives the pipeline.
"""

import io
import os
import select
import shutil
import stat
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol

import numpy as np

from ser.audio import AudioError, AudioParams, to_float, to_int16

_LFS_MAGIC = b"version https://git-lfs"
_PIECE_BYTES = 2**20
_PIECE_SAMPLES = 2**18  # decoded at a time, over all channels: 1 MiB
_LOUDEST = 100.0  # times full scale; decoders overshoot by a little, samples in the wrong unit by thousands
_UNKNOWN_FRAMES = 2**62  # libsndfile gives the largest count it has where a header names none
_PATIENCE_S = 10.0  # by which ffmpeg may lag behind real time; it decodes a hundred times faster

# What ffmpeg is for: containers that libsndfile does not know, told apart by their first bytes. The demuxer is named to
# ffmpeg, since one that it guesses might be a playlist that opens other files.
_FFMPEG_FORMATS = (
    (4, b"ftyp", "m4a", "mov"),
    (0, b"\x1aE\xdf\xa3", "webm", "matroska"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wma", "asf"),
    (0, b"#!AMR", "amr", "amr"),
    (0, b"\xff\xf1", "aac", "aac"),
    (0, b"\xff\xf9", "aac", "aac"),
)


@dataclass(frozen=True)
class Limits:
    """What is taken in at most; beyond it a source is refused, before or while it is decoded."""

    max_bytes: int = 2**31
    max_duration_s: float = 7200.0
    max_channels: int = 32
    minimum_rate_hz: int = 1000
    maximum_rate_hz: int = 768000
    max_samples: int = 2**32  # over all channels: bounds the time that a small file at a high rate can take

    def check_format(self, sampling_rate_hz: int, channels: int) -> None:
        """Refuse rates and channel counts outside the limits (AudioError)."""
        if not self.minimum_rate_hz <= sampling_rate_hz <= self.maximum_rate_hz:
            raise AudioError(
                f"a sampling rate of {sampling_rate_hz} Hz, from {self.minimum_rate_hz} to {self.maximum_rate_hz} Hz are "
                "taken; resample it first"
            )
        if not 1 <= channels <= self.max_channels:
            raise AudioError(f"{channels} channels, at most {self.max_channels} are taken; mix it down first")

    def check_length(self, n_frames: int, sampling_rate_hz: int, channels: int) -> None:
        """Refuse more audio than the limits allow (AudioError)."""
        if n_frames > self.max_duration_s * sampling_rate_hz:
            raise AudioError(f"too long: more than {self.max_duration_s:g} s of audio; cut it into parts")
        if n_frames * channels > self.max_samples:
            raise AudioError(f"too long: more than {self.max_samples} samples in all channels; resample it or mix it down")


class _Reader(Protocol):
    """Decodes one source from its beginning to its end."""

    sampling_rate_hz: int
    channels: int
    n_frames: int | None  # as declared; None where the header does not say

    def pieces(self) -> Iterator[np.ndarray]: ...  # float32, shape (n_frames, n_channels), never empty


class Recording:
    """An open source that can be read once, block by block."""

    def __init__(self, reader: _Reader, params: AudioParams, limits: Limits) -> None:
        self._reader, self._params, self._limits = reader, params, limits
        limits.check_format(reader.sampling_rate_hz, reader.channels)
        if reader.n_frames is not None:
            limits.check_length(reader.n_frames, reader.sampling_rate_hz, reader.channels)

    @property
    def sampling_rate_hz(self) -> int:
        """Of the source, not of the blocks."""
        return self._reader.sampling_rate_hz

    @property
    def channels(self) -> int:
        """Of the source; the blocks are mono."""
        return self._reader.channels

    @property
    def duration_s(self) -> float | None:
        """As the header declares it; None where it does not."""
        n_frames = self._reader.n_frames
        return None if n_frames is None else n_frames / self.sampling_rate_hz

    def blocks(self, block_s: float = 10.0) -> Iterator[np.ndarray]:
        """Yield mono float32 blocks at the working rate, each value a multiple of 1/32768.

        All have `block_s` seconds but the last, which may be shorter. Joined they are what `load_clip` gives, bit for
        bit: the resampler and the decoders carry their state from block to block.

        Raises:
            AudioError: damaged, beyond the limits, not finite; at its end: no samples, too short, or silent throughout.
        """
        size = max(1, round(block_s * self._params.sampling_rate_hz))
        waiting: list[np.ndarray] = []
        n_waiting = 0
        for part in self._resampled(self._mono()):
            waiting.append(to_float(to_int16(part)))
            n_waiting += len(part)
            if n_waiting >= size:
                joined = np.concatenate(waiting)
                whole = n_waiting // size * size
                yield from (joined[at : at + size] for at in range(0, whole, size))
                waiting, n_waiting = [joined[whole:].copy()], n_waiting - whole
        if n_waiting:
            yield np.concatenate(waiting)

    def _mono(self) -> Iterator[np.ndarray]:
        """Channels averaged, at the source's rate; every refusal that needs the samples is made here."""
        n_frames, peak = 0, 0.0
        for samples in self._reader.pieces():
            n_frames += len(samples)
            self._limits.check_length(n_frames, self.sampling_rate_hz, self.channels)
            if not np.isfinite(samples).all():
                raise AudioError("undecodable: samples that are not numbers; export it again")
            if np.abs(samples).max() > _LOUDEST:
                raise AudioError(f"undecodable: samples beyond {_LOUDEST:g} where full scale is 1.0; export it again, as 16 bits")
            mono = samples.mean(axis=1, dtype=np.float32)
            peak = max(peak, float(np.abs(mono).max()))
            yield mono
        if not n_frames:
            raise AudioError("undecodable: no samples in it; record or export it again")
        duration_s = n_frames / self.sampling_rate_hz
        if duration_s < self._params.minimum_s:
            raise AudioError(f"too short: {duration_s:.2f} s of audio, at least {self._params.minimum_s} s are needed")
        if peak < self._params.silence_peak:
            raise AudioError(f"silent: peak below {self._params.silence_peak}; check the microphone and its level")

    def _resampled(self, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        import soxr

        if self.sampling_rate_hz == self._params.sampling_rate_hz:
            yield from pieces
            return
        stream = soxr.ResampleStream(self.sampling_rate_hz, self._params.sampling_rate_hz, 1, dtype="float32", quality="VHQ")
        for piece in pieces:
            yield stream.resample_chunk(piece)
        yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


@contextmanager
def open_recording(source: Path | BinaryIO, params: AudioParams, limits: Limits | None = None) -> Iterator[Recording]:
    """Open a file, or an upload in memory, to be read in blocks.

    Args:
        source: a path, or a binary file object (read from its beginning; it is not closed).
        params: the working rate and what counts as too short or silent.
        limits: what is taken in at most; `Limits()` where None.

    Raises:
        AudioError: also from within the block, while reading. With the path where there is one, the reason and the way out.
    """
    limits = limits or Limits()
    try:
        with _opened(source, limits) as file, _reader(file, limits) as reader:
            yield Recording(reader, params, limits)
    except AudioError as error:
        raise AudioError(f"{shown(source)}: {error}" if isinstance(source, Path) else str(error)) from None


def load_clip(source: Path | BinaryIO, params: AudioParams, limits: Limits | None = None) -> np.ndarray:
    """The whole source as one signal: mono float32, shape (n_samples,), bit for bit what `ser.audio.load_audio` gives.

    Raises:
        AudioError: as `open_recording`.
    """
    with open_recording(source, params, limits) as recording:
        return np.concatenate(list(recording.blocks()))


def samples_to_signal(
    samples: np.ndarray, sampling_rate_hz: int, params: AudioParams, limits: Limits | None = None
) -> np.ndarray:
    """The signal of samples that are already in memory, as if they had been read from a file.

    Args:
        samples: shape (n_samples,) or (n_samples, n_channels); float with full scale 1.0, or int16.
        sampling_rate_hz: of the samples.
        params: the working rate and what counts as too short or silent.
        limits: as for a file.

    Raises:
        AudioError: another shape or type, and all that a file can be refused for.
    """
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise AudioError(f"an array of shape {samples.shape}; (n_samples,) or (n_samples, n_channels) is expected")
    if samples.dtype != np.int16 and not np.issubdtype(samples.dtype, np.floating):
        raise AudioError(f"samples of type {samples.dtype}; float with full scale 1.0, or int16, is expected")
    with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, and is refused as that
        values = to_float(samples) if samples.dtype == np.int16 else samples.astype(np.float32)
    reader = _ArrayReader(values[:, np.newaxis] if values.ndim == 1 else values, sampling_rate_hz)
    return np.concatenate(list(Recording(reader, params, limits or Limits()).blocks()))


def shown(path: Path) -> str:
    """A path as text that any terminal or log can take: no line breaks, control characters or stray bytes."""
    text = os.fsencode(path).decode("utf-8", errors="replace")
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@contextmanager
def _opened(source: Path | BinaryIO, limits: Limits) -> Iterator[IO[bytes]]:
    """A seekable file at its beginning, within the size limit and not empty."""
    with _open_path(source) if isinstance(source, Path) else _seekable(source, limits) as file:
        n_bytes = file.seek(0, os.SEEK_END)
        if not n_bytes:
            raise AudioError("empty: 0 bytes; record or copy it again")
        if n_bytes > limits.max_bytes:
            raise _too_large(limits)
        file.seek(0)
        yield file


def _open_path(path: Path) -> IO[bytes]:
    try:
        # not blocking: a named pipe would wait for a writer that may never come
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise AudioError("no such file; check the path") from None
    except PermissionError:
        raise AudioError("no permission to read it; change its mode or copy it") from None
    except (OSError, ValueError) as error:  # names too long, circular links, names with a zero byte
        reason = error.strerror if isinstance(error, OSError) else error
        raise AudioError(f"cannot be opened ({reason}); check the path") from None
    if stat.S_ISREG(mode := os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise AudioError("a folder, not a file; name the files in it")
    raise AudioError("not a regular file; save the audio to one first")


@contextmanager
def _seekable(source: BinaryIO, limits: Limits) -> Iterator[IO[bytes]]:
    """The source itself, or what a pipe brings as a temporary file without a name."""
    try:
        source.seek(0)
    except (AttributeError, OSError):  # a pipe; io.UnsupportedOperation is an OSError
        with tempfile.TemporaryFile() as copy:
            _copy(source, copy, limits)
            yield copy
    else:
        yield source


def _copy(source: IO[bytes], target: IO[bytes], limits: Limits) -> None:
    n_bytes = 0
    try:
        while piece := source.read(_PIECE_BYTES):
            n_bytes += len(piece)
            if n_bytes > limits.max_bytes:
                raise _too_large(limits)
            target.write(piece)
        target.flush()
    except OSError as error:
        raise AudioError(f"cannot be stored while it is decoded ({error}); make room in {tempfile.gettempdir()}") from None


def _too_large(limits: Limits) -> AudioError:
    return AudioError(f"too large: more than {limits.max_bytes} bytes; compress it or cut it into parts")


@contextmanager
def _reader(file: IO[bytes], limits: Limits) -> Iterator[_Reader]:
    """Let libsndfile decode what it knows, and ffmpeg the containers that it is trusted with."""
    import soundfile

    head = file.read(len(_LFS_MAGIC))
    if head == _LFS_MAGIC:
        raise AudioError("Git-LFS pointer, not audio; fetch it with `git lfs pull`")
    guarded = _GuardedFile(file)
    try:
        sound = soundfile.SoundFile(guarded)
    except soundfile.LibsndfileError:
        guarded.check()
        sound = None
    if sound is not None:
        with sound:
            yield _SoundfileReader(sound, guarded)
        return
    name, demuxer = _ffmpeg_format(head)
    with _ffmpeg_reader(file, name, demuxer, limits) as reader:
        yield reader


def _ffmpeg_format(head: bytes) -> tuple[str, str]:
    for at, magic, name, demuxer in _FFMPEG_FORMATS:
        if head[at : at + len(magic)] == magic:
            return name, demuxer
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        raise AudioError("undecodable: text, not audio; name a wav, flac, mp3, ogg, aiff, m4a or webm file")
    raise AudioError("undecodable: no audio format that is known here; convert it to wav or flac")


class _GuardedFile:
    """What libsndfile reads from, by callbacks out of C: no name, so no suffix to go by, and no exception gets lost."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._error: Exception | None = None

    def check(self) -> None:
        if self._error is not None:
            raise AudioError(f"cannot be read ({self._error}); copy it to a local disk and try again")

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._size}[whence]
        return self._file.seek(min(max(0, start + offset), self._size))  # damaged headers point anywhere

    def tell(self) -> int:
        return self._file.tell()

    def read(self, count: int) -> bytes:
        try:
            return self._file.read(count)
        except (OSError, ValueError) as error:
            self._error = error
            return b""


class _SoundfileReader:
    """wav, flac, mp3, ogg, aiff and what else libsndfile knows."""

    def __init__(self, sound, guarded: _GuardedFile) -> None:
        self._sound, self._guarded = sound, guarded
        self.sampling_rate_hz, self.channels = sound.samplerate, sound.channels
        self.n_frames = sound.frames if 0 <= sound.frames < _UNKNOWN_FRAMES else None

    def pieces(self) -> Iterator[np.ndarray]:
        import soundfile

        size = max(1, _PIECE_SAMPLES // self.channels)
        try:
            # as soundfile.read does for a whole file: one seek first and then none. soundfile would seek to where it
            # already is after each block, which makes the MP3 decoder start anew and give other samples.
            if self._sound.seekable():
                self._sound.seek(0)
            self._sound.seekable = lambda: False
            while len(samples := self._sound.read(size, dtype="float32", always_2d=True)):
                yield samples
        except (soundfile.LibsndfileError, RuntimeError) as error:
            self._guarded.check()
            raise AudioError(f"undecodable: damaged inside ({error}); copy or export it again") from None
        self._guarded.check()


@dataclass
class _ArrayReader:
    """Samples in memory, float32, shape (n_frames, n_channels)."""

    samples: np.ndarray
    sampling_rate_hz: int

    @property
    def channels(self) -> int:
        return self.samples.shape[1]

    @property
    def n_frames(self) -> int:
        return len(self.samples)

    def pieces(self) -> Iterator[np.ndarray]:
        if self.n_frames:
            yield self.samples


@contextmanager
def _ffmpeg_reader(file: IO[bytes], name: str, demuxer: str, limits: Limits) -> Iterator["_FfmpegReader"]:
    """Decode in a child that gets an open file, no name, no network and only so much time."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise AudioError(
            f"{name} needs ffmpeg, which is not installed: install it (`apt install ffmpeg`, `brew install ffmpeg`), or "
            "convert the file to wav, flac, mp3 or ogg"
        )
    with _descriptor(file, limits) as descriptor:
        command = [program, *"-nostdin -hide_banner -loglevel quiet -protocol_whitelist file -threads 1".split()]
        command += ["-f", demuxer, "-i", f"file:/dev/fd/{descriptor}", "-map", "0:a:0", "-t", f"{limits.max_duration_s + 1:g}"]
        command += "-f au -c:a pcm_s16be pipe:1".split()  # 16 bits, as audioread asks for
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=[descriptor], bufsize=0
        )
        try:
            yield _FfmpegReader(process, name)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@contextmanager
def _descriptor(file: IO[bytes], limits: Limits) -> Iterator[int]:
    """A file descriptor at its beginning that a child can read; uploads in memory go to a temporary file without a name."""
    file.seek(0)
    if isinstance(file, io.BufferedReader):  # opened by us
        yield file.fileno()
        return
    with tempfile.TemporaryFile() as copy:
        _copy(file, copy, limits)
        copy.seek(0)
        yield copy.fileno()


class _FfmpegReader:
    """The AU stream that an ffmpeg process writes: a header of six numbers, then 16-bit samples."""

    n_frames = None

    def __init__(self, process: subprocess.Popen, name: str) -> None:
        self._process, self._name = process, name
        self._waited_s = 0.0
        self._decoded_s = 0.0
        header = self._read(24)
        if len(header) < 24 or header[:4] != b".snd":
            raise AudioError(f"undecodable: ffmpeg finds no audio in this {name} file; convert it to wav or flac")
        _, at, _, _, self.sampling_rate_hz, self.channels = struct.unpack(">6I", header)
        self._read(at - 24)

    def pieces(self) -> Iterator[np.ndarray]:
        frame_bytes = 2 * self.channels
        size = max(1, _PIECE_SAMPLES // self.channels) * frame_bytes
        while data := self._read(size):
            samples = np.frombuffer(data[: len(data) // frame_bytes * frame_bytes], ">i2").reshape(-1, self.channels)
            self._decoded_s += len(samples) / self.sampling_rate_hz
            if len(samples):
                yield to_float(samples)

    def _read(self, count: int) -> bytes:
        """So many bytes, fewer at the end only. Time counts while ffmpeg is waited for, not while it waits for us."""
        stdout, parts = self._process.stdout, []
        while count > 0:
            start = time.monotonic()
            patience_s = _PATIENCE_S + self._decoded_s - self._waited_s
            if patience_s <= 0 or not select.select([stdout], [], [], patience_s)[0]:
                raise AudioError(f"undecodable: ffmpeg makes no headway with this {self._name} file; convert it to wav or flac")
            part = os.read(stdout.fileno(), count)
            self._waited_s += time.monotonic() - start
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
