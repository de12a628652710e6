"""Speech encoders of a few random weights, written as files: what a hub would give, without one."""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

WIDTH = 6
KERNEL, HOP = 400, 320  # samples, as of wav2vec 2.0
RAW = ["input_values"]


def write_onnx(
    path: Path, *, seed=0, width=WIDTH, outputs=("last_hidden_state",), inputs=RAW, settings=None, pooled=False
) -> Path:
    """An ONNX encoder: frames by a convolution, then one more nonlinear layer for each further output."""
    random = np.random.default_rng(seed)

    def weights(name, *shape):
        return numpy_helper.from_array(random.normal(0, 1 / np.sqrt(shape[-1]), shape).astype(np.float32), name)

    stored = [numpy_helper.from_array(np.array([1], np.int64), "axis"), weights("kernel", width, 1, KERNEL)]
    nodes = [
        helper.make_node("Unsqueeze", [inputs[0], "axis"], ["mono"]),
        helper.make_node("Conv", ["mono", "kernel"], ["channels"], strides=[HOP]),
        helper.make_node("Transpose", ["channels"], ["layer_0"], perm=[0, 2, 1]),
    ]
    for n, name in enumerate(outputs):
        stored.append(weights(f"mix_{n}", width, width))
        nodes.append(helper.make_node("MatMul", [f"layer_{n}", f"mix_{n}"], [f"mixed_{n}"]))
        nodes.append(helper.make_node("Tanh", [f"mixed_{n}"], [f"layer_{n + 1}"]))
        last = f"layer_{n + 1}"
        if pooled:
            nodes.append(helper.make_node("ReduceMean", [last], [name], axes=[1], keepdims=0))
        else:
            nodes.append(helper.make_node("Identity", [last], [name]))
    reads = [helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, ["batch", "samples"])]
    reads += [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "samples"]) for name in inputs[1:]]
    gives = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "encoder", reads, gives, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    if settings is not None:
        path.with_name("preprocessor_config.json").write_text(json.dumps(settings))
    return path


def write_wav2vec2(folder: Path, seed: int = 1) -> Path:
    """A Hugging Face encoder of two layers, by the real library; needs torch and transformers."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.Wav2Vec2Config(
        hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8, conv_dim=(4, 4), conv_kernel=(10, 40),
        conv_stride=(5, 64), num_feat_extract_layers=2, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder
