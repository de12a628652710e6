"""What a few unlabelled clips tell of a speaker: the mean of each prosodic column.

A model that knows it hears how a voice departs from its own habit (Busso, Metallinou & Narayanan, IEEE TAC 2013, normalise by
speaker for the same reason). Where nothing is known, the mean is all NaN.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ser.features import Clip, Features


def speaker_mean(rows: np.ndarray) -> np.ndarray:
    """Mean over the defined values of each column of (n_clips, n_columns): float32 (n_columns,), NaN where none is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a defined value is NaN, which is what is meant
        return np.nanmean(rows, axis=0, dtype=np.float64).astype(np.float32)


class EnrolledFeatures:
    """Features as a predictor sees them that knows each speaker from `n_clips` other clips, labels unseen.

    Each clip gets a draw of its own, seeded by its place in `clips`, and never takes part in its own speaker's mean.
    """

    def __init__(self, features: Features, clips: Sequence[Clip], speakers: Sequence[str], *, n_clips: int, seed: int) -> None:
        """Draw who is known from which clips."""
        self.features = features
        self._known: dict[str, list[Clip]] = {}
        by_speaker: dict[str, list[int]] = {}
        for place, speaker in enumerate(speakers):
            by_speaker.setdefault(speaker, []).append(place)
        for place, (clip, speaker) in enumerate(zip(clips, speakers, strict=True)):
            others = [other for other in by_speaker[speaker] if other != place]
            drawn = np.random.default_rng([seed, place]).permutation(len(others))[:n_clips]
            self._known[clip.id] = [clips[others[n]] for n in sorted(drawn)]

    def get(self, kind: str, clip: Clip) -> np.ndarray:
        """As `Features.get`, with the mean of the clip's speaker."""
        known = self._known[clip.id]
        if kind != "speaker" or not known:
            return self.features.get(kind, clip)
        return speaker_mean(np.stack([self.features.get("prosody", other) for other in known]))


def drawn_mean(get: Callable[[Clip], np.ndarray], clips: Sequence[Clip], n_clips: int, random: np.random.Generator) -> np.ndarray:
    """Speaker mean of `n_clips` of a speaker's clips drawn with replacement: float32 (n_columns,)."""
    return speaker_mean(np.stack([get(clips[n]) for n in random.integers(len(clips), size=n_clips)]))


def clips_by_speaker(clips: Sequence[Clip], speakers: Sequence[str]) -> Mapping[str, list[Clip]]:
    """Clips of each speaker, in the given order."""
    grouped: dict[str, list[Clip]] = {}
    for clip, speaker in zip(clips, speakers, strict=True):
        grouped.setdefault(speaker, []).append(clip)
    return grouped
