"""Emotion over time: sliding windows, voice activity and smoothing, the same for a live stream and for a file of any length."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.audio import AudioError
from ser.errors import SerError
from ser.prediction import Prediction, Verdict
from ser.recording import Recording
from ser.voice_activity import VoiceActivity

if TYPE_CHECKING:
    from ser.predictor import Predictor
    from ser.profile import Profile

_HOPS_AT_ONCE = 8  # windows that one call of the predictor gets at most: bounds the memory of a long push
_WHOLE_S = 30.0  # up to here a recording is one clip
_CHUNK_S = 10.0


class TimelineError(SerError):
    """Settings that make no timeline, or a use of one out of turn."""


@dataclass(frozen=True)
class TimelineParams:
    """How a stretch of audio is cut into windows, and how their answers are joined."""

    window_s: float = 3.0  # about a sentence, as the clips are that models are trained on
    hop_s: float = 0.5
    first_s: float = 1.0  # heard before the first point
    smoothing_s: float = 1.0  # time constant; 0: none
    speech_share: float = 0.2  # of a window's frames; below it the window is no speech

    def __post_init__(self) -> None:
        if not 0.05 <= self.hop_s <= self.window_s <= 30:
            raise TimelineError(f"hop_s {self.hop_s} and window_s {self.window_s}: 0.05 <= hop_s <= window_s <= 30 is needed")
        if not 0 < self.first_s <= self.window_s:
            raise TimelineError(f"first_s {self.first_s}: more than 0 and at most window_s, {self.window_s}, is needed")
        if not 0 <= self.smoothing_s < math.inf or not 0 <= self.speech_share <= 1:
            raise TimelineError(
                f"smoothing_s {self.smoothing_s} and speech_share {self.speech_share}: smoothing_s of 0 or more and "
                "speech_share from 0 to 1 are needed"
            )


@dataclass(frozen=True, kw_only=True)
class TimelinePoint(Verdict):
    """What is known at `end_s`, from the window that ends there and, smoothed, from those before it.

    As long as nobody has spoken, the probabilities are all equal.
    """

    start_s: float  # of the window
    end_s: float
    speech: bool  # False: nobody speaks in the window, and the probabilities are those of the last point with speech

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"start_s": round(self.start_s, 3), "end_s": round(self.end_s, 3), "speech": self.speech, **super().as_dict()}


class Timeline:
    """Takes audio in blocks of any size, gives points as soon as their audio is there.

    Points end at whole multiples of `hop_s`, from the first one that is not below `first_s`. A point's window is the last
    `window_s` before its end, at the beginning all that has been heard. `finish` adds one point that ends where the audio
    ends, unless one does already: so what is shorter than a hop gives one point, and only no audio gives none.

    A window with speech updates the probabilities by s += (1 - exp(-t / smoothing_s)) * (p - s), t being the time since
    the last update: the response of a first-order low-pass, which looks back only and forgets over a pause. The first
    window with speech sets them. A window without speech leaves them alone and is not put to the model.

    The points depend on the audio alone, not on the blocks. Memory holds the last window and ten hops at most.
    """

    def __init__(self, predictor: "Predictor", params: TimelineParams | None = None, profile: "Profile | None" = None) -> None:
        self._predictor, self._profile = predictor, profile
        self.params = params = params or TimelineParams()
        self._rate_hz = predictor.audio.sampling_rate_hz
        self._window, self._hop = (round(seconds * self._rate_hz) for seconds in (params.window_s, params.hop_s))
        self._activity = VoiceActivity(self._rate_hz)
        self._signal = np.zeros(0, np.float32)  # what has been heard, from sample `_from` on
        self._from = 0
        self._flags: list[bool] = []  # of voice activity, from frame `_flags_from` on
        self._flags_from = 0
        self._next_end = self._hop * math.ceil(round(params.first_s / params.hop_s, 6))
        self._last_end = 0
        self._probabilities = np.full(len(predictor.emotions), 1 / len(predictor.emotions))
        self._updated_at: int | None = None  # sample of the last window with speech
        self._unsure_below = 1.0
        self._finished = False

    @property
    def heard_s(self) -> float:
        """Length of the audio so far."""
        return self._heard / self._rate_hz

    @property
    def _heard(self) -> int:
        return self._from + len(self._signal)

    def push(self, samples: np.ndarray) -> list[TimelinePoint]:
        """Take the next samples; return the points they complete, in order.

        Args:
            samples: mono float32, shape (n_samples,), at the predictor's rate, on the 16-bit grid. May be empty.

        Raises:
            AudioError: another shape, or values that are not finite.
            TimelineError: after `finish`.
        """
        if self._finished:
            raise TimelineError("this timeline is finished; start a new one")
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise AudioError(f"samples of shape {samples.shape}; finite mono samples, shape (n_samples,), are expected")
        points = []
        for at in range(0, len(samples), _HOPS_AT_ONCE * self._hop):
            points += self._take(samples[at : at + _HOPS_AT_ONCE * self._hop])
        return points

    def finish(self) -> list[TimelinePoint]:
        """End the audio; return its last point where `push` has not given it."""
        self._finished = True
        return self._points([self._heard]) if self._heard > self._last_end else []

    def _take(self, samples: np.ndarray) -> list[TimelinePoint]:
        self._signal = np.concatenate([self._signal, samples])
        self._flags += self._activity.push(samples).tolist()
        ends = list(range(self._next_end, self._heard + 1, self._hop))
        points = self._points(ends)
        self._next_end += len(ends) * self._hop
        self._forget(self._next_end - self._hop - self._window)  # `finish` may end right after the last point
        return points

    def _points(self, ends: list[int]) -> list[TimelinePoint]:
        spoken = [end for end in ends if self._is_speech(end)]
        signals = [self._heard_until(end) for end in spoken]
        predictions = self._predictor.predict_batch(signals, profile=self._profile) if signals else []
        answers = dict(zip(spoken, predictions, strict=True))
        return [self._point(end, answers.get(end)) for end in ends]

    def _point(self, end: int, prediction: Prediction | None) -> TimelinePoint:
        if prediction is not None:
            self._smooth(end, prediction)
        self._last_end = end
        return TimelinePoint(
            start_s=max(0, end - self._window) / self._rate_hz,
            end_s=end / self._rate_hz,
            emotions=self._predictor.emotions,
            probabilities=self._probabilities,
            speech=prediction is not None,
            unsure_below=self._unsure_below,
        )

    def _smooth(self, end: int, prediction: Prediction) -> None:
        share = 1.0
        if self._updated_at is not None and self.params.smoothing_s > 0:
            share = 1 - math.exp(-(end - self._updated_at) / self._rate_hz / self.params.smoothing_s)
        new = np.asarray(prediction.probabilities, dtype=np.float64)
        self._probabilities = new if share == 1 else self._probabilities + share * (new - self._probabilities)
        self._updated_at, self._unsure_below = end, prediction.unsure_below

    def _heard_until(self, end: int) -> np.ndarray:
        """The window's samples, not copied."""
        return self._signal[max(0, end - self._window) - self._from : end - self._from]

    def _is_speech(self, end: int) -> bool:
        """Whether enough of the frames that lie within the window are speech, and the predictor would take it."""
        audio, signal = self._predictor.audio, self._heard_until(end)
        first = -(-max(0, end - self._window) // self._activity.step)
        last = (end - self._activity.frame) // self._activity.step
        flags = self._flags[first - self._flags_from : last + 1 - self._flags_from] if last >= first else []
        if not flags or len(signal) < audio.minimum_s * self._rate_hz or np.abs(signal).max() < audio.silence_peak:
            return False
        return sum(flags) >= self.params.speech_share * len(flags) and any(flags)

    def _forget(self, before: int) -> None:
        """Drop what no later window reaches."""
        if before > self._from:
            self._signal = self._signal[before - self._from :].copy()
            self._from = before
            frame = before // self._activity.step
            del self._flags[: frame - self._flags_from]
            self._flags_from = frame


def timeline_of(
    recording: Recording, predictor: "Predictor", params: TimelineParams | None = None, profile: "Profile | None" = None
) -> Iterator[TimelinePoint]:
    """Yield the points of a whole recording, in bounded memory.

    Raises:
        AudioError: what is wrong with a recording may show at its end only, after points were given: see `Recording.blocks`.
    """
    timeline = Timeline(predictor, params, profile)
    for block in recording.blocks():
        yield from timeline.push(block)
    yield from timeline.finish()


def predict_recording(recording: Recording, predictor: "Predictor", profile: "Profile | None" = None) -> Prediction:
    """One answer for a recording of any length, in bounded memory.

    Up to 30 s it is one clip. Longer ones are cut into chunks of 10 s, the last two of which share what is left evenly
    (5 to 10 s each), and the chunks' probabilities are averaged, weighted by the speech found in them; equally, where none
    is found at all. Silent chunks count for nothing. The attention is that of the chunks, weighted likewise.

    Raises:
        AudioError: as `Recording.blocks` and `Predictor.predict`.
    """
    blocks = recording.blocks(_CHUNK_S)
    held: list[np.ndarray] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) > _WHOLE_S * predictor.audio.sampling_rate_hz:
            return _predict_chunks(_evened(chain(held, blocks)), predictor, profile)
    return predictor.predict(np.concatenate(held), profile=profile)


