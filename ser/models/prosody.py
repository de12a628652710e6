"""A small dense network over prosody and functionals alone: what the numbers tell without the spectrogram."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import prosodic_branch

INPUTS = ("prosody", "speaker")


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    units: tuple[int, ...]
    dropout: float


def build(shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params) -> keras.Model:
    """Prosody and its mean for the speaker (batch, columns), NaN where undefined, to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of each input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
    """
    prosody = keras.Input(shapes["prosody"], name="prosody")
    speaker = keras.Input(shapes["speaker"], name="speaker")
    x = prosodic_branch(prosody, speaker, params.units, params.dropout)
    x = layers.Activation("linear", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({"prosody": prosody, "speaker": speaker}, emotion, name="prosody")
