"""Losses: equal to Keras' own where everything is known, and blind to what is not."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from ser.losses import KnownCrossentropy

RANDOM = np.random.default_rng(1)
LOGITS = RANDOM.normal(0, 2, (6, 4)).astype(np.float32)
HARD = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]]
SOFT = RANDOM.dirichlet(np.ones(4), 6).astype(np.float32)


def probabilities(logits=LOGITS):
    return keras.ops.softmax(logits)


def loss_and_gradient(loss, targets, logits=LOGITS):
    """Of the mean over a batch, in the logits."""
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(targets, keras.ops.softmax(logits))
    return float(value), tape.gradient(value, logits).numpy()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_where_all_is_known_it_is_keras_own(targets, smoothing):
    value, gradient = loss_and_gradient(KnownCrossentropy(smoothing), targets)
    expected, expected_gradient = loss_and_gradient(keras.losses.CategoricalCrossentropy(label_smoothing=smoothing), targets)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_an_example_counts_as_much_as_its_targets_sum_to(targets, smoothing):
    weights = np.array([0.5, 2, 1, 3, 0, 0.1], np.float32)
    value, gradient = loss_and_gradient(KnownCrossentropy(smoothing), targets * weights[:, None])
    weighted = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    expected, expected_gradient = loss_and_gradient(lambda y, p: weighted(y, p, sample_weight=weights), targets)
    assert value == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, expected_gradient, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_is_unknown_has_neither_influence_nor_gradient(smoothing):
    targets = np.where(np.arange(4) == 2, np.nan, HARD[[0, 1, 3, 3, 0, 1]]).astype(np.float32)
    value, gradient = loss_and_gradient(KnownCrossentropy(smoothing), targets)
    assert np.abs(gradient[:, 2]).max() < 1e-6 and np.abs(np.delete(gradient, 2, axis=1)).max() > 0.01
    louder = LOGITS + np.float32([0, 0, 3, 0])
    assert loss_and_gradient(KnownCrossentropy(smoothing), targets, louder)[0] == pytest.approx(value, rel=1e-4)
    known = np.delete(LOGITS, 2, axis=1)
    expected, expected_gradient = loss_and_gradient(
        keras.losses.CategoricalCrossentropy(label_smoothing=smoothing), np.delete(targets, 2, axis=1), known
    )
    assert value == pytest.approx(expected, rel=1e-4), "smoothed over the known ones alone"
    np.testing.assert_allclose(np.delete(gradient, 2, axis=1), expected_gradient, atol=1e-5)


def test_each_example_has_unknowns_of_its_own():
    targets = HARD.copy()
    targets[0, 3], targets[1, [0, 2]] = np.nan, np.nan
    each = keras.ops.convert_to_numpy(KnownCrossentropy(0.1).call(targets, probabilities()))
    alone = [
        keras.ops.convert_to_numpy(KnownCrossentropy(0.1).call(targets[n : n + 1], probabilities(LOGITS[n : n + 1])))[0]
        for n in range(6)
    ]
    np.testing.assert_allclose(each, alone, rtol=1e-6)
    assert np.isfinite(each).all()


def test_a_network_that_is_sure_of_the_unknown_gets_a_finite_loss():
    targets = np.array([[1, 0, np.nan, 0]], np.float32)
    value, gradient = loss_and_gradient(KnownCrossentropy(0.1), targets, np.array([[-200, 0, 200, 0]], np.float32))
    assert np.isfinite(value) and value > 1 and np.isfinite(gradient).all()
