"""Training batches: which clips an epoch holds, and SpecAugment, tempo, gain, rooms and mixup on the fly, all seeded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from ser.features import Clip, Features
from ser.heads import Head
from ser.speaker import clips_by_speaker, drawn_mean
from ser.windows import pad


@dataclass(frozen=True)
class BatchParams:
    """How training examples are drawn and disturbed.

    SpecAugment after Park et al., Interspeech 2019: masks of time and of frequency; the masked value is the clip's mean.
    What may be left out concerns spectrograms, prosody or mixing, and then does nothing.
    """

    batch_size: int
    augmented_share: float  # chance that an augmented copy stands in for the original
    corpus_balance: float  # 0: as many as there are, 1: every corpus equally often
    emotion_balance: float  # the same for the emotions within a corpus
    loss_balance: float = 0.0  # 0: every example counts alike, 1: every emotion of a corpus, however often it is drawn
    soft_share: float = 0.0  # weight of the soft targets, where a training is given some
    absent_unknown: bool = False  # emotions that a corpus does not hold are neither right nor wrong for its clips
    n_frames: int = 128  # longer spectrograms are cropped at random, shorter ones padded
    minimum_tempo: float = 1.0
    maximum_tempo: float = 1.0
    gain_db: float = 0.0  # standard deviation of a random gain
    tilt_db: float = 0.0  # standard deviation of a random straight line over the bands, end to end
    band_shift: float = 0.0  # largest shift along the mel axis, in bands: another vocal-tract length
    time_masks: int = 0
    maximum_time_mask: int = 0  # frames
    band_masks: int = 0
    maximum_band_mask: int = 0  # bands
    room_share: float = 0.0  # chance of a reverberant room
    maximum_decay: int = 0  # its reverberation time, in frames, at most
    band_limit_share: float = 0.0  # chance that nothing is left outside a telephone's band, or above another
    mixup: float = 0.0  # share of examples that are blended with another
    cutmix: float = 0.0  # share of examples a stretch of which is another's; of spectrograms alone
    noise: float = 0.0  # deviation of noise on prosodic columns, in training deviations
    column_dropout: float = 0.0  # chance that a prosodic column is withheld from an example
    known_share: float = 0.0  # chance that the speaker is known by its mean prosody, as an enrolled one will be
    minimum_enrolled_clips: int = 1  # from so many clips drawn of the speaker
    maximum_enrolled_clips: int = 1

    def __post_init__(self) -> None:
        """Refuse rooms without reverberation (ValueError)."""
        if self.room_share and self.maximum_decay < 1:
            raise ValueError("room_share asks for rooms, so maximum_decay must be a frame or more")


class Batches:
    """Seeded batches of the training rows; epoch `k` is the same whenever and wherever it is asked for."""

    def __init__(
        self,
        rows: pd.DataFrame,
        features: Features,
        kinds: tuple[str, ...],
        emotions: tuple[str, ...],
        params: BatchParams,
        seed: int,
        soft: Mapping[str, np.ndarray] | None = None,
        heads: Sequence[Head] = (),
    ) -> None:
        """Take the training rows (columns id, corpus, speaker, emotion) in their given order.

        Args:
            rows: the training clips.
            features: where their arrays are.
            kinds: names of the inputs.
            emotions: order of the targets.
            params: how examples are drawn and disturbed.
            seed: of all draws.
            soft: further target distributions (n_emotions,) by clip, mixed into the labels' own by `params.soft_share`.
            heads: what is to be answered besides; then targets are by head, the emotion's under its name.

        Raises:
            ValueError: a stretch of a spectrogram is to be another's, and there are other inputs, which cannot follow; or
                examples are to be blended whose further answers, or unknown emotions, cannot be.
        """
        if heads and (params.cutmix or params.mixup):
            raise ValueError("mixup and cutmix do not blend what heads are to answer: leave out one or the other")
        if params.absent_unknown and (params.cutmix or params.mixup):
            raise ValueError("mixup and cutmix do not blend emotions that are unknown: leave them or absent_unknown out")
        if params.cutmix and kinds != ("spectrogram",):
            raise ValueError(f"cutmix is for models of spectrograms alone, and this one takes {', '.join(kinds)}")
        self.features, self.kinds, self.params, self.seed = features, kinds, params, seed
        self.emotions, self.heads = emotions, heads
        self.ids = rows["id"].to_numpy()
        self.corpora = rows["corpus"].to_numpy()
        self.targets = _targets(rows, emotions, params, soft or {})
        self.probability = _draw_probability(rows, params)
        self.copies = {
            parent: names for corpus in sorted(set(self.corpora)) for parent, names in features.copies(kinds[0], corpus).items()
        }
        self.speakers = rows["speaker"].to_numpy()
        self.by_speaker = clips_by_speaker([Clip(*row) for row in zip(self.ids, self.corpora, strict=True)], self.speakers)
        self.deviation: np.ndarray | None = None  # of the prosodic columns, set once the statistics are known

    def __len__(self) -> int:
        """Batches in an epoch."""
        return max(1, len(self.ids) // self.params.batch_size)

    def epoch(self, number: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray | dict[str, np.ndarray]]]:
        """Yield (inputs by kind, target distributions, or these by head) of one epoch."""
        random = np.random.default_rng([self.seed, number])
        size = self.params.batch_size
        drawn = self._draw(random, len(self) * size)
        for start in range(0, len(drawn), size):
            rows = drawn[start : start + size]
            inputs, targets = self._batch(rows, random)
            yield inputs, {"emotion": targets} | {head.name: head.targets[rows] for head in self.heads} if self.heads else targets

    def _draw(self, random: np.random.Generator, n: int) -> np.ndarray:
        """Systematic resampling: a row that should come 1.4 times comes once or twice, never zero times."""
        positions = (random.random() + np.arange(n)) / n
        order = random.permutation(len(self.ids))
        drawn = order[np.searchsorted(np.cumsum(self.probability[order]), positions, side="right").clip(max=len(order) - 1)]
        return random.permutation(drawn)

    def _batch(self, drawn: np.ndarray, random: np.random.Generator):
        clips = [self._variant(row, random) for row in drawn]
        targets = self.targets[drawn]
        inputs = {}
        if "spectrogram" in self.kinds:
            frames = (self.features.get("spectrogram", clip) for clip in clips)
            inputs["spectrogram"] = np.stack([disturb(f, self.params, random) for f in frames])
        if "prosody" in self.kinds:
            inputs["prosody"] = self._prosody(clips, random)
        if "speaker" in self.kinds:
            inputs["speaker"] = self._speaker_means(clips, self.speakers[drawn], random)
        for kind in (kind for kind in self.kinds if kind not in {"spectrogram", "prosody", "speaker"}):
            inputs[kind] = np.stack([self.features.get(kind, clip) for clip in clips])
        if self.params.cutmix:
            targets = self._cut(inputs["spectrogram"], targets, random)
        return self._mix(inputs, targets, random)

    def _variant(self, row: int, random: np.random.Generator) -> Clip:
        name = self.ids[row]
        copies = self.copies.get(name)
        if copies and random.random() < self.params.augmented_share:
            name = copies[random.integers(len(copies))]
        return Clip(name, self.corpora[row])

    def _speaker_means(self, clips: list[Clip], speakers: np.ndarray, random: np.random.Generator) -> np.ndarray:
        means = np.stack([self.features.get("speaker", clip) for clip in clips])
        for row in np.flatnonzero(random.random(len(clips)) < self.params.known_share):
            n_clips = random.integers(self.params.minimum_enrolled_clips, self.params.maximum_enrolled_clips + 1)
            means[row] = drawn_mean(partial(self.features.get, "prosody"), self.by_speaker[speakers[row]], n_clips, random)
        return means

    def _prosody(self, clips: list[Clip], random: np.random.Generator) -> np.ndarray:
        values = np.stack([self.features.get("prosody", clip) for clip in clips])
        if self.deviation is not None and self.params.noise:
            values += self.params.noise * self.deviation * random.standard_normal(values.shape, np.float32)
        values[random.random(values.shape, np.float32) < self.params.column_dropout] = np.nan
        return values

    def _cut(self, frames: np.ndarray, targets: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """CutMix (Yun et al., ICCV 2019) along time: a stretch of frames is replaced in place by a partner's; the new targets."""
        n, length = frames.shape[:2]
        partner, theirs = random.permutation(n), frames.copy()
        kept = np.ones(n, np.float32)
        for row in np.flatnonzero(random.random(n) < self.params.cutmix):
            width = random.integers(length + 1)
            start = random.integers(length - width + 1)
            frames[row, start : start + width] = theirs[partner[row], start : start + width]
            kept[row] = 1 - width / length
        return kept[:, None] * targets + (1 - kept[:, None]) * targets[partner]

    def _mix(self, inputs: dict[str, np.ndarray], targets: np.ndarray, random: np.random.Generator):
        """Mixup (Zhang et al., ICLR 2018) of a share of the examples with others of the batch."""
        n = len(targets)
        partner = random.permutation(n)
        weight = np.where(random.random(n) < self.params.mixup, random.beta(0.4, 0.4, n), 1.0).astype(np.float32)
        if (weight == 1).all():
            return inputs, targets
        mixed = {}
        for kind, x in inputs.items():
            w = weight.reshape(-1, *[1] * (x.ndim - 1))
            blend = w * x + (1 - w) * x[partner]
            mixed[kind] = np.where(np.isnan(blend), x, blend)  # undefined in one of the two: keep the example's own
        return mixed, weight[:, None] * targets + (1 - weight[:, None]) * targets[partner]