def _evened(blocks: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """At least two blocks, the last two made equally long."""
    previous, last = next(blocks), next(blocks)
    for block in blocks:
        yield previous
        previous, last = last, block
    rest = np.concatenate([previous, last])
    yield from np.array_split(rest, 2)


def _predict_chunks(chunks: Iterator[np.ndarray], predictor: "Predictor", profile: "Profile | None") -> Prediction:
    activity = VoiceActivity(predictor.audio.sampling_rate_hz)
    starts_s, predictions, weights, heard = [], [], [], 0
    for chunk in chunks:
        n_spoken = int(activity.push(chunk).sum())
        if np.abs(chunk).max() >= predictor.audio.silence_peak:
            starts_s.append(heard / predictor.audio.sampling_rate_hz)
            predictions.append(predictor.predict(chunk, profile=profile))
            weights.append(n_spoken)
        heard += len(chunk)
    if not predictions:
        raise AudioError(f"silent: peak below {predictor.audio.silence_peak}; check the microphone and its level")
    shares = np.array(weights, np.float64) if any(weights) else np.ones(len(weights))
    return _joined(predictions, shares / shares.sum(), starts_s, heard / predictor.audio.sampling_rate_hz)


def _joined(predictions: list[Prediction], shares: np.ndarray, starts_s: list[float], duration_s: float) -> Prediction:
    probabilities = shares @ np.array([prediction.probabilities for prediction in predictions], np.float64)
    return Prediction(
        emotions=predictions[0].emotions,
        probabilities=probabilities / probabilities.sum(),
        unsure_below=predictions[0].unsure_below,
        duration_s=duration_s,
        attention_times_s=np.concatenate(
            [start_s + p.attention_times_s for start_s, p in zip(starts_s, predictions, strict=True)]
        ),
        attention=np.concatenate([share * p.attention for share, p in zip(shares, predictions, strict=True)]),
    )
