"""The trained CNN's embedding and the prosodic columns, fused: each branch votes and a joint layer corrects."""

from dataclasses import dataclass

import keras
from keras import layers

from ser.layers import prosodic_branch

INPUTS = ("spectrogram", "prosody")
BASE = "cnn"


@dataclass(frozen=True)
class Params:
    """Sizes of the parts that are new, and whether the CNN goes on learning."""

    units: tuple[int, ...]  # prosodic branch
    dropout: float
    fused_units: int
    train_base: bool


def build(
    shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params, base: keras.Model
) -> keras.Model:
    """Spectrogram and prosody to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of each input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
        base: the trained CNN, whose layer `embedding` is taken over with its weights.
    """
    base.trainable = params.train_base
    spectrogram = keras.Input(shapes["spectrogram"], name="spectrogram")
    heard = keras.Model(base.inputs[0], base.get_layer("embedding").output, name="cnn")(spectrogram)
    heard = layers.Dropout(params.dropout)(heard)

    prosody = keras.Input(shapes["prosody"], name="prosody")
    measured = prosodic_branch(prosody, params.units, params.dropout)

    both = layers.Dense(params.fused_units, activation="relu")(layers.Concatenate()([heard, measured]))
    both = layers.Dropout(params.dropout)(both)
    votes = [layers.Dense(n_emotions, dtype="float32")(x) for x in (heard, measured, both)]
    emotion = layers.Activation("softmax", dtype="float32", name="emotion")(layers.Add()(votes))
    return keras.Model({"spectrogram": spectrogram, "prosody": prosody}, emotion, name="hybrid")
