"""A random forest over 40 mean MFCC: a baseline of the reference systems (R2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

INPUTS = ("r2_mfcc_mean",)


@dataclass(frozen=True)
class Params:
    """Size of the forest."""

    trees: int


def estimator(params: Params, seed: int) -> "BaseEstimator":
    """The forest, not yet fitted."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(params.trees, random_state=seed)
