"""Stored features of utterances, found by corpus and variant, prepared as model inputs of fixed shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.arrays import Arrays


@dataclass(frozen=True)
class Clip:
    """One stored utterance: an original, or an augmented copy of it (`<id>#<copy>`)."""

    id: str
    corpus: str

    @property
    def variant(self) -> str:
        """Which of the two stores holds it."""
        return "augmented" if "#" in self.id else "clean"


class Features:
    """The feature stores below one folder, opened when first used.

    The layout is that of the pipeline: `<folder>/<kind>/<clean|augmented>/<corpus>/`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stores: dict[tuple[str, str, str], Arrays] = {}

    def store(self, kind: str, variant: str, corpus: str) -> Arrays:
        """The store of one kind (`spectrogram` or `prosody`), variant and corpus."""
        key = (kind, variant, corpus)
        if key not in self._stores:
            self._stores[key] = Arrays(self.folder.joinpath(*key))
        return self._stores[key]

    def get(self, kind: str, clip: Clip) -> np.ndarray:
        """float32 array of one clip: (frames, bands) for spectrograms, (columns,) for prosody."""
        values = self.store(kind, clip.variant, clip.corpus)[clip.id].astype(np.float32)
        return values if kind == "spectrogram" else values[0]

    def copies(self, kind: str, corpus: str) -> dict[str, list[str]]:
        """Augmented ids of each parent id of a corpus."""
        found: dict[str, list[str]] = {}
        for name in self.store(kind, "augmented", corpus).ids:
            found.setdefault(name.rsplit("#", 1)[0], []).append(name)
        return found

    def recipe(self, kind: str, corpora: Sequence[str]) -> dict:
        """How a kind was made; all corpora share it, since one parameter section makes them all."""
        return self.store(kind, "clean", corpora[0]).recipe


def windows(frames: np.ndarray, n_frames: int) -> np.ndarray:
    """Cut a spectrogram (frames, bands) into overlapping windows: (n, n_frames, bands), NaN where it is too short.

    Windows overlap by half and the last one ends with the clip, so that every frame is seen.
    """
    n = len(frames)
    if n <= n_frames:
        return pad(frames, n_frames)[np.newaxis]
    starts = sorted({*range(0, n - n_frames, n_frames // 2), n - n_frames})
    return np.stack([frames[start : start + n_frames] for start in starts])


def pad(frames: np.ndarray, n_frames: int) -> np.ndarray:
    """Append NaN frames up to `n_frames`: the models read NaN as 'nothing here'."""
    padded = np.full((n_frames, frames.shape[1]), np.nan, np.float32)
    padded[: len(frames)] = frames
    return padded
