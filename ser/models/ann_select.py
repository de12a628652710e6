"""Dense layers over the columns that a random forest finds important: `ann_select` of the reference systems (R4)."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from ser.layers import Selection, Standardization, dense_blocks

INPUTS = ("r4",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network and of the selection before it."""

    n_columns: int  # kept
    trees: int
    units: tuple[int, ...]
    dropout: tuple[float, ...]  # after each of them


def fit(rows: np.ndarray, labels: np.ndarray, params: Params, seed: int) -> dict[str, np.ndarray]:
    """Places of the columns that matter most to a random forest.

    Args:
        rows: of the training clips, (n, columns).
        labels: their emotions as numbers.
        params: how many columns, by how many trees.
        seed: of the forest.

    Returns:
        `columns`, ascending.
    """
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(params.trees, random_state=seed).fit(rows, labels)
    order = np.argsort(-forest.feature_importances_, kind="stable")
    return {"columns": np.sort(order[: params.n_columns])}


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
    rows = keras.Input(shapes["r4"], name="r4")
    x = Selection(fitted["columns"], name="selected")(Standardization(name="standardise_r4")(rows))
    x = dense_blocks(x, params.units, params.dropout)
    x = layers.Activation("linear", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"r4": rows}, emotion, name="ann_select")
