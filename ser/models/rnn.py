"""Bidirectional SimpleRNN layers over 40 MFCC: the baseline `rnn` of the reference systems (R2)."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import Standardization, bidirectional_stack

INPUTS = ("r2_mfcc",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    units: int
    n_layers: int
    dropout: float


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Frames (batch, frames, columns), NaN where padded, to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of the input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
    """
    frames = keras.Input(shapes["r2_mfcc"], name="r2_mfcc")
    x = Standardization(name="standardise_r2_mfcc")(frames)
    x = bidirectional_stack(x, layers.SimpleRNN, params.units, params.n_layers, params.dropout)
    x = layers.Activation("linear", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"r2_mfcc": frames}, emotion, name="rnn")
