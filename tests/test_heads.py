"""Heads: what each is to answer, what an adversary does to the layers below, and what it costs to ask for the wrong thing."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from ser.emotions import CANONICAL
from ser.heads import KNOWN, Head, HeadError, head_losses, make_heads, with_heads

ROWS = pd.DataFrame({
    "emotion": CANONICAL,  # neutral, happy, sad, angry, fear, disgust, surprised, calm, boredom
    "corpus": ["ravdess", "crema_d", "ravdess"] * 3,
    "speaker": [f"s{n % 4}" for n in range(9)],
    "sex": ["female", "male", "unknown", "", "female", "female", "male", "male", "female"],
    "intensity": ["", "normal", "strong", "", "strong", "normal", "unknown", "", "strong"],
})  # fmt: skip


def answers(name):
    """What the head is to answer for each row: groups by number, -1 where it is not known."""
    (head,) = make_heads(ROWS, {name: 0.5})
    assert head.name == name and head.weight == 0.5 and head.targets.dtype == np.float32
    assert set(head.targets.ravel()) <= {0, 1} and set(head.targets.sum(axis=1)) <= {0, 1}
    assert (head.targets.sum(axis=0) > 0).all(), "no answer that nothing has"
    return np.where(head.targets.any(axis=1), head.targets.argmax(axis=1), -1).tolist()


@pytest.mark.parametrize("name, expected", [
    ("sex", [0, 1, -1, -1, 0, 0, 1, 1, 0]),
    ("intensity", [-1, 0, 1, -1, 1, 0, -1, -1, 1]),
    ("corpus", [1, 0, 1] * 3),
    ("speaker", [0, 1, 2, 3, 0, 1, 2, 3, 0]),
    ("arousal", [1, 0, 1, 0, 0, -1, 0, 1, 1]),  # high, low; disgust is neither
    ("valence", [1, 2, 0, 0, 0, 0, -1, 1, 0]),  # negative, neutral, positive; surprise may be any
])  # fmt: skip
def test_each_head_has_the_answers_of_its_rows_and_none_where_it_is_not_known(name, expected):
    assert answers(name) == expected


def test_heads_keep_the_order_they_are_asked_for_in():
    assert [(head.name, head.weight) for head in make_heads(ROWS, {"sex": 0.2, "corpus": -0.3})] == [
        ("sex", 0.2),
        ("corpus", -0.3),
    ]
    assert make_heads(ROWS, {}) == ()


@pytest.mark.parametrize("name, rows, message", [
    ("age", ROWS, f"no head 'age'; known are {', '.join(KNOWN)}"),
    ("intensity", ROWS.drop(columns="intensity"), "the table of clips has no column 'intensity'; leave that head out"),
    ("corpus", ROWS[::3], "all clips have the same corpus; leave that head out"),
    ("sex", ROWS.assign(sex="unknown"), "all clips have the same sex; leave that head out"),
    ("arousal", ROWS[ROWS["emotion"].isin(["happy", "disgust"])], "all clips have the same arousal; leave that head out"),
])  # fmt: skip
def test_a_head_that_cannot_be_is_refused_in_one_sentence(name, rows, message):
    with pytest.raises(HeadError) as refused:
        make_heads(rows.reset_index(drop=True), {name: 0.5})
    assert str(refused.value) == f"training.heads: {message}"


@pytest.fixture
def model():
    keras.utils.set_random_seed(1)
    x = keras.Input((3,), name="prosody")
    embedding = keras.layers.Dense(4, activation="tanh", name="embedding")(x)
    return keras.Model({"prosody": x}, keras.layers.Dense(2, activation="softmax", name="emotion")(embedding), name="small")


INPUTS = {"prosody": np.random.default_rng(1).normal(0, 1, (5, 3)).astype(np.float32)}
SEXES = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1]]


def test_a_headed_network_answers_by_name_and_shares_its_layers(model):
    headed = with_heads(model, [Head("sex", 0.2, SEXES), Head("speaker", -0.2, np.eye(5, dtype=np.float32))])
    found = headed.predict_on_batch(INPUTS)
    assert {name: values.shape for name, values in found.items()} == {"emotion": (5, 2), "sex": (5, 2), "speaker": (5, 5)}
    assert all(np.allclose(values.sum(axis=1), 1) for values in found.values())
    np.testing.assert_array_equal(found["emotion"], model.predict_on_batch(INPUTS))
    assert headed.get_layer("embedding") is model.get_layer("embedding")
    assert [layer.name for layer in model.layers] == ["prosody", "embedding", "emotion"], "the network itself has no head"


def test_an_adversary_turns_the_gradient_below_it_and_nothing_else(model):
    found = {}
    for weight in (0.3, -0.3):
        headed = with_heads(model, [Head("sex", weight, SEXES)])
        head = headed.get_layer("head_sex")
        head.set_weights([np.linspace(-1, 1, 8).reshape(4, 2), np.array([0.1, -0.1])])
        losses, weights = head_losses(keras.losses.CategoricalCrossentropy(), [Head("sex", weight, SEXES)])
        with tf.GradientTape() as tape:
            answer = headed(INPUTS)["sex"]
            value = weights["sex"] * losses["sex"](SEXES, answer)
        below, own = tape.gradient(value, [model.get_layer("embedding").kernel, head.kernel])
        found[weight] = [keras.ops.convert_to_numpy(values) for values in (answer, value, below, own)]
    (answer, value, below, own), (other_answer, other_value, turned, other_own) = found.values()
    np.testing.assert_allclose(answer, other_answer, rtol=1e-6)
    assert value == pytest.approx(other_value) and np.abs(below).max() > 1e-3
    np.testing.assert_allclose(turned, -below, rtol=1e-5)
    np.testing.assert_allclose(own, other_own, rtol=1e-5)


def test_losses_and_their_weights_are_by_answer(model):
    emotion = keras.losses.CategoricalCrossentropy()
    losses, weights = head_losses(emotion, [Head("sex", 0.2, SEXES), Head("corpus", -0.5, SEXES)])
    assert losses["emotion"] is emotion and set(losses) == {"emotion", "sex", "corpus"}
    assert weights == {"emotion": 1.0, "sex": 0.2, "corpus": 0.5}


def test_what_is_not_known_teaches_nothing(model):
    head = Head("sex", 0.2, SEXES * np.array([[1], [1], [0], [0], [0]], np.float32))
    headed = with_heads(model, [head])
    losses, _ = head_losses(keras.losses.CategoricalCrossentropy(), [head])

    def gradients(rows):
        with tf.GradientTape() as tape:
            value = losses["sex"](head.targets[rows], headed({"prosody": INPUTS["prosody"][rows]})["sex"])
        return tape.gradient(value, [model.get_layer("embedding").kernel, headed.get_layer("head_sex").bias])

    known, unknown, both = (gradients(rows) for rows in (slice(2), slice(2, 5), slice(5)))
    for of_known, of_unknown, of_both in zip(known, unknown, both, strict=True):
        assert np.abs(of_known).max() > 1e-3 and np.abs(of_unknown).max() == 0
        np.testing.assert_allclose(of_both, np.array(of_known) * 2 / 5, rtol=1e-4, atol=1e-7)
