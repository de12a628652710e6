"""A trained network as an ONNX graph that runs without Keras, with its attention over time as a second output."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.errors import SerError

if TYPE_CHECKING:
    import keras
    import onnx

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
    answer = _Answer(model)
    _write(answer, path)
    _require_parity(answer, path)


class _Answer:
    """What a network says and where it listened: the outputs of the graph by name, eagerly or while TensorFlow traces."""

    def __init__(self, model: "keras.Model") -> None:
        self.model = model
        self._pooling = _pooling(model)

    def __call__(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Outputs for inputs by name."""
        if self._pooling is None:
            return {"emotion": self.model(inputs, training=False)}
        heard: list[Any] = []
        attend = self._pooling.attention
        self._pooling.attention = lambda *frames: heard.append(attend(*frames)) or heard[-1]
        try:
            return {"emotion": self.model(inputs, training=False), "attention": heard[-1]}
        finally:
            del self._pooling.attention  # the class has it again


def _pooling(model: "keras.Model") -> "keras.Layer | None":
    """The attentive pooling of a model, its own or that of a network inside it."""
    import keras

    from ser.layers import AttentiveStatistics

    for layer in model.layers:
        found = _pooling(layer) if isinstance(layer, keras.Model) else layer
        if isinstance(found, AttentiveStatistics):
            return found
    return None


def _write(answer: _Answer, path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    tensors = answer.model.inputs
    signature = [tf.TensorSpec([None, *tensor.shape[1:]], tf.float32, name=tensor.name) for tensor in tensors]

    @tf.function(input_signature=signature)
    def traced(*values):
        return answer({tensor.name: value for tensor, value in zip(tensors, values, strict=True)})

    whole, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=_OPSET)
    _canonicalise(whole.graph)
    path.write_bytes(whole.SerializeToString(deterministic=True))


def _canonicalise(graph: "onnx.GraphProto") -> None:
    """Order, name and merge nodes by what they compute, walking back from the outputs.

    tf2onnx names nodes with counters, walks through sets and leaves a different one of several equal nodes each time.
    """
    walk = _Walk(graph)
    outputs = {walk.visit(output.name): output.name for output in graph.output}
    for node in walk.nodes.values():
        for names in (node.input, node.output):
            names[:] = [outputs.get(name, name) for name in names]
    for tensor in (*graph.input, *graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    graph.doc_string = ""
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(walk.nodes.values())
    graph.initializer.extend(walk.tensors.values())


class _Walk:
    """Nodes and constants reached, by what they compute, in the order in which they are first needed."""

    def __init__(self, graph: "onnx.GraphProto") -> None:
        self.nodes: dict[tuple, onnx.NodeProto] = {}
        self.tensors: dict[tuple, onnx.TensorProto] = {}
        self._makers = {output: node for node in graph.node for output in node.output}
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._names = {"": ""} | {tensor.name: tensor.name for tensor in graph.input}  # "" is an optional input left out

    def visit(self, name: str) -> str:
        """New name of a value, whose makers are by then in `nodes`."""
        if name not in self._names:
            self._add_tensor(name) if name in self._stored else self._add_node(self._makers[name])
        return self._names[name]

    def _add_tensor(self, name: str) -> None:
        import onnx

        values = onnx.numpy_helper.to_array(self._stored[name])
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self.tensors:
            self.tensors[key] = onnx.numpy_helper.from_array(values, f"constant_{len(self.tensors)}")
        self._names[name] = self.tensors[key].name

    def _add_node(self, node: "onnx.NodeProto") -> None:
        import onnx

        inputs = [self.visit(name) for name in node.input]
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        settings = [attribute.SerializeToString(deterministic=True) for attribute in attributes]
        key = (node.domain, node.op_type, *inputs, *settings)
        if key not in self.nodes:
            number = len(self.nodes)
            made = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=f"{node.op_type}_{number}", input=inputs)
            made.output.extend(f"value_{number}_{place}" if name else "" for place, name in enumerate(node.output))
            made.attribute.extend(attributes)
            self.nodes[key] = made
        self._names |= dict(zip(node.output, self.nodes[key].output, strict=True))


def _require_parity(answer: _Answer, path: Path) -> None:
    import keras
    import onnxruntime

    random = np.random.default_rng(0)
    inputs = {}
    for tensor in answer.model.inputs:
        values = random.normal(0, 20, (_PARITY_EXAMPLES, *tensor.shape[1:])).astype(np.float32)
        if values.ndim == 3:
            values[1::2, values.shape[1] // 2 :] = np.nan  # a clip shorter than the window
        else:
            values[random.random(values.shape) < 0.1] = np.nan
            values[::4] = np.nan  # nobody is known
        inputs[tensor.name] = values
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs), strict=True))
    for name, values in answer(inputs).items():
        distance = float(np.abs(found[name] - keras.ops.convert_to_numpy(values)).max())
        if not distance <= TOLERANCE:
            raise ExportError(f"{path.name}: output '{name}' is {distance:.2g} off Keras'; update tf2onnx or onnxruntime")
