"""The nearest neighbours over 40 mean MFCC: a baseline of the reference systems (R2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

INPUTS = ("r2_mfcc_mean",)


@dataclass(frozen=True)
class Params:
    """How many neighbours vote."""

    neighbours: int


def estimator(params: Params, seed: int) -> "BaseEstimator":
    """The vote, not yet fitted; nothing in it is random."""
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), KNeighborsClassifier(params.neighbours))
