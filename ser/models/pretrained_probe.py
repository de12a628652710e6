"""A probe on a pretrained encoder: one dense layer over its standardised embedding."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import Standardization

INPUTS = ("pretrained",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    units: int
    dropout: float


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Embedding (batch, columns) to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of the input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
    """
    rows = keras.Input(shapes["pretrained"], name="pretrained")
    x = Standardization(name="standardise_pretrained")(rows)
    x = layers.Dropout(params.dropout)(x)
    x = layers.Dense(params.units, activation="relu")(x)
    x = layers.Dropout(params.dropout)(x)
    x = layers.Activation("linear", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"pretrained": rows}, emotion, name="pretrained_probe")
