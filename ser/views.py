"""Test-time augmentation: a clip is heard again in other tempos and vocal-tract lengths, and the answers are averaged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from ser.batches import BatchParams, disturb
from ser.features import Clip, Features
from ser.inference import Scorer


@dataclass(frozen=True)
class Views:
    """How many disturbed views a clip is heard in beside its own."""

    n: int
    batches: BatchParams  # how far tempo and bands move; there is no masking, gain or tilt
    seed: int

    def average(self, scorer: Scorer, clips: Sequence[Clip], own: np.ndarray) -> np.ndarray:
        """Mean of a model's own answers (n_clips, n_emotions) and those for the views."""
        answers, features = [own], scorer.features
        for view in range(self.n):
            scorer.features = DisturbedFeatures(features, self.batches, np.random.default_rng([self.seed, view]))
            answers.append(scorer.probabilities(clips))
        scorer.features = features
        return np.mean(answers, axis=0)


class DisturbedFeatures(Features):
    """Stored features, whose spectrograms come in another tempo and with shifted bands each time they are asked for."""

    def __init__(self, features: Features, batches: BatchParams, random: np.random.Generator) -> None:
        """Take what disturbs from the settings of a training."""
        super().__init__(features.folder)
        calm = {"gain_db": 0.0, "tilt_db": 0.0, "time_masks": 0, "band_masks": 0, "room_share": 0.0, "band_limit_share": 0.0}
        self.batches, self.random = replace(batches, **calm), random

    def get(self, kind: str, clip: Clip) -> np.ndarray:
        """As `Features.get`; a spectrogram is disturbed and whole, however long."""
        values = super().get(kind, clip)
        if kind != "spectrogram":
            return values
        longest = ceil(len(values) / self.batches.minimum_tempo) + 1
        view = disturb(values, replace(self.batches, n_frames=longest), self.random)
        return view[~np.isnan(view).all(axis=1)]
