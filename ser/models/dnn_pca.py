"""Dense layers over the principal components of 556 functionals: `dnn_pca` of the reference systems (R0)."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from ser.layers import Standardization, dense_blocks

INPUTS = ("r0",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    variance: float  # share that the kept components explain
    units: tuple[int, ...]
    dropout: float


def fit(rows: np.ndarray, labels: np.ndarray, params: Params, seed: int) -> dict[str, np.ndarray]:
    """Range of each column and principal components of the columns scaled to it.

    Args:
        rows: of the training clips, (n, columns).
        labels: not used.
        params: how much variance is kept.
        seed: not used.

    Returns:
        `minimum` and `range` (columns,), `components` (columns, n_components), `centre` (columns,).
    """
    from sklearn.decomposition import PCA

    minimum, span = rows.min(axis=0), np.ptp(rows, axis=0)
    scale = Standardization()
    scale.build(rows.shape)
    scale.set_statistics(minimum, span)
    pca = PCA(params.variance, svd_solver="full").fit(keras.ops.convert_to_numpy(scale(rows)))
    return {"minimum": minimum, "range": span, "components": pca.components_.T, "centre": pca.mean_}


def build(
    shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params, fitted: dict[str, np.ndarray]
) -> keras.Model:
    """Functionals (batch, columns) to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of the input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
        fitted: what `fit` gave.
    """
    rows = keras.Input(shapes["r0"], name="r0")
    scale = Standardization(name="scale")
    project = layers.Dense(fitted["components"].shape[1], trainable=False, name="principal_components")
    x = project(scale(rows))
    scale.set_statistics(fitted["minimum"], fitted["range"])
    project.set_weights([fitted["components"], -fitted["centre"] @ fitted["components"]])
    x = dense_blocks(x, params.units, [params.dropout] * len(params.units))
    x = layers.Activation("linear", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"r0": rows}, emotion, name="dnn_pca")
