"""How sure a score is: intervals by redrawing test speakers, who are the independent units, not their clips."""

import zlib
from dataclasses import dataclass

import numpy as np

COVERAGE = 0.95


@dataclass(frozen=True)
class SpeakerBootstrap:
    """Redraw the test speakers with replacement and count again.

    Corpora are fixed and their speakers are the sample: each corpus is redrawn on its own, as many speakers as it has. A
    corpus with a single speaker says nothing about other speakers; its clips are redrawn instead, and `over_clips` tells so.
    The draws depend on the seed, the corpus' name and its speakers alone: not on the other corpora, and not on the model, so
    two models scored on the same rows are compared draw by draw. With very few speakers such an interval is still too narrow.

    Attributes:
        n_bootstrap: number of draws.
        seed: of the draws.
    """

    n_bootstrap: int
    seed: int

    def __post_init__(self) -> None:
        """Refuse a number of draws too small for a 95 % interval."""
        if self.n_bootstrap < 100:
            raise ValueError(f"n_bootstrap must be at least 100, got {self.n_bootstrap}")

    def __call__(
        self, truth: np.ndarray, predicted: np.ndarray, n_emotions: int, *, corpus: np.ndarray, speaker: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Count matrices of every draw by corpus, each (n_bootstrap, n_emotions, n_emotions).

        Args:
            truth: (n_clips,) codes of the true emotions.
            predicted: (n_clips,) codes of the predicted ones.
            n_emotions: how many codes there are.
            corpus: (n_clips,) names.
            speaker: (n_clips,) names.
        """
        cell = truth * n_emotions + predicted
        draws = {}
        for name in np.unique(corpus):
            rows = corpus == name
            units = _units(speaker[rows])
            n_units = units.max() + 1
            counts = np.bincount(units * n_emotions**2 + cell[rows], minlength=n_units * n_emotions**2)
            rng = np.random.default_rng([self.seed, zlib.crc32(str(name).encode())])
            times_drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=self.n_bootstrap)
            # whole numbers in float64 are exact, so the sum is the same on every CPU, and the product uses BLAS
            summed = times_drawn.astype(float) @ counts.reshape(n_units, -1).astype(float)
            draws[str(name)] = summed.reshape(-1, n_emotions, n_emotions)
        return draws


def over_clips(corpus: np.ndarray, speaker: np.ndarray) -> bool:
    """Whether some corpus has a single speaker, so that its clips were redrawn instead of its speakers."""
    return any(len(np.unique(speaker[corpus == name])) == 1 for name in np.unique(corpus))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Ends of the central 95 % of the draws (percentile method)."""
    tail = 100 * (1 - COVERAGE) / 2
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def two_sided_p(differences: np.ndarray) -> float:
    """Twice the share of draws in which the difference changes sign or vanishes; never zero, one draw is always counted."""
    n_draws = len(differences)
    rarer_side = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (rarer_side + 1) / (n_draws + 1))


def _units(speaker: np.ndarray) -> np.ndarray:
    """Code of the resampled unit each clip belongs to: its speaker, or itself where there is one speaker."""
    names, codes = np.unique(speaker, return_inverse=True)
    return codes if len(names) > 1 else np.arange(len(speaker))
