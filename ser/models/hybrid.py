"""The trained CNN and the trained prosodic network, fused: each votes, and a joint layer over both embeddings corrects."""

from dataclasses import dataclass

import keras
from keras import layers, ops

INPUTS = ("spectrogram", "prosody", "speaker")
BASES = ("cnn", "prosody")


@dataclass(frozen=True)
class Params:
    """Sizes of the parts that are new, and whether the two networks go on learning."""

    dropout: float
    fused_units: int
    train_bases: bool


def build(
    shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params, bases: dict[str, keras.Model]
) -> keras.Model:
    """Spectrogram, prosody and the speaker's mean prosody to emotion probabilities (batch, n_emotions).

    Before it is trained it multiplies the probabilities of its two parts (a product of experts, Hinton 2002), since the joint
    layer starts at zero; so training starts from a late fusion and can only move away from it to gain.

    Args:
        shapes: shape of each input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
        bases: the trained models, whose layers `embedding` and `emotion` are taken over with their weights.
    """
    inputs = {kind: keras.Input(shapes[kind], name=kind) for kind in INPUTS}
    embeddings, votes = [], []
    for name in BASES:
        base = bases[name]
        fitted = [layer for layer in base.layers if not layer.trainable]  # before any training, and not for training
        base.trainable = params.train_bases
        for layer in fitted:
            layer.trainable = False
        outputs = [base.get_layer("embedding").output, base.get_layer("emotion").output]
        network = keras.Model(base.inputs, outputs, name=f"{name}_network")
        embedding, probabilities = network([inputs[tensor.name] for tensor in base.inputs])
        embeddings.append(embedding)
        votes.append(ops.log(ops.maximum(probabilities, 1e-6)))
    both = layers.Dropout(params.dropout)(layers.Concatenate()(embeddings))
    both = layers.Dense(params.fused_units, activation="relu")(both)
    both = layers.Dropout(params.dropout)(both)
    votes.append(layers.Dense(n_emotions, kernel_initializer="zeros", dtype="float32", name="correction")(both))
    emotion = layers.Activation("softmax", dtype="float32", name="emotion")(layers.Add()(votes))
    return keras.Model(inputs, emotion, name="hybrid")
