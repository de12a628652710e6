"""Keras layers and the prosodic branch that models share: backend-neutral, saved by name and never by pickle."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

BATCH_NORM_MOMENTUM = 0.9  # Keras' 0.99 lags epochs behind on corpora of a few thousand clips
register = keras.saving.register_keras_serializable(package="ser")


@register
class Standardization(layers.Layer):
    """Subtract the training mean and divide by the training deviation, per last axis; undefined (NaN) becomes 0.

    The statistics are weights, so they are saved with the model and no scaler file can be lost.

    Args:
        level_free: first remove each example's own mean over all its defined values, which makes the
            output blind to recording gain.
    """

    def __init__(self, *, level_free: bool = False, **kwargs) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.level_free = level_free

    def build(self, input_shape) -> None:
        """Create the two statistics."""
        shape = (input_shape[-1],)
        self.mean = self.add_weight(shape=shape, initializer="zeros", trainable=False, name="mean")
        self.deviation = self.add_weight(shape=shape, initializer="ones", trainable=False, name="deviation")

    def set_statistics(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        """Store training-set statistics; a constant column gets deviation 1, so that it standardises to 0."""
        self.mean.assign(mean)
        self.deviation.assign(np.where(deviation > 1e-6, deviation, 1.0))

    def call(self, x):
        """Standardise a tensor of any shape whose last axis is that of the statistics."""
        if self.level_free:
            x = x - example_level(x)
        z = (x - self.mean) / self.deviation
        return ops.where(ops.isnan(z), ops.zeros_like(z), ops.clip(z, -8.0, 8.0))

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "level_free": self.level_free}


def example_level(x):
    """Mean over the defined values of each example, shape (batch, 1, ..., 1); keras tensors or numpy arrays."""
    axes = tuple(range(1, len(x.shape)))
    defined = ops.cast(ops.logical_not(ops.isnan(x)), x.dtype)
    # The condition is `isnan` itself: only then does tf2onnx keep a choice, instead of a product that lets NaN through.
    total = ops.sum(ops.where(ops.isnan(x), ops.zeros_like(x), x), axis=axes, keepdims=True)
    return total / ops.maximum(ops.sum(defined, axis=axes, keepdims=True), 1.0)


@register
class DefinedMask(layers.Layer):
    """1 where a value is defined, 0 where it is NaN, same shape as the input."""

    def __init__(self, **kwargs) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def call(self, x):
        """Mask of the input."""
        return ops.cast(ops.logical_not(ops.isnan(x)), "float32")


@register
class AttentiveStatistics(layers.Layer):
    """Attention-weighted mean and deviation over time (Okabe, Koshinaka & Shinoda, Interspeech 2018).

    Inputs: frames (batch, time, channels) and a mask (batch, time, 1), 1 for frames that count.
    Output: (batch, 2 * channels).
    """

    def __init__(self, units: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="tanh")
        self.score = layers.Dense(1, dtype="float32")

    def build(self, input_shape) -> None:
        """Build the two projections."""
        frames = input_shape[0]
        self.hidden.build(frames)
        self.score.build((*frames[:-1], self.units))

    def attention(self, frames, mask):
        """Weights over time that sum to one, shape (batch, time, 1); masked frames weigh nothing."""
        score = self.score(self.hidden(frames))
        return ops.softmax(ops.where(mask > 0, score, ops.full_like(score, -1e4)), axis=1)

    def call(self, inputs):
        """Pool frames over time."""
        frames, mask = inputs
        weight = self.attention(frames, mask)
        frames = ops.cast(frames, "float32")
        mean = ops.sum(weight * frames, axis=1)
        variance = ops.sum(weight * ops.square(frames), axis=1) - ops.square(mean)
        return ops.concatenate([mean, ops.sqrt(ops.maximum(variance, 1e-5))], axis=-1)

    def compute_output_shape(self, input_shape):
        """(batch, 2 * channels)."""
        return (input_shape[0][0], 2 * input_shape[0][-1])

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "units": self.units}


@register
class MaskedMean(layers.Layer):
    """Mean over the frames that count: frames (batch, time, channels) and a mask (batch, time, 1) to (batch, channels)."""

    def call(self, inputs):
        """Pool frames over time."""
        frames, mask = inputs
        frames = ops.cast(frames, "float32")
        return ops.sum(frames * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)

    def compute_output_shape(self, input_shape):
        """(batch, channels)."""
        return (input_shape[0][0], input_shape[0][-1])


@register
class Pcen(layers.Layer):
    """Per-channel energy normalisation with a learned gain, bias and root for each band (Wang et al., ICASSP 2017).

    Takes power in dB (batch, frames, bands), NaN where padded, and sees it relative to the example's mean. Padding becomes 0.
    """

    _SMOOTHING = 0.04  # of a frame: 0.4 s at a hop of 16 ms
    _FLOOR = 1e-6

    def __init__(self, **kwargs) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)

    def build(self, input_shape) -> None:
        """Create the parameters of each band, at the values of the paper, and the smoothing over so many frames."""
        shape = (input_shape[-1],)
        self.gain = self.add_weight(shape=shape, initializer=keras.initializers.Constant(0.98), name="gain")
        self.bias = self.add_weight(shape=shape, initializer=keras.initializers.Constant(2.0), name="bias")
        self.root = self.add_weight(shape=shape, initializer=keras.initializers.Constant(0.5), name="root")
        lag = np.subtract.outer(np.arange(input_shape[1]), np.arange(input_shape[1]))
        smoothing = np.where(lag >= 0, self._SMOOTHING * (1 - self._SMOOTHING) ** np.maximum(lag, 0), 0.0)
        smoothing[:, 0] = (1 - self._SMOOTHING) ** np.arange(input_shape[1])  # as if the first frame had always been
        self.smoothing = smoothing.astype(np.float32)  # no tensor: tf2onnx would make an input of it

    def call(self, x):
        """Normalise a batch."""
        defined = ops.logical_not(ops.isnan(x))
        decibels = ops.where(ops.isnan(x), ops.full_like(x, -100.0), x)
        power = ops.where(defined, ops.power(10.0, decibels / 10), ops.zeros_like(x))
        count = ops.maximum(ops.sum(ops.cast(defined, "float32"), axis=(1, 2), keepdims=True), 1.0)
        power = power / ops.maximum(ops.sum(power, axis=(1, 2), keepdims=True) / count, 1e-10)
        smooth = ops.matmul(self.smoothing, power)
        gain, bias = ops.clip(self.gain, 0.0, 1.0), ops.maximum(self.bias, 1e-3)
        root = ops.clip(self.root, 0.05, 1.0)
        quotient = power / ops.power(smooth + self._FLOOR, gain)
        normalised = ops.power(quotient + bias, root) - ops.power(bias, root)
        return ops.where(defined, normalised, ops.zeros_like(x))

    def compute_output_shape(self, input_shape):
        """That of the input."""
        return input_shape


def conformer_block(x, mask, *, heads: int, kernel: int, dropout: float, name: str):
    """Self-attention, a depthwise convolution and a dense part, each added to its input (Gulati et al., Interspeech 2020).

    Half-sized: one dense part in place of two, and twice the channels in it in place of four times.

    Args:
        x: frames (batch, time, channels).
        mask: (batch, time, 1), 1 for frames that count.
        heads: of the attention.
        kernel: of the convolution, in frames.
        dropout: of each part.
        name: prefix of the layers' names.

    Returns:
        Frames of the same shape.
    """
    channels = x.shape[-1]
    allowed = layers.Reshape((1, -1))(mask)  # of every frame, to the frames that count
    y = layers.LayerNormalization(name=f"{name}_attention_norm")(x)
    y = layers.MultiHeadAttention(heads, channels // heads, dropout=dropout, name=f"{name}_attention")(
        y, y, attention_mask=ops.cast(allowed, "bool")
    )
    x = layers.Add()([x, layers.Dropout(dropout)(y)])
    y = layers.LayerNormalization(name=f"{name}_convolution_norm")(x)
    y = layers.Multiply()([y, mask])
    y = layers.DepthwiseConv1D(kernel, padding="same", use_bias=False, name=f"{name}_convolution")(y)
    y = layers.Activation("silu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(y))
    y = layers.Dense(channels, name=f"{name}_mixing")(y)
    x = layers.Add()([x, layers.Dropout(dropout)(y)])
    y = layers.LayerNormalization(name=f"{name}_dense_norm")(x)
    y = layers.Dense(2 * channels, activation="silu", name=f"{name}_wide")(y)
    y = layers.Dense(channels, name=f"{name}_narrow")(layers.Dropout(dropout)(y))
    return layers.Add()([x, layers.Dropout(dropout)(y)])


@register
class Selection(layers.Layer):
    """Some columns of the last axis, which were chosen before the network was built.

    Args:
        columns: their places, in the order of the output.
    """

    def __init__(self, columns: Sequence[int], **kwargs) -> None:
        super().__init__(**kwargs)
        self.columns = [int(column) for column in columns]

    def call(self, x):
        """(..., all columns) to (..., len(columns))."""
        return ops.take(x, self.columns, axis=-1)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "columns": self.columns}


@register
class SecondOpinion(layers.Layer):
    """Logits of a network, to which those of another expert are added once it is trained: a product of experts (Hinton 2002).

    While it trains, the network does not hear the other, or it would lean on an expert that knows the training clips by heart.
    """

    def call(self, inputs, training=False):
        """Logits of the network and of the expert, both (batch, n), to their sum, or to the network's own in training."""
        own, other = inputs
        return own if training else own + other

    def compute_output_shape(self, input_shape):
        """(batch, n)."""
        return input_shape[0]


