"""A trained network as an ONNX graph that runs without Keras, with its attention over time as a second output."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser.errors import SerError

if TYPE_CHECKING:
    import keras

TOLERANCE = 1e-4  # between the graph's probabilities and Keras', both float32
_PARITY_EXAMPLES = 8
_OPSET = 17


class ExportError(SerError):
    """The exported graph does not answer as the network does."""


def export_graph(model: "keras.Model", path: Path) -> None:
    """Write `emotion` (batch, n_emotions) and, if the model attends, `attention` (batch, n_steps, 1) as ONNX.

    ONNX rather than LiteRT: its runtime loads in a tenth of a second, is kept for all platforms and needs no conversion of
    layers by hand.

    Raises:
        ExportError: the graph's probabilities are off by more than `TOLERANCE` on random inputs, undefined values among them.
    """
    import keras

    outputs = {"emotion": model.outputs[0]}
    if (attention := _attention(model)) is not None:
        outputs["attention"] = attention
    whole = keras.Model(model.inputs, outputs)
    _write(whole, path)
    _require_parity(whole, path)


def _attention(model: "keras.Model"):
    """Symbolic attention of the model's pooling layer, whether it is the model's own or inside one it builds on; or None."""
    import keras

    for layer in model.layers:
        if layer.name == "pooling":
            return _AttentionOf.make(layer)(layer.input)
        if isinstance(layer, keras.Model) and any(inner.name == "pooling" for inner in layer.layers):
            pooling = layer.get_layer("pooling")
            inner = keras.Model(layer.inputs[0], _AttentionOf.make(pooling)(pooling.input))
            (spectrogram,) = (tensor for tensor in model.inputs if tensor.name == "spectrogram")
            return inner(spectrogram)
    return None


class _AttentionOf:
    """A Keras layer that gives the weights of a pooling layer instead of what they pool."""

    @staticmethod
    def make(pooling):
        import keras

        class Attention(keras.layers.Layer):
            def call(self, inputs):
                return pooling.attention(*inputs)

            def compute_output_shape(self, input_shape):
                return (*input_shape[0][:2], 1)

        return Attention(dtype="float32")


def _write(model: "keras.Model", path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    signature = [tf.TensorSpec([None, *tensor.shape[1:]], tf.float32, name=tensor.name) for tensor in model.inputs]
    names = [tensor.name for tensor in model.inputs]

    @tf.function(input_signature=signature)
    def answer(*tensors):
        return model(dict(zip(names, tensors, strict=True)) if len(names) > 1 else tensors[0], training=False)

    graph, _ = tf2onnx.convert.from_function(answer, input_signature=signature, opset=_OPSET)
    path.write_bytes(graph.SerializeToString(deterministic=True))


def _require_parity(model: "keras.Model", path: Path) -> None:
    import onnxruntime

    random = np.random.default_rng(0)
    inputs = {}
    for tensor in model.inputs:
        values = random.normal(0, 20, (_PARITY_EXAMPLES, *tensor.shape[1:])).astype(np.float32)
        if values.ndim == 3:
            values[1::2, values.shape[1] // 2 :] = np.nan  # a clip shorter than the window
        else:
            values[random.random(values.shape) < 0.1] = np.nan
        inputs[tensor.name] = values
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True))
    expected = model.predict_on_batch(inputs if len(inputs) > 1 else next(iter(inputs.values())))
    for name, values in expected.items():
        distance = float(np.abs(found[name] - np.asarray(values)).max())
        if not distance <= TOLERANCE:
            raise ExportError(f"{path.name}: output '{name}' is {distance:.2g} off Keras'; update tf2onnx or onnxruntime")
