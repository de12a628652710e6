"""Convolutions over 40 MFCC: the baseline CNN of the reference systems (R2)."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import Standardization

INPUTS = ("r2_mfcc",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    filters: tuple[int, ...]
    kernel: int  # frames
    dense: int
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
    for filters in params.filters:
        x = layers.Conv1D(filters, params.kernel, padding="same", activation="relu")(x)
        x = layers.Dropout(params.dropout)(layers.MaxPooling1D(2)(x))
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(params.dense, activation="relu", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(layers.Dropout(params.dropout)(x))
    return keras.Model({"r2_mfcc": frames}, emotion, name="cnn1d")