def _targets(rows: pd.DataFrame, emotions: Sequence[str], params: BatchParams, soft: Mapping[str, np.ndarray]) -> np.ndarray:
    """What each row is to be answered with, (n_rows, n_emotions); NaN where an emotion is neither right nor wrong."""
    codes = rows["emotion"].map({emotion: code for code, emotion in enumerate(emotions)}).to_numpy()
    targets = np.eye(len(emotions), dtype=np.float32)[codes]
    for row, name in enumerate(rows["id"]):
        if params.soft_share and name in soft:
            targets[row] += params.soft_share * (soft[name] - targets[row])
    if params.loss_balance:
        emotion_size = rows.groupby(["corpus", "emotion"])["id"].transform("size")
        mean_size = rows.groupby("corpus")["id"].transform("size") / rows.groupby("corpus")["emotion"].transform("nunique")
        targets *= (mean_size / emotion_size).pow(params.loss_balance).to_numpy(np.float32)[:, None]
    if params.absent_unknown:
        for corpus, known in rows.groupby("corpus")["emotion"]:
            absent = [code for code, emotion in enumerate(emotions) if emotion not in set(known)]
            targets[np.ix_((rows["corpus"] == corpus).to_numpy(), absent)] = np.nan
    return targets


def _draw_probability(rows: pd.DataFrame, params: BatchParams) -> np.ndarray:
    corpus_size = rows.groupby("corpus")["id"].transform("size")
    emotion_size = rows.groupby(["corpus", "emotion"])["id"].transform("size")
    n_emotions = rows.groupby("corpus")["emotion"].transform("nunique")
    weight = corpus_size.pow(-params.corpus_balance) * (emotion_size * n_emotions / corpus_size).pow(-params.emotion_balance)
    return (weight / weight.sum()).to_numpy()


