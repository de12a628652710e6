"""Near-duplicate audio: what stays the same of a clip when it is resampled, made louder, trimmed, coded or made a little noisy.

Method: J. Haitsma and T. Kalker, "A Highly Robust Audio Fingerprinting System", ISMIR 2002. Every 11.6 ms a word of 32 bits
says of which neighbouring bands (33 of them, 300 to 2000 Hz) the difference in energy rises. Two recordings of one take have
words in common, at one lag throughout; then few bits differ over all that both hold. Ours are the choice of frames that are
loud enough to be judged (speech has pauses, which noise fills) and the limits, both measured on speech: docs/audit.md.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

_RATE_HZ = 5512  # as in the paper, of which these four are: an eighth of 44100 Hz
_FRAME = 2048  # samples, 0.37 s: so long that a trimmed copy, whose frames lie between ours, has nearly the same words
_HOP = 64  # samples, 11.6 ms
_BAND_EDGES_HZ = np.geomspace(300, 2000, 34)
_ACTIVE_DB = 25.0  # below the loudest frame; quieter ones say more of the noise than of the voice
_N_WEAK = 3  # bits of a word that are closest to tipping over; all their settings are looked up
_COMMON = 256  # times; a word found more often (hum, a tone) points to no clip, and would make the search quadratic
_LEAST_HITS = 2  # words in common at one lag, before two clips are compared in full
_LEAST_FRAMES = 16  # loud enough in both
_LEAST_SHARE = 0.5  # of the loud frames of that clip of the two that has fewer
ERROR_RATE = 0.18  # share of bits that may differ; the paper's 0.35 is for music, but one voice says one sentence alike twice


@dataclass(frozen=True)
class Fingerprint:
    """The words of the frames of one clip, shape (n_frames,), and which of them are loud enough to be judged."""

    words: np.ndarray  # uint32
    weak: np.ndarray  # uint32, shape (n_frames, 3): each word's least certain bits
    active: np.ndarray  # bool


@dataclass(frozen=True)
class Match:
    """Two clips that hold the same audio, by their positions in the list that was searched."""

    first: int
    second: int
    error_rate: float  # share of the bits that differ: 0 for the same audio, about 0.5 for audio that has nothing in common
    lag_s: float  # how much later the common part comes in the second
    overlap_s: float  # how long a voice is loud in both


def fingerprint(signal: np.ndarray, sampling_rate_hz: int) -> Fingerprint:
    """The fingerprint of a mono signal of shape (n_samples,); without any active frame where it is silent."""
    import soxr

    low = soxr.resample(signal.astype(np.float32), sampling_rate_hz, _RATE_HZ, quality="HQ")
    if len(low) < _FRAME + _HOP:
        low = np.pad(low, (0, _FRAME + _HOP - len(low)))
    active = _active(low)
    energies = _band_energies(low, active | np.roll(active, -1))  # a word needs the frame before, too
    differences = np.diff(np.diff(energies, axis=1), axis=0)  # between bands, then in time: shape (n_frames, 32)
    weakest = np.argpartition(np.abs(differences), _N_WEAK, axis=1)[:, :_N_WEAK].astype(np.uint32)
    return Fingerprint(_packed(differences > 0), np.uint32(1) << weakest, active[1:])


def near_duplicates(prints: Sequence[Fingerprint]) -> list[Match]:
    """All pairs of clips that hold the same audio, or of which one is a part of the other; sorted by position.

    Words are looked up in a sorted table, so time grows with the words there are and the words found, not with all pairs.
    """
    best: dict[tuple[int, int], Match] = {}
    for first, second, lag in _candidates(prints):
        match = _compare(prints, first, second, lag)
        if match is None:
            continue
        known = best.setdefault((first, second), match)
        if match.error_rate < known.error_rate:
            best[first, second] = match
    return [best[pair] for pair in sorted(best)]


def compare(first: Fingerprint, second: Fingerprint) -> float:
    """The smallest share of bits that differ at any lag, for measuring; 1.0 where too little is loud in both."""
    lags = range(_LEAST_FRAMES - len(first.words), len(second.words) - _LEAST_FRAMES + 1)
    return min((error for lag in lags if (error := _errors(first, second, lag)[0]) is not None), default=1.0)


def _active(signal: np.ndarray) -> np.ndarray:
    """Which frames are loud, shape (n_frames,); the first difference keeps hum and an offset out of it."""
    power = np.concatenate([[0.0], np.cumsum(np.diff(signal, prepend=signal[:1]).astype(np.float64) ** 2)])
    level = power[_FRAME::_HOP] - power[:-_FRAME:_HOP]
    active = (level > 0) & (level >= level.max() * 10 ** (-_ACTIVE_DB / 10))
    active[0] = False  # no frame before it, so no word
    return active


def _band_energies(signal: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Energy of 33 bands in overlapping frames, shape (n_frames, 33); zeros for frames that are not wanted."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, _FRAME)[::_HOP]
    edges = np.rint(_BAND_EDGES_HZ * _FRAME / _RATE_HZ).astype(int)
    window = np.hanning(_FRAME).astype(np.float32)
    energies = np.zeros((len(frames), len(edges) - 1), np.float32)
    rows = np.flatnonzero(wanted)
    for start in range(0, len(rows), 256):  # a few megabytes at a time, however long the clip
        some = rows[start : start + 256]
        spectrum = np.fft.rfft(frames[some] * window, axis=1)[:, : edges[-1]]
        energies[some] = np.add.reduceat(spectrum.real**2 + spectrum.imag**2, edges[:-1], axis=1)
    return energies


def _packed(bits: np.ndarray) -> np.ndarray:
    return np.packbits(bits, axis=1, bitorder="little").view("<u4").ravel().astype(np.uint32)


def _candidates(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, int]]:
    """Pairs of clips (the lower position first) and the lag, in frames, at which they have words in common."""
    found = [_coded(hits) for hits in _hits(prints)]
    if not found:
        return
    codes, counts = np.unique(np.concatenate(found), return_counts=True)
    for code in codes[counts >= _LEAST_HITS].tolist():
        pair, lag = divmod(code, 2**20)
        first, second = divmod(pair, 2**21)
        yield first, second, lag - 2**19


def _coded(hits: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Clip, frame, clip, frame as one number: positions below 2**21 clips, lags within 2**19 frames (100 minutes)."""
    clip, frame, other, other_frame = (values.astype(np.int64) for values in hits)
    pair = np.minimum(clip, other) * 2**21 + np.maximum(clip, other)
    lag = np.where(clip < other, other_frame - frame, frame - other_frame)
    return pair * 2**20 + lag + 2**19


