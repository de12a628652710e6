"""A training that starts from another's weights: each column goes to its own emotion, parts trained apart stay."""

import json

import keras
import numpy as np
import pytest

from ser.architectures import load_architecture
from ser.trained import save_model
from ser.transfer import TransferError, take_over

SHAPES = {"spectrogram": (16, 8), "prosody": (3,), "speaker": (3,)}
SIZES = {
    "cnn": {"stem_filters": 2, "filters": (2,), "attention_units": 2, "embedding": 4, "dropout": 0.2, "level_free": True},
    "prosody": {"units": (4,), "dropout": 0.2},
    "hybrid": {"dropout": 0.2, "fused_units": 4, "train_bases": True},
}
KNOWN, WANTED = ["neutral", "happy", "sad", "surprised"], ["sad", "neutral", "boredom"]


def build(name, n_emotions, seed, **sizes):
    """An untrained network whose every number is drawn, statistics and batch norms too."""
    keras.utils.set_random_seed(seed)
    architecture = load_architecture(name)
    more = {"bases": {base: build(base, n_emotions, seed) for base in ("cnn", "prosody")}} if name == "hybrid" else {}
    shapes = {kind: SHAPES[kind] for kind in architecture.INPUTS}
    model = architecture.build(shapes, n_emotions, architecture.Params(**{**SIZES[name], **sizes}), **more)
    random = np.random.default_rng(seed)
    model.set_weights([random.random(weight.shape, np.float32) for weight in model.get_weights()])
    return model


@pytest.fixture
def trained(tmp_path):
    def write(name):
        model = build(name, len(KNOWN), seed=1)
        save_model(model, tmp_path / "model.keras")
        (tmp_path / "model.json").write_text(json.dumps({"emotions": KNOWN}))
        return model, tmp_path

    return write


def weights(model, *, output):
    """Of the layers that are no networks themselves: those of the last dense layer, or all others."""
    layers = [layer for layer in model.layers if layer.weights and not isinstance(layer, keras.Model)]
    last = [layer for layer in layers if isinstance(layer, keras.layers.Dense)][-1]
    return [weight for layer in layers if (layer is last) == output for weight in layer.get_weights()]


@pytest.mark.parametrize("name", ["cnn", "prosody", "hybrid"])
def test_all_is_taken_over_but_the_columns_of_emotions_only_the_new_one_knows(name, trained):
    source, folder = trained(name)
    model = build(name, len(WANTED), seed=2)
    before = weights(model, output=True)
    take_over(model, WANTED, folder)
    for ours, theirs in zip(weights(model, output=False), weights(source, output=False), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs, own in zip(weights(model, output=True), weights(source, output=True), before, strict=True):
        np.testing.assert_array_equal(ours[..., 0], theirs[..., 2])
        np.testing.assert_array_equal(ours[..., 1], theirs[..., 0])
        np.testing.assert_array_equal(ours[..., 2], own[..., 2])


def test_the_networks_a_hybrid_is_built_on_keep_their_own_weights(trained):
    _, folder = trained("hybrid")
    model = build("hybrid", len(WANTED), seed=2)
    before = {part: model.get_layer(f"{part}_network").get_weights() for part in ("cnn", "prosody")}
    take_over(model, WANTED, folder)
    for part, weights_before in before.items():
        for ours, own in zip(model.get_layer(f"{part}_network").get_weights(), weights_before, strict=True):
            np.testing.assert_array_equal(ours, own)


def test_what_was_fitted_on_the_new_clips_stays(tmp_path):
    prosody, random = load_architecture("prosody"), np.random.default_rng(1)
    sizes = prosody.Params((4,), dropout=0.0, discriminant=0.3)
    shapes = {kind: SHAPES[kind] for kind in prosody.INPUTS}

    def fitted(n_emotions):
        labels = np.arange(40) % n_emotions
        rows = random.normal(labels[:, None], 1, (40, 3)).astype(np.float32)
        return prosody.build(shapes, n_emotions, sizes, prosody.fit(rows, labels, sizes, 1))

    save_model(fitted(len(KNOWN)), tmp_path / "model.keras")
    (tmp_path / "model.json").write_text(json.dumps({"emotions": KNOWN}))
    model = fitted(len(WANTED))
    names = ("discriminant", "standardise_discriminant")
    before = {name: model.get_layer(name).get_weights() for name in names}
    first = model.get_layer("logits").get_weights()[0].copy()
    take_over(model, WANTED, tmp_path)
    for name in names:
        for now, then in zip(model.get_layer(name).get_weights(), before[name], strict=True):
            np.testing.assert_array_equal(now, then)
    assert not np.array_equal(model.get_layer("logits").get_weights()[0], first)


@pytest.mark.parametrize("name, sizes, message", [
    ("prosody", {}, "another architecture than prosody"),
    ("cnn", {"filters": (2, 2)}, "another architecture than cnn"),
    ("cnn", {"embedding": 6}, "of another size; train both alike"),
])  # fmt: skip
def test_another_architecture_is_refused(name, sizes, message, trained):
    _, folder = trained("cnn")
    with pytest.raises(TransferError, match=message):
        take_over(build(name, len(KNOWN), seed=2, **sizes), KNOWN, folder)
