"""Learning from views: the loss by hand, and a network that learns up to its embedding, the same way each time."""

import logging
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow

from ser.arrays import write_arrays
from ser.contrastive import ContrastiveParams, learn_views, view_loss
from ser.features import Clip, Features
from ser.models.cnn import Params, build
from tests.test_batches import STILL

NAMES = np.array([0, 0, 1, 1], np.float32)
E0, E1 = np.eye(2)
PARAMS = ContrastiveParams(
    seed=1, epochs=5, learning_rate=0.02, weight_decay=0.0, clips_a_batch=6, projection=4, temperature=0.2
)  # fmt: skip


def loss(z, names=NAMES, temperature=0.5):
    return keras.ops.convert_to_numpy(view_loss(names, np.array(z, np.float32), temperature))


def test_the_loss_of_two_clips_is_that_worked_out_by_hand():
    z = np.random.default_rng(1).normal(0, 1, (4, 3))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    expected = []
    for n, partner in enumerate((1, 0, 3, 2)):
        others = [np.exp(z[n] @ z[other] / 0.5) for other in range(4) if other != n]
        expected.append(-np.log(np.exp(z[n] @ z[partner] / 0.5) / sum(others)))
    np.testing.assert_allclose(loss(z), expected, rtol=1e-5)
    np.testing.assert_allclose(loss(z, NAMES[:, None]), expected, rtol=1e-5)
    shuffled = [2, 0, 3, 1]
    np.testing.assert_allclose(loss(z[shuffled], NAMES[shuffled]), np.array(expected)[shuffled], rtol=1e-5)


def test_it_is_lowest_where_partners_coincide_and_others_are_orthogonal():
    best = loss([E0, E0, E1, E1])
    np.testing.assert_allclose(best, np.log(1 + 2 * np.exp(-1 / 0.5)), rtol=1e-5)
    for worse in ([E0, E0, E0, E0], [E0, E1, E0, E1], [E0, E1, E1, E0], [E0, (E0 + E1) / 2**0.5, E1, E1]):
        assert loss(worse).mean() > best.mean() + 0.05
    assert loss([E0, E0, E1, E1], temperature=0.1).mean() < best.mean()


@pytest.fixture(autouse=True)
def eagerly():
    tensorflow.config.run_functions_eagerly(True)  # few steps: building graphs would take most of the time
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Twelve spectrograms, each with a pattern of its own over the bands."""
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(1)
    frames = [(f"c{n}", random.normal(0, 3, (1, 8)) + random.normal(0, 0.5, (20, 8))) for n in range(12)]
    write_arrays(folder / "spectrogram/clean/iesc", frames, dtype="float32", recipe={})
    return [Clip(name, "iesc") for name, _ in frames], Features(folder)


def learned(clips, before_it=0, **changed):
    keras.utils.set_random_seed(3)
    sizes = Params(stem_filters=2, filters=(4,), attention_units=2, embedding=6, dropout=0.1, level_free=False)
    model = build({"spectrogram": (16, 8)}, 3, sizes)
    before = {layer.name: [np.array(weight) for weight in layer.get_weights()] for layer in model.layers}
    keras.utils.set_random_seed(before_it)
    learn_views(model, *clips, replace(STILL, n_frames=16, gain_db=0.5), replace(PARAMS, **changed))
    return model, before


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_it_learns_up_to_the_embedding_and_leaves_what_follows(clips, caplog):
    caplog.set_level(logging.INFO)
    model, before = learned(clips)
    told = [float(cost) for cost in re.findall(r"views epoch \d+/5: loss (\S+)", caplog.text)]
    assert len(told) == 5 and told[-1] < told[0] - 0.1
    after = {layer.name: layer.get_weights() for layer in model.layers}
    assert not np.allclose(after["embedding"][0], before["embedding"][0], atol=0.01)
    assert equal(after["emotion"], before["emotion"])
    assert list(after) == list(before) and model.output_shape == (None, 3), "the projection is dropped"


def test_it_learns_the_same_each_time_and_otherwise_with_another_seed(clips):
    short = {"epochs": 1, "clips_a_batch": 12}
    first, again, other = (learned(clips, n, **short, seed=seed)[0].get_weights() for n, seed in enumerate((1, 1, 2)))
    assert equal(first, again) and not equal(first, other)
