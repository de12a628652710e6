"""Training batches: which clips an epoch holds, and SpecAugment, tempo, gain and mixup on the fly, all seeded."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from ser.features import Clip, Features
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
    mixup: float = 0.0  # share of examples that are blended with another
    noise: float = 0.0  # deviation of noise on prosodic columns, in training deviations
    column_dropout: float = 0.0  # chance that a prosodic column is withheld from an example
    known_share: float = 0.0  # chance that the speaker is known by its mean prosody, as an enrolled one will be
    minimum_enrolled_clips: int = 1  # from so many clips drawn of the speaker
    maximum_enrolled_clips: int = 1


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
    ) -> None:
        """Take the training rows (columns id, corpus, speaker, emotion) in their given order."""
        self.features, self.kinds, self.params, self.seed = features, kinds, params, seed
        self.emotions = emotions
        self.ids = rows["id"].to_numpy()
        self.corpora = rows["corpus"].to_numpy()
        self.targets = np.eye(len(emotions), dtype=np.float32)[[emotions.index(e) for e in rows["emotion"]]]
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

    def epoch(self, number: int) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """Yield (inputs by kind, target distributions) of one epoch."""
        random = np.random.default_rng([self.seed, number])
        size = self.params.batch_size
        drawn = self._draw(random, len(self) * size)
        for start in range(0, len(drawn), size):
            yield self._batch(drawn[start : start + size], random)

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


def _shift_bands(frames: np.ndarray, shift: float) -> np.ndarray:
    """Move the spectrum along the mel axis by a fraction of bands, repeating the edge band."""
    bands = frames.shape[1]
    position = np.clip(np.arange(bands, dtype=np.float32) + np.float32(shift), 0, bands - 1)
    below = np.minimum(position.astype(int), bands - 2)
    share = position - below
    return (1 - share) * frames[:, below] + share * frames[:, below + 1]