def dense_blocks(x, units: Sequence[int], dropout: Sequence[float]):
    """Dense layers, each with ReLU, batch normalisation and its dropout: (batch, units[-1])."""
    for width, share in zip(units, dropout, strict=True):
        x = layers.Dense(width, activation="relu")(x)
        x = layers.Dropout(share)(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))
    return x


def bidirectional_stack(x, cell: type[layers.Layer], units: int, n_layers: int, dropout: float):
    """Recurrent layers in both directions over (batch, time, channels), dropout after each; the last step, (batch, 2 * units)."""
    for _ in range(n_layers):
        x = layers.Dropout(dropout)(layers.Bidirectional(cell(units, return_sequences=True))(x))
    return x[:, -1]


@dataclass(frozen=True)
class RecurrentParams:
    """Sizes of `recurrent_network`."""

    units: int
    n_layers: int
    dropout: float


def recurrent_network(name: str, cell: type[layers.Layer], kind: str, shape: tuple, n_emotions: int, params: RecurrentParams):
    """Bidirectional layers of one cell over a kind of frames, the model called `name`."""
    frames = keras.Input(shape, name=kind)
    x = Standardization(name=f"standardise_{kind}")(frames)
    x = bidirectional_stack(x, cell, params.units, params.n_layers, params.dropout)
    x = layers.Activation("linear", name="embedding")(x)
    emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model({kind: frames}, emotion, name=name)


def prosodic_branch(prosody, speaker, units: tuple[int, ...], dropout: float):
    """Prosodic columns (batch, columns), NaN where undefined, through dense layers: (batch, units[-1]).

    What is undefined enters as a mask beside the standardised columns, never as a silent zero. The mean of the speaker's other
    clips, of the same shape and all NaN while the speaker is unknown, enters as the distance from it.
    """
    standardise, defined = Standardization(name="standardise_prosody"), DefinedMask(name="defined_columns")
    z, known = standardise(prosody), defined(speaker)
    departure = layers.Multiply()([layers.Subtract()([z, standardise(speaker)]), layers.Multiply()([known, defined(prosody)])])
    x = layers.Concatenate()([z, defined(prosody), departure, ops.max(known, axis=-1, keepdims=True)])
    for width in units:
        x = layers.Dropout(dropout)(x)
        x = layers.Dense(width, use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM)(x))
    return layers.Dropout(dropout)(x)
