"""Probabilities that mean what they say, and when to say nothing: a temperature and a threshold, both chosen on validation."""

from dataclasses import dataclass

import numpy as np

_TEMPERATURES = np.geomspace(0.25, 4.0, 161)  # 1 is in it
_FLOOR = 1e-6  # predictions are stored with six decimals


@dataclass(frozen=True)
class CalibrationParams:
    """What a verdict must be worth."""

    sure_accuracy: float  # of the clips on which the model commits itself
    minimum_coverage: float  # but it has to commit itself on this share of them


@dataclass(frozen=True)
class Calibration:
    """Temperature (Guo et al., ICML 2017) and the confidence below which the verdict is "unsure"."""

    temperature: float = 1.0
    unsure_below: float = 0.0

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Calibrated probabilities, (..., n_emotions); the most probable emotion stays the same."""
        logits = np.log(np.maximum(probabilities, _FLOOR)) / self.temperature
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)


def calibrate(truth: np.ndarray, probabilities: np.ndarray, params: CalibrationParams) -> Calibration:
    """Fit on held-out clips that are not the test's; without any, probabilities stay as they are.

    The temperature is the one of least cross-entropy. The threshold is the lowest at which the clips above it are right as often
    as `sure_accuracy` asks, but never so high that fewer than `minimum_coverage` remain.

    Args:
        truth: codes, (n,).
        probabilities: (n, n_emotions).
        params: the aim.
    """
    if not len(truth):
        return Calibration()
    rows = np.arange(len(truth))
    losses = [-np.log(Calibration(t)(probabilities)[rows, truth]).mean() for t in _TEMPERATURES]
    temperature = round(float(_TEMPERATURES[int(np.argmin(losses))]), 4)
    calibrated = Calibration(temperature)(probabilities)
    confidence = np.sort(calibrated.max(axis=1))[::-1]
    order = np.argsort(-calibrated.max(axis=1), kind="stable")
    right = (calibrated.argmax(axis=1) == truth)[order]
    accuracy = np.cumsum(right) / (rows + 1)
    enough = int(np.ceil(params.minimum_coverage * len(truth)))
    fitting = np.flatnonzero((accuracy >= params.sure_accuracy) & (rows + 1 >= enough))
    kept = int(fitting[-1]) + 1 if len(fitting) else enough
    lowest = float(confidence[kept - 1])
    return Calibration(temperature, np.floor(lowest * 1e4).item() / 1e4 if kept < len(truth) else 0.0)  # rounding up drops a clip


def committed(truth: np.ndarray, probabilities: np.ndarray, calibration: Calibration) -> tuple[float, float]:
    """Share of clips with a verdict, and the accuracy on these (NaN if there is none).

    Args:
        truth: codes, (n,).
        probabilities: as the model gave them, (n, n_emotions).
        calibration: applied before the threshold.
    """
    calibrated = calibration(probabilities)
    sure = calibrated.max(axis=1) >= calibration.unsure_below
    right = calibrated.argmax(axis=1) == truth
    return float(sure.mean()), float(right[sure].mean()) if sure.any() else float("nan")


def risk_coverage(truth: np.ndarray, probabilities: np.ndarray, n_points: int = 20) -> list[tuple[float, float]]:
    """Share of clips kept, most confident first, and the share of errors among them, at `n_points` shares up to one."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = (probabilities.argmax(axis=1) != truth)[order]
    counts = np.unique(np.maximum(1, np.rint(np.linspace(1 / n_points, 1, n_points) * len(truth)).astype(int)))
    return [(float(n / len(truth)), float(wrong[:n].mean())) for n in counts]
