"""Models that scikit-learn fits rather than a loop of epochs, kept as ONNX graphs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.batches import Batches
from ser.errors import SerError
from ser.graphs import OPSET, TOLERANCE, canonicalise
from ser.trained import FittedModel

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

_OPSETS = {"": OPSET, "ai.onnx.ml": 3}
_PARITY_EXAMPLES = 512
_PARITY_SHARE = 0.99  # of them; float32 may swap two neighbours that are equally far


class FitError(SerError):
    """The training rows are too few, or the converted model does not answer as the fitted one does."""


@dataclass(frozen=True)
class FitParams:
    """What a fit needs, where a network has its schedule."""

    seed: int
    epochs: int  # passes over the training clips that are fitted at once; more than one bring more of the augmented copies


def fit_classifier(estimator: "BaseEstimator", batches: Batches, kind: str, epochs: int) -> tuple[FittedModel, float]:
    """Fit an estimator or pipeline on drawn training rows, and convert it.

    Args:
        estimator: with `predict_proba` once it is fitted.
        batches: training examples by epoch.
        kind: the one input, rows of numbers.
        epochs: how many passes to draw.

    Returns:
        The model, and its mean cross-entropy on what it was fitted on.

    Raises:
        FitError: scikit-learn refuses the rows, or the graph does not answer as the estimator does.
    """
    drawn = [batch for epoch in range(1, epochs + 1) for batch in batches.epoch(epoch)]
    rows = np.concatenate([inputs[kind] for inputs, _ in drawn])
    targets = np.concatenate([targets for _, targets in drawn])
    try:
        estimator.fit(rows, targets.argmax(axis=1))
    except ValueError as error:
        raise FitError(f"scikit-learn cannot fit {len(rows)} rows of {kind}: {error}") from None
    model = FittedModel(_graph(estimator, kind, rows.shape[1], targets.shape[1]))
    answers = model.predict_on_batch({kind: rows})
    _require_parity(estimator, rows[:_PARITY_EXAMPLES], answers[:_PARITY_EXAMPLES])
    return model, float(-(targets * np.log(np.maximum(answers, 1e-7))).sum(axis=1).mean())


def _graph(estimator: "BaseEstimator", kind: str, n_columns: int, n_emotions: int) -> bytes:
    """ONNX graph from `kind` (batch, n_columns) to `emotion` (batch, n_emotions); what was never heard gets 0."""
    import onnx
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    options: dict[int, Any] = {id(_last(estimator)): {"zipmap": False}}
    types = [(kind, FloatTensorType([None, n_columns]))]
    whole = to_onnx(estimator, initial_types=types, options=options, target_opset=_OPSETS)
    _, heard = whole.graph.output  # label, probabilities
    places = np.eye(n_emotions, dtype=np.float32)[estimator.classes_]
    whole.graph.initializer.append(onnx.numpy_helper.from_array(places, "places"))
    whole.graph.node.append(onnx.helper.make_node("MatMul", [heard.name, "places"], ["emotion"]))
    del whole.graph.output[:]
    whole.graph.output.append(onnx.helper.make_tensor_value_info("emotion", onnx.TensorProto.FLOAT, [None, n_emotions]))
    canonicalise(whole.graph)
    return whole.SerializeToString(deterministic=True)


def _last(estimator: "BaseEstimator") -> "BaseEstimator":
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def _require_parity(estimator: "BaseEstimator", rows: np.ndarray, answers: np.ndarray) -> None:
    distance = np.abs(estimator.predict_proba(rows) - answers[:, estimator.classes_]).max(axis=1)
    if not np.quantile(distance, _PARITY_SHARE) <= TOLERANCE:
        raise FitError(f"the graph of a fitted model is {distance.max():.2g} off scikit-learn's; update skl2onnx")
