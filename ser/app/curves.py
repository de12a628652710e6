"""What the charts draw, as arrays: envelope, log-mel bands, pitch, stretches of attention."""

from collections.abc import Sequence

import numpy as np

from ser.spectrogram import Spectrogram

_STEP_S = 0.01
_DISPLAY = {"window_s": 0.032, "hop_s": 0.016, "n_mels": 64, "minimum_hz": 50.0}  # of a model without a spectrogram
_KEEP_EVERY_FRAME_DB = 1000.0
_DYNAMIC_DB = 70.0  # what lies further below the loudest band is drawn as darkest


class Envelope:
    """Lowest and highest sample of each 10 ms, gathered block by block, so that an hour takes 3 MB."""

    def __init__(self, sampling_rate_hz: int) -> None:
        self._step = round(_STEP_S * sampling_rate_hz)
        self._rest = np.zeros(0, np.float32)
        self._extremes: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Take the next samples, shape (n_samples,)."""
        block = np.concatenate((self._rest, block))
        n_whole = len(block) // self._step * self._step
        self._rest = block[n_whole:]
        steps = block[:n_whole].reshape(-1, self._step)
        self._extremes.append(np.stack((steps.min(axis=1), steps.max(axis=1)), axis=1))

    def finish(self) -> np.ndarray:
        """Shape (n_steps, 2): lowest and highest."""
        last = [[[self._rest.min(), self._rest.max()]]] if len(self._rest) else []
        return np.concatenate([np.zeros((0, 2), np.float32), *self._extremes, *last]).astype(np.float32)


def thinned_extremes(extremes: np.ndarray, n_most: int) -> np.ndarray:
    """Join neighbours until at most `n_most` rows are left: shape (n, 2), no peak lost."""
    starts = group_starts(len(extremes), n_most)
    return np.stack((np.minimum.reduceat(extremes[:, 0], starts), np.maximum.reduceat(extremes[:, 1], starts)), axis=1)


def thinned_means(values: np.ndarray, n_most: int) -> np.ndarray:
    """Average neighbouring rows of (n, ...) until at most `n_most` are left."""
    starts = group_starts(len(values), n_most)
    sizes = np.diff((*starts, len(values)))
    return np.add.reduceat(values, starts, axis=0) / sizes.reshape(-1, *[1] * (values.ndim - 1))


def group_starts(n: int, n_most: int) -> np.ndarray:
    """Where each of at most `n_most` groups of neighbours starts."""
    return np.unique(np.linspace(0, n, min(n, n_most), endpoint=False).astype(int))


def display_spectrogram(description: dict, sampling_rate_hz: int) -> Spectrogram:
    """The model's own spectrogram settings, else ordinary ones; never trimmed and without further bands."""
    fields = description.get("inputs", {}).get("spectrogram", {}).get("fields", {})
    chosen = {name: fields.get(name, value) for name, value in _DISPLAY.items()}
    highest = min(fields.get("maximum_hz", 8000.0), sampling_rate_hz / 2)
    return Spectrogram(sampling_rate_hz, **chosen, maximum_hz=highest, trim_db=_KEEP_EVERY_FRAME_DB)


def log_mel(signal: np.ndarray, front_end: Spectrogram) -> np.ndarray:
    """Bands in dB below the loudest, shape (n_frames, n_mels), from -70 to 0."""
    bands = front_end(signal)
    return np.clip(bands - bands.max(), -_DYNAMIC_DB, 0.0)


def pitch(signal: np.ndarray, sampling_rate_hz: int) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and F0 in Hz every 10 ms, NaN where unvoiced; both empty for a signal too short for Praat.

    Two passes, as De Looze & Hirst (2008) advise: a wide search, then one between 0.75 times the lower and 2 times the
    upper quartile of what it found.
    """
    import parselmouth

    if len(signal) < 0.07 * sampling_rate_hz:  # three periods of the lowest pitch, and a step
        return np.zeros(0), np.zeros(0)
    sound = parselmouth.Sound(signal.astype(np.float64), sampling_rate_hz)
    wide = sound.to_pitch_ac(time_step=_STEP_S, pitch_floor=60.0, pitch_ceiling=700.0)
    voiced = wide.selected_array["frequency"]
    voiced = voiced[voiced > 0]
    if not len(voiced):
        return wide.xs(), np.full(len(wide.xs()), np.nan)
    low, high = np.percentile(voiced, (25, 75))
    narrow = sound.to_pitch_ac(time_step=_STEP_S, pitch_floor=max(60.0, 0.75 * low), pitch_ceiling=min(700.0, 2 * high))
    f0 = narrow.selected_array["frequency"]
    return narrow.xs(), np.where(f0 > 0, f0, np.nan)


def drawn_spans(windows_s: np.ndarray, duration_s: float) -> np.ndarray:
    """Where the points of a timeline are drawn, (n_points, 2) in seconds, given their windows (n_points, 2).

    Windows overlap, so each point is drawn at the middle of its own, and reaches halfway to its neighbours.
    """
    centres = windows_s.mean(axis=1)
    middles = (centres[:-1] + centres[1:]) / 2
    return np.stack((np.concatenate(([0.0], middles)), np.concatenate((middles, [duration_s]))), axis=1)


def attended(times_s: np.ndarray, weights: np.ndarray, share: float = 0.5) -> list[tuple[float, float]]:
    """The fewest stretches that hold `share` of the attention, as (start, end) in seconds, in order."""
    if len(weights) < 2 or weights.sum() <= 0:
        return []
    half = float(np.median(np.diff(times_s))) / 2
    order = np.argsort(-weights, kind="stable")
    needed = int(np.searchsorted(np.cumsum(weights[order]) / weights.sum(), share)) + 1
    stretches: list[tuple[float, float]] = []
    for step in np.sort(order[:needed]):
        start, end = max(0.0, times_s[step] - half), times_s[step] + half
        if stretches and start - stretches[-1][1] < 2 * half:
            stretches[-1] = (stretches[-1][0], float(end))
        else:
            stretches.append((float(start), float(end)))
    return stretches


def standing_out(
    values: dict[str, float], reference: Sequence[dict[str, float]], least: float = 1.5
) -> dict[str, tuple[float, float]]:
    """What lies far from the reference: name to (mean of the reference, distance in its standard deviations), furthest first.

    Fewer than four clips of reference say nothing of what is usual, and give an empty mapping.
    """
    found = {}
    for name, value in values.items():
        known = np.array([other.get(name, np.nan) for other in reference], dtype=float)
        known = known[np.isfinite(known)]
        if len(known) < 4 or not np.isfinite(value) or (spread := known.std(ddof=1)) == 0:
            continue
        if abs(distance := (value - known.mean()) / spread) >= least:
            found[name] = (float(known.mean()), float(distance))
    return dict(sorted(found.items(), key=lambda item: -abs(item[1][1])))
