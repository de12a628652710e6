"""Stored features of utterances, found by corpus and variant."""

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
        """The store of one kind (`spectrogram`, `prosody` or a feature set), variant and corpus."""
        key = (kind, variant, corpus)
        if key not in self._stores:
            self._stores[key] = Arrays(self.folder.joinpath(*key))
        return self._stores[key]

    def get(self, kind: str, clip: Clip) -> np.ndarray:
        """float32 array of one clip: (frames, bands) for spectrograms and sets of frames, (columns,) otherwise.

        The kind `speaker` is the mean prosody of the clip's speaker, (columns,): all NaN, since nobody is known here.
        """
        if kind == "speaker":
            return np.full_like(self.get("prosody", clip), np.nan)
        store = self.store(kind, clip.variant, clip.corpus)
        values = store[clip.id].astype(np.float32)
        return values if kind == "spectrogram" or _has_frames(store.recipe) else values[0]

    def copies(self, kind: str, corpus: str) -> dict[str, list[str]]:
        """Augmented ids of each parent id of a corpus."""
        found: dict[str, list[str]] = {}
        for name in self.store(kind, "augmented", corpus).ids:
            found.setdefault(name.rsplit("#", 1)[0], []).append(name)
        return found

    def recipe(self, kind: str, corpora: Sequence[str]) -> dict:
        """How a kind was made; all corpora share it, since one parameter section makes them all."""
        return self.store(kind, "clean", corpora[0]).recipe


def _has_frames(recipe: dict) -> bool:
    """Whether a feature set holds frames rather than one row a clip."""
    return bool(recipe.get("fields", {}).get("n_frames"))
