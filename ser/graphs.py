"""ONNX graphs as files whose bytes depend on what they compute alone."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

OPSET = 17
TOLERANCE = 1e-4  # between a graph's probabilities and those of the model it was made of


def canonicalise(graph: "onnx.GraphProto") -> None:
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
    """Nodes and constants reached, by what they compute, in the order in which they are first needed.

    The body of a loop is walked by a walk of its own, which asks the outer one for what it takes from there.
    """

    def __init__(self, graph: "onnx.GraphProto", outer: "_Walk | None" = None) -> None:
        self._outer, self._prefix = outer, f"{outer._prefix}body_" if outer else ""
        self.nodes: dict[tuple, onnx.NodeProto] = {}
        self.tensors: dict[tuple, onnx.TensorProto] = {}
        self._makers = {output: node for node in graph.node for output in node.output}
        self._stored = {tensor.name: tensor for tensor in graph.initializer}
        self._names = {"": ""} | {tensor.name: tensor.name for tensor in graph.input}  # "" is an optional input left out

    def visit(self, name: str) -> str:
        """New name of a value, whose makers are by then in `nodes`."""
        if name not in self._names:
            if name in self._stored:
                self._add_tensor(name)
            elif name in self._makers:
                node = self._makers[name]
                if self._outer and node.op_type == "Identity":  # left at another place of a loop each time
                    return self.visit(node.input[0])
                self._add_node(node)
            else:
                return self._outer.visit(name)
        return self._names[name]

    def _add_tensor(self, name: str) -> None:
        import onnx

        values = onnx.numpy_helper.to_array(self._stored[name])
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self.tensors:
            self.tensors[key] = onnx.numpy_helper.from_array(values, f"{self._prefix}constant_{len(self.tensors)}")
        self._names[name] = self.tensors[key].name

    def _add_node(self, node: "onnx.NodeProto") -> None:
        import onnx

        inputs = [self.visit(name) for name in node.input]
        attributes = [self._attribute(attribute) for attribute in sorted(node.attribute, key=lambda found: found.name)]
        settings = [attribute.SerializeToString(deterministic=True) for attribute in attributes]
        key = (node.domain, node.op_type, *inputs, *settings)
        if key not in self.nodes:
            number = len(self.nodes)
            made = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=f"{node.op_type}_{number}", input=inputs)
            made.output.extend(f"{self._prefix}value_{number}_{place}" if name else "" for place, name in enumerate(node.output))
            made.attribute.extend(attributes)
            self.nodes[key] = made
        self._names |= dict(zip(node.output, self.nodes[key].output, strict=True))

    def _attribute(self, attribute: "onnx.AttributeProto") -> "onnx.AttributeProto":
        import onnx

        if attribute.type != onnx.AttributeProto.GRAPH:
            return attribute
        return onnx.helper.make_attribute(attribute.name, self._body(attribute.g))

    def _body(self, graph: "onnx.GraphProto") -> "onnx.GraphProto":
        """A loop's body with inputs, outputs and values named by their place."""
        import onnx

        walk = _Walk(graph, outer=self)
        body = onnx.GraphProto(name="body", input=graph.input, output=graph.output)
        for dimension in (found for tensor in (*body.input, *body.output) for found in tensor.type.tensor_type.shape.dim):
            dimension.ClearField("dim_param")  # numbered with a counter, too
        for place, tensor in enumerate(body.input):
            walk._names[tensor.name] = tensor.name = f"{walk._prefix}input_{place}"
        found = [walk.visit(tensor.name) for tensor in graph.output]
        body.node.extend(walk.nodes.values())
        for place, (tensor, name) in enumerate(zip(body.output, found, strict=True)):
            tensor.name = f"{walk._prefix}output_{place}"  # two outputs may be one value, and a value may be an input
            body.node.append(onnx.helper.make_node("Identity", [name], [tensor.name]))
        body.initializer.extend(walk.tensors.values())
        return body
