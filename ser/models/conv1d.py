"""Convolutions along a row of means, as if it were a signal: `conv1d` of the reference systems (R3)."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import Standardization

INPUTS = ("r3",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    filters: tuple[int, ...]
    kernel: int  # columns
    pool: int  # columns; each pooling halves their number
    dense: int
    dropout: float


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Means (batch, columns) to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of the input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
    """
    rows = keras.Input(shapes["r3"], name="r3")
    x = layers.Reshape((-1, 1))(Standardization(name="standardise_r3")(rows))
    for filters in params.filters:
        x = layers.Conv1D(filters, params.kernel, padding="same", activation="relu")(x)
        x = layers.MaxPooling1D(params.pool, strides=2, padding="same")(x)
    x = layers.Dropout(params.dropout)(layers.Flatten()(x))
    x = layers.Dense(params.dense, activation="relu", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(layers.Dropout(params.dropout)(x))
    return keras.Model({"r3": rows}, emotion, name="conv1d")
