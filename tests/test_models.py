"""Architectures at the project's own sizes: small, proof against gaps, and joined with their weights."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from ser.architectures import ArchitectureError, load_architecture
from ser.params import load_params

SHAPES = {"spectrogram": (40, 64), "prosody": (20,), "speaker": (20,)}
PARAMS = Path(__file__).parents[1] / "params.yaml"


def build(name, **extra):
    keras.utils.set_random_seed(1)
    architecture = load_architecture(name)
    sizes = load_params(f"models.{name}.architecture", architecture.Params, PARAMS)
    sizes = replace(sizes, **{key: extra.pop(key) for key in list(extra) if hasattr(sizes, key)})
    return architecture.build({kind: SHAPES[kind] for kind in architecture.INPUTS}, 7, sizes, **extra)


@pytest.fixture(scope="module")
def models():
    bases = {"cnn": build("cnn"), "prosody": build("prosody")}
    return bases | {"hybrid": build("hybrid", bases=bases)}


def examples(model, n=3):
    random = np.random.default_rng(1)
    return {x.name: random.normal(-40, 15, (n, *x.shape[1:])).astype(np.float32) for x in model.inputs}


@pytest.mark.parametrize("name", ["cnn", "prosody", "hybrid"])
def test_names_inputs_and_size(models, name):
    model = models[name]
    assert model.name == name
    assert {x.name for x in model.inputs} == set(load_architecture(name).INPUTS)
    assert model.output_shape == (None, 7)
    assert 1000 < model.count_params() < 1_000_000


@pytest.mark.parametrize("name", ["cnn", "prosody", "hybrid"])
def test_gaps_and_padding_give_probabilities(models, name):
    inputs = examples(models[name])
    for x in inputs.values():
        x[0, x.shape[1] // 2 :] = np.nan
        x[1] = np.nan
    output = models[name].predict_on_batch(inputs)
    assert output.shape == (3, 7) and output.dtype == np.float32
    assert np.isfinite(output).all() and (output >= 0).all()
    np.testing.assert_allclose(output.sum(axis=1), 1.0, rtol=1e-5)


def test_the_cnn_does_not_hear_gain(models):
    inputs = examples(models["cnn"])
    louder = {"spectrogram": inputs["spectrogram"] + np.float32(12)}
    np.testing.assert_allclose(models["cnn"].predict_on_batch(louder), models["cnn"].predict_on_batch(inputs), atol=1e-4)


def test_every_frame_length_is_halved_alike_by_frames_and_mask():
    """Odd lengths round up at each halving, in convolutions as in the mask, or the pooling would not fit."""
    sizes = load_architecture("cnn").Params(4, (4, 4), attention_units=4, embedding=4, dropout=0.0, level_free=False)
    model = load_architecture("cnn").build({"spectrogram": (None, 8)}, 3, sizes)
    for n_frames in (1, 2, 7, 8, 9, 17, 188):
        output = model({"spectrogram": np.zeros((1, n_frames, 8), np.float32)})
        assert np.isfinite(keras.ops.convert_to_numpy(output)).all()


@pytest.mark.parametrize("name", ["prosody", "hybrid"])
def test_a_known_speaker_changes_the_answer_and_an_unknown_one_is_no_gap(models, name):
    inputs = examples(models[name])
    unknown = models[name].predict_on_batch({**inputs, "speaker": np.full_like(inputs["speaker"], np.nan)})
    known = models[name].predict_on_batch(inputs)
    assert np.isfinite(unknown).all()
    assert np.abs(known - unknown).max() > 1e-4


def test_a_new_hybrid_multiplies_what_its_parts_say(models):
    inputs = examples(models["hybrid"])
    votes = [
        models[name].predict_on_batch({tensor.name: inputs[tensor.name] for tensor in models[name].inputs})
        for name in ("cnn", "prosody")
    ]
    product = votes[0] * votes[1]
    np.testing.assert_allclose(
        models["hybrid"].predict_on_batch(inputs), product / product.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6
    )


def test_the_hybrid_takes_over_its_bases_with_their_weights(models):
    held = {weight.path for weight in models["hybrid"].weights}
    for name in ("cnn", "prosody"):
        assert {weight.path for weight in models[name].weights} <= held
        inner = models["hybrid"].get_layer(f"{name}_network")
        assert inner.get_layer("emotion") is models[name].get_layer("emotion")


@pytest.mark.parametrize("train_bases", [True, False])
def test_the_bases_go_on_learning_only_if_asked(train_bases):
    cnn, prosody = load_architecture("cnn"), load_architecture("prosody")
    sizes = cnn.Params(4, (4,), attention_units=4, embedding=4, dropout=0.0, level_free=True)
    bases = {
        "cnn": cnn.build({"spectrogram": SHAPES["spectrogram"]}, 7, sizes),
        "prosody": prosody.build({kind: SHAPES[kind] for kind in prosody.INPUTS}, 7, prosody.Params((8,), dropout=0.0)),
    }
    hybrid = build("hybrid", bases=bases, train_bases=train_bases, fused_units=8)
    learning = {variable.path for variable in hybrid.trainable_variables}
    new = learning - {weight.path for base in bases.values() for weight in base.weights}
    assert len(new) == 4, "the joint layer and its correction learn in any case"
    assert (len(learning) > len(new)) == train_bases


N_COLUMNS, N_ROWS, WEIGHT = 6, 80, 0.5


@pytest.fixture(scope="module")
def told_apart():
    """Rows of two emotions among three, far apart in two columns, with gaps; codes 0 and 2."""
    random = np.random.default_rng(1)
    labels = np.repeat([0, 2], N_ROWS // 2)
    rows = random.normal(10, 2, (N_ROWS, N_COLUMNS))
    rows[:, 1] += labels * 3
    rows[:, 4] -= labels * 2
    rows[random.random(rows.shape) < 0.02] = np.nan
    return rows.astype(np.float32), labels


def with_discriminant(rows, labels, weight=WEIGHT):
    keras.utils.set_random_seed(1)
    prosody = load_architecture("prosody")
    sizes = prosody.Params((8,), dropout=0.0, discriminant=weight)
    shapes = {kind: (N_COLUMNS,) for kind in prosody.INPUTS}
    return prosody.build(shapes, 3, sizes, prosody.fit(rows[:, None], labels, sizes, 1))


def network_alone(model):
    return keras.Model(model.inputs, keras.layers.Softmax()(model.get_layer("logits").output))


def test_a_discriminant_is_the_one_scikit_learn_fits_and_multiplies_what_the_network_says(told_apart):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rows, labels = told_apart
    model = with_discriminant(rows, labels)
    inputs = {"prosody": rows, "speaker": np.full_like(rows, np.nan)}
    ours = model.predict_on_batch(inputs)
    scaled = np.nan_to_num((rows - np.nanmean(rows, axis=0)) / np.nanstd(rows, axis=0)).astype(float)
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5]).fit(scaled, labels)
    theirs = np.exp(WEIGHT * fitted.predict_log_proba(scaled)) * network_alone(model).predict_on_batch(inputs)[:, [0, 2]]
    assert ours[:, 1].max() < 1e-4, "an emotion without training clips is never answered"
    np.testing.assert_allclose(ours[:, [0, 2]], theirs / theirs.sum(axis=1, keepdims=True), atol=1e-4)
    assert (ours.argmax(axis=1) == labels).mean() > 0.9, "untrained as the network is"


def test_while_it_trains_the_network_does_not_hear_the_discriminant_which_never_trains(told_apart):
    rows, labels = told_apart
    model = with_discriminant(rows, labels)
    inputs = {"prosody": rows, "speaker": np.full_like(rows, np.nan)}
    training = keras.ops.convert_to_numpy(model(inputs, training=True))
    alone = keras.ops.convert_to_numpy(network_alone(model)(inputs, training=True))
    np.testing.assert_allclose(training, alone, atol=1e-6)
    assert np.abs(training - model.predict_on_batch(inputs)).max() > 0.1
    frozen = {weight.path for weight in model.get_layer("discriminant").weights}
    assert frozen and not frozen & {weight.path for weight in model.trainable_variables}


def test_no_discriminant_is_fitted_unless_asked_for(told_apart):
    names = {layer.name for layer in with_discriminant(*told_apart, weight=0.0).layers}
    assert not names & {"discriminant", "product"} and "emotion" in names


def test_a_hybrid_that_goes_on_training_its_parts_leaves_the_discriminant_as_it_was_fitted(told_apart):
    cnn = load_architecture("cnn")
    sizes = cnn.Params(4, (4,), attention_units=4, embedding=4, dropout=0.0, level_free=True)
    bases = {"cnn": cnn.build({"spectrogram": SHAPES["spectrogram"]}, 3, sizes), "prosody": with_discriminant(*told_apart)}
    hybrid = load_architecture("hybrid")
    shapes = {"spectrogram": SHAPES["spectrogram"], "prosody": (N_COLUMNS,), "speaker": (N_COLUMNS,)}
    model = hybrid.build(shapes, 3, hybrid.Params(dropout=0.0, fused_units=4, train_bases=True), bases=bases)
    learning = {variable.path for variable in model.trainable_variables}
    assert not {weight.path for weight in bases["prosody"].get_layer("discriminant").weights} & learning
    assert {weight.path for weight in bases["prosody"].get_layer("logits").weights} <= learning


def test_an_unknown_model_is_named_with_the_way_out():
    with pytest.raises(ArchitectureError, match="no model 'hmm': write ser/models/hmm.py"):
        load_architecture("hmm")
