"""A support vector machine with a radial kernel over 40 mean MFCC: a baseline of the reference systems (R2)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

INPUTS = ("r2_mfcc_mean",)


@dataclass(frozen=True)
class Params:
    """Softness of the margin."""

    c: float


def estimator(params: Params, seed: int) -> "BaseEstimator":
    """The machine, not yet fitted, with Platt's probabilities of its distances."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    machine = SVC(C=params.c, kernel="rbf", random_state=seed)
    return make_pipeline(StandardScaler(), CalibratedClassifierCV(machine, ensemble=False))
