"""A compact residual 2-D CNN over the spectrogram with attentive statistics pooling."""

from dataclasses import dataclass
from typing import Literal

import keras
from keras import layers

from ser.layers import BATCH_NORM_MOMENTUM, AttentiveStatistics, DefinedMask, MaskedMean, Pcen, Standardization, conformer_block

INPUTS = ("spectrogram",)


@dataclass(frozen=True)
class Params:
    """Sizes of the CNN."""

    stem_filters: int
    filters: tuple[int, ...]  # one residual block each
    attention_units: int
    embedding: int
    dropout: float
    level_free: bool
    front_end: Literal["db", "pcen"] = "db"  # pcen is level-free by itself
    resolutions: int = 1  # spectrograms that lie one above the other in the bands, each to be a channel
    context_blocks: int = 0  # conformer blocks between the convolutions and the pooling
    pooling: Literal["attentive", "mean"] = "attentive"


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Spectrogram (batch, frames, bands), NaN where padded, to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of each input without the batch axis; frames may be None.
        n_emotions: width of the softmax.
        params: sizes.
    """
    spectrogram = keras.Input(shapes["spectrogram"], name="spectrogram")
    if params.front_end == "pcen":
        x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(Pcen(name="pcen")(spectrogram))
    else:
        x = Standardization(level_free=params.level_free, name="standardise_spectrogram")(spectrogram)
    mask = DefinedMask(name="defined_frames")(spectrogram[:, :, :1])  # (frames, 1)

    if params.resolutions == 1:
        x = layers.Reshape((-1, shapes["spectrogram"][-1], 1))(x)  # (frames, bands, 1)
    else:
        x = layers.Reshape((-1, params.resolutions, shapes["spectrogram"][-1] // params.resolutions))(x)
        x = layers.Permute((1, 3, 2))(x)  # (frames, bands, resolutions)
    x = _convolution(x, params.stem_filters, kernel=5, strides=2)  # halves frames and bands
    x = layers.Activation("relu")(x)
    mask = layers.MaxPooling1D(2, padding="same")(mask)
    for n, filters in enumerate(params.filters):
        halve_time = n < 2  # in the end one step is eight frames: finer costs time and gained nothing
        x = _residual_block(x, filters, strides=(2 if halve_time else 1, 2))
        if halve_time:
            mask = layers.MaxPooling1D(2, padding="same")(mask)

    x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)  # (frames / 8, bands left * filters)
    x = layers.Dense(params.embedding * 2, use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))
    for n in range(params.context_blocks):
        x = conformer_block(x, mask, heads=4, kernel=7, dropout=params.dropout, name=f"context_{n + 1}")
    if params.pooling == "mean":
        x = MaskedMean(name="pooling")([x, mask])
    else:
        x = AttentiveStatistics(params.attention_units, name="pooling")([x, mask])
    x = layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)
    x = layers.Dropout(params.dropout)(x)
    x = layers.Dense(params.embedding, activation="relu", name="embedding")(x)
    x = layers.Dropout(params.dropout)(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"spectrogram": spectrogram}, emotion, name="cnn")


def _convolution(x, filters: int, *, kernel: int, strides):
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x)


def _residual_block(x, filters: int, *, strides):
    y = layers.Activation("relu")(_convolution(x, filters, kernel=3, strides=strides))
    y = _convolution(y, filters, kernel=3, strides=1)
    shortcut = _convolution(x, filters, kernel=1, strides=strides)
    return layers.Activation("relu")(layers.Add()([y, shortcut]))
