"""Networks as ONNX graphs: the same answers as Keras, undefined values and padding included, and the same bytes each time."""

import numpy as np
import onnxruntime
import pytest

import ser.export
from ser.export import ExportError, export_graph
from ser.trained import load_model

STEPS = 4  # 32 frames, eight to a step


@pytest.fixture(scope="module")
def graphs(tiny_models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    for name, model in tiny_models.items():
        export_graph(model, folder / f"{name}.onnx")
    return folder


def answers(path, inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {name: inputs[name] for name in _inputs(session)}), strict=True))


def _inputs(session):
    return [tensor.name for tensor in session.get_inputs()]


def examples(model, n=5):
    """A whole window, a padded one, one with a single frame; columns with gaps; a speaker known, half known, unknown."""
    random = np.random.default_rng(3)
    inputs = {x.name: random.normal(0, 30, (n, *x.shape[1:])).astype(np.float32) for x in model.inputs}
    if "spectrogram" in inputs:
        inputs["spectrogram"][1, 20:] = np.nan
        inputs["spectrogram"][2, 1:] = np.nan
    if "prosody" in inputs:
        inputs["prosody"][random.random(inputs["prosody"].shape) < 0.3] = np.nan
        inputs["prosody"][3] = np.nan
        inputs["speaker"][1, ::2] = np.nan
        inputs["speaker"][2] = np.nan
    return inputs


@pytest.mark.parametrize("name", ["cnn", "prosody", "hybrid"])
def test_a_graph_answers_as_keras_also_where_values_are_undefined(tiny_models, graphs, name):
    inputs = examples(tiny_models[name])
    found = answers(graphs / f"{name}.onnx", inputs)
    expected = tiny_models[name].predict_on_batch(inputs)
    assert np.isfinite(found["emotion"]).all()
    assert np.ptp(expected, axis=0).max() > 0.05, "examples that all get one answer would show nothing"
    np.testing.assert_allclose(found["emotion"], expected, atol=1e-4)


@pytest.mark.parametrize("name", ["cnn", "hybrid"])
def test_attention_sums_to_one_and_never_looks_at_padding(tiny_models, graphs, name):
    attention = answers(graphs / f"{name}.onnx", examples(tiny_models[name]))["attention"]
    assert attention.shape == (5, STEPS, 1) and (attention >= 0).all()
    np.testing.assert_allclose(attention.sum(axis=1), 1.0, rtol=1e-5)
    assert (attention[1, :3] > 0).all() and attention[1, 3] == 0
    assert attention[2, 0] == 1


def test_what_has_no_attention_has_no_such_output(tiny_models, graphs):
    assert list(answers(graphs / "prosody.onnx", examples(tiny_models["prosody"]))) == ["emotion"]


def test_a_clips_answer_does_not_depend_on_its_batch(tiny_models, graphs):
    inputs = examples(tiny_models["hybrid"])
    together = answers(graphs / "hybrid.onnx", inputs)["emotion"]
    for n in range(5):
        (alone,) = answers(graphs / "hybrid.onnx", {name: values[n : n + 1] for name, values in inputs.items()})["emotion"]
        np.testing.assert_allclose(alone, together[n], atol=1e-6)


def test_exporting_again_gives_the_same_bytes(tiny_trained, tmp_path):
    for name in ("once", "again"):
        export_graph(load_model(tiny_trained), tmp_path / name)
    assert (tmp_path / "once").read_bytes() == (tmp_path / "again").read_bytes()


def test_a_graph_that_answers_otherwise_is_refused(tiny_models, graphs, tmp_path, monkeypatch):
    other = (graphs / "prosody.onnx").read_bytes()
    model = tiny_models["prosody"]
    shifted = model.get_layer("emotion")
    weights = shifted.get_weights()
    monkeypatch.setattr(ser.export, "_write", lambda model, path: path.write_bytes(other))
    shifted.set_weights([weights[0], weights[1] + [1, 0, 0, 0]])
    try:
        with pytest.raises(ExportError, match=r"prosody.onnx: output 'emotion' is 0\.\d+ off Keras'"):
            export_graph(model, tmp_path / "prosody.onnx")
    finally:
        shifted.set_weights(weights)