def disturb(frames: np.ndarray, params: BatchParams, random: np.random.Generator) -> np.ndarray:
    """One randomly disturbed view of a spectrogram (frames, bands): shape (params.n_frames, bands), NaN-padded."""
    frames = _change_tempo(frames, random.uniform(params.minimum_tempo, params.maximum_tempo))
    if len(frames) > params.n_frames:
        start = random.integers(len(frames) - params.n_frames + 1)
        frames = frames[start : start + params.n_frames]
    frames = _shift_bands(frames, random.uniform(-params.band_shift, params.band_shift))
    if params.room_share and random.random() < params.room_share:
        frames = _in_a_room(frames, random.uniform(1, params.maximum_decay), random.uniform(0, 12))
    if params.band_limit_share and random.random() < params.band_limit_share:
        frames = _limit_band(frames, random)
    n, bands = frames.shape
    line = np.linspace(-0.5, 0.5, bands, dtype=np.float32)
    frames = frames + np.float32(random.normal(0, params.gain_db)) + np.float32(random.normal(0, params.tilt_db)) * line
    mean = frames.mean()
    for _ in range(params.time_masks):
        width = random.integers(min(params.maximum_time_mask, n // 3) + 1)
        start = random.integers(n - width + 1)
        frames[start : start + width] = mean
    for _ in range(params.band_masks):
        width = random.integers(min(params.maximum_band_mask, bands) + 1)
        start = random.integers(bands - width + 1)
        frames[:, start : start + width] = mean
    return pad(frames, params.n_frames)


def _change_tempo(frames: np.ndarray, rate: float) -> np.ndarray:
    """Speak `rate` times as fast, by linear interpolation between frames; pitch and spectra stay."""
    n = max(2, round(len(frames) / rate))
    if n == len(frames) or len(frames) < 2:
        return frames
    position = np.linspace(0, len(frames) - 1, n, dtype=np.float32)
    below = np.minimum(position.astype(int), len(frames) - 2)
    share = (position - below)[:, None]
    return (1 - share) * frames[below] + share * frames[below + 1]


def _in_a_room(frames: np.ndarray, decay: float, direct_db: float) -> np.ndarray:
    """Add late reverberation to log power in dB: a tail that falls by 60 dB in `decay` frames (Polack 1988, its mean power).

    Args:
        frames: (frames, bands).
        decay: reverberation time in frames.
        direct_db: the direct sound's power over that of the tail.
    """
    fall = 10 ** (-6 / decay)
    power = 10 ** (frames / 10)
    tail = lfilter([0, (1 - fall) * 10 ** (-direct_db / 10)], [1, -fall], power, axis=0)
    return (10 * np.log10(power + tail)).astype(np.float32)


def _limit_band(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Leave a band, half of the time without its low end, as a telephone does; what is outside becomes the quietest value."""
    bands = frames.shape[1]
    top = random.integers(bands // 2, bands)
    bottom = random.integers(bands // 8 + 1) if random.random() < 0.5 else 0
    frames = frames.copy()
    frames[:, top:] = frames[:, :bottom] = frames.min()
    return frames


def _shift_bands(frames: np.ndarray, shift: float) -> np.ndarray:
    """Move the spectrum along the mel axis by a fraction of bands, repeating the edge band."""
    bands = frames.shape[1]
    position = np.clip(np.arange(bands, dtype=np.float32) + np.float32(shift), 0, bands - 1)
    below = np.minimum(position.astype(int), bands - 2)
    share = position - below
    return (1 - share) * frames[:, below] + share * frames[:, below + 1]