def _hits(prints: Sequence[Fingerprint]) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Clip and frame of a word, clip and frame of one like it in another clip."""
    frames = [np.flatnonzero(print_.active) for print_ in prints]
    if not frames:
        return
    clip = np.repeat(np.arange(len(prints)), [len(rows) for rows in frames])
    frame = np.concatenate(frames)
    words = np.concatenate([print_.words[rows] for print_, rows in zip(prints, frames, strict=True)])
    weak = np.concatenate([print_.weak[rows] for print_, rows in zip(prints, frames, strict=True)])
    order = np.argsort(words, kind="stable")
    table = words[order]
    for setting in range(2**_N_WEAK):
        probe = words.copy()
        for bit in range(_N_WEAK):
            if setting >> bit & 1:
                probe ^= weak[:, bit]
        start, end = np.searchsorted(table, probe, "left"), np.searchsorted(table, probe, "right")
        number = np.where(end - start <= _COMMON, end - start, 0)
        asked = np.repeat(np.arange(len(words)), number)
        within = np.arange(len(asked)) - np.repeat(np.cumsum(number) - number, number)
        answered = order[np.repeat(start, number) + within]
        keep = clip[asked] != clip[answered]
        asked, answered = asked[keep], answered[keep]
        yield clip[asked], frame[asked], clip[answered], frame[answered]


def _compare(prints: Sequence[Fingerprint], first: int, second: int, lag: int) -> Match | None:
    rate, n_frames = _errors(prints[first], prints[second], lag)
    if rate is None or rate > ERROR_RATE:
        return None
    return Match(first, second, rate, lag * _HOP / _RATE_HZ, n_frames * _HOP / _RATE_HZ)


def _errors(first: Fingerprint, second: Fingerprint, lag: int) -> tuple[float | None, int]:
    """Share of the bits that differ when frame i meets frame i + lag, and over how many frames; None for too few."""
    start, end = max(0, -lag), min(len(first.words), len(second.words) - lag)
    if end - start < _LEAST_FRAMES:
        return None, 0
    both = first.active[start:end] & second.active[start + lag : end + lag]
    n_frames = int(both.sum())
    if n_frames < max(_LEAST_FRAMES, _LEAST_SHARE * min(first.active.sum(), second.active.sum())):
        return None, n_frames
    differing = first.words[start:end] ^ second.words[start + lag : end + lag]
    return float(np.bitwise_count(differing[both]).sum() / (32 * n_frames)), n_frames
