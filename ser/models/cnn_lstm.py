"""Convolutions over frames, then a bidirectional LSTM: `cnn_lstm` of the reference systems (R2)."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import BATCH_NORM_MOMENTUM, Standardization, bidirectional_stack

INPUTS = ("r2",)


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    filters: tuple[int, ...]
    kernels: tuple[int, ...]  # frames, of each convolution
    lstm_units: int
    lstm_layers: int
    dense: int
    dropout: float


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Frames (batch, frames, columns), NaN where padded, to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of the input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
    """
    frames = keras.Input(shapes["r2"], name="r2")
    x = Standardization(name="standardise_r2")(frames)
    for filters, kernel in zip(params.filters, params.kernels, strict=True):
        x = layers.Conv1D(filters, kernel, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))
        x = layers.Dropout(params.dropout)(x)
    x = bidirectional_stack(x, layers.LSTM, params.lstm_units, params.lstm_layers, params.dropout)
    x = layers.Dense(params.dense, activation="relu", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"r2": frames}, emotion, name="cnn_lstm")
