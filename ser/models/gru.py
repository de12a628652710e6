"""Bidirectional GRU layers over 40 MFCC: the baseline `gru` of the reference systems (R2)."""

import keras
from keras import layers

from ser.layers import RecurrentParams, recurrent_network

INPUTS = ("r2_mfcc",)
Params = RecurrentParams


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Frames (batch, frames, columns), NaN where padded, to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of the input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
    """
    return recurrent_network("gru", layers.GRU, "r2_mfcc", shapes["r2_mfcc"], n_emotions, params)
