"""Layers: undefined values and padding carry no weight, and statistics travel with the model."""

import keras
import numpy as np
import pytest

from ser.layers import AttentiveStatistics, DefinedMask, Standardization, example_level, prosodic_branch
from ser.trained import load_model, save_model


def frames(batch=4, time=12, bands=5, seed=1):
    return np.random.default_rng(seed).normal(-40, 10, (batch, time, bands)).astype(np.float32)


def standardization(mean, deviation, **kwargs):
    layer = Standardization(**kwargs)
    layer.build((None, len(mean)))
    layer.set_statistics(np.array(mean, np.float32), np.array(deviation, np.float32))
    return layer


def answer(layer, *args):
    return keras.ops.convert_to_numpy(layer(*args))


def test_values_are_standardised_and_undefined_ones_become_zero():
    layer = standardization([1.0, 100.0, 7.0], [2.0, 50.0, 0.0])
    z = answer(layer, np.array([[5.0, 50.0, 7.0], [np.nan, 100.0, np.nan], [1e9, -1e9, 9.0]], np.float32))
    assert z.tolist() == [[2.0, -1.0, 0.0], [0.0, 0.0, 0.0], [8.0, -8.0, 2.0]]


def test_level_free_does_not_hear_gain():
    layer = standardization(np.zeros(5), np.ones(5) * 10, level_free=True)
    quiet, loud = frames(), frames() + np.array([-20, 6, 12, 0], np.float32)[:, None, None]
    for x in (quiet, loud):
        x[:, 9:] = np.nan
    np.testing.assert_allclose(answer(layer, quiet), answer(layer, loud), atol=1e-4)
    plain = standardization(np.zeros(5), np.ones(5) * 10)
    assert np.abs(answer(plain, quiet) - answer(plain, loud)).max() > 0.5


def test_the_level_is_the_mean_of_what_is_defined():
    x = frames()
    x[0, 5:] = np.nan
    x[1] = np.nan
    level = answer(example_level, x)
    assert level.shape == (4, 1, 1)
    assert level[[0, 2, 3], 0, 0] == pytest.approx(np.nanmean(x[[0, 2, 3]], axis=(1, 2)), rel=1e-5)
    assert level[1] == 0


def test_mask_marks_what_is_defined():
    assert answer(DefinedMask(), np.array([[1.0, np.nan, 0.0]], np.float32)).tolist() == [[1.0, 0.0, 1.0]]


@pytest.fixture
def pooling():
    keras.utils.set_random_seed(1)
    layer = AttentiveStatistics(6)
    layer.build([(None, None, 5), (None, None, 1)])
    return layer


def test_attention_sums_to_one_over_the_frames_that_count(pooling):
    x, mask = frames() / 40, np.ones((4, 12, 1), np.float32)
    mask[0, 3:] = 0
    weight = answer(pooling.attention, x, mask)
    assert weight.shape == (4, 12, 1) and (weight >= 0).all()
    np.testing.assert_allclose(weight.sum(axis=1), 1.0, rtol=1e-5)
    assert weight[0, 3:].max() == 0
    assert weight[1:].min() > 0


def test_padding_changes_nothing_in_the_pooled_statistics(pooling):
    x = frames() / 40
    padded = np.concatenate([x, np.full((4, 9, 5), 123.0, np.float32)], axis=1)
    mask = np.ones((4, 12, 1), np.float32)
    longer = np.concatenate([mask, np.zeros((4, 9, 1), np.float32)], axis=1)
    np.testing.assert_allclose(answer(pooling, [padded, longer]), answer(pooling, [x, mask]), atol=1e-5)


def test_pooled_are_the_weighted_mean_and_deviation(pooling):
    x, mask = frames() / 40, np.ones((4, 12, 1), np.float32)
    weight = answer(pooling.attention, x, mask)
    mean = (weight * x).sum(axis=1)
    deviation = np.sqrt((weight * (x - mean[:, None]) ** 2).sum(axis=1))
    pooled = answer(pooling, [x, mask])
    assert pooled.shape == pooling.compute_output_shape([x.shape, mask.shape]) == (4, 10)
    np.testing.assert_allclose(pooled, np.concatenate([mean, deviation], axis=1), atol=1e-4)
    constant = answer(pooling, [np.ones_like(x), mask])
    assert np.isfinite(constant).all() and constant[:, 5:].max() < 0.01


def test_a_padded_example_alone_is_finite(pooling):
    assert np.isfinite(answer(pooling, [np.zeros((1, 12, 5), np.float32), np.zeros((1, 12, 1), np.float32)])).all()


def test_statistics_and_pooling_are_the_same_after_saving(tmp_path):
    keras.utils.set_random_seed(1)
    spectrogram = keras.Input((12, 5), name="spectrogram")
    layer = Standardization(level_free=True, name="standardise")
    pooled = AttentiveStatistics(6)([layer(spectrogram), DefinedMask()(spectrogram[:, :, :1])])
    layer.set_statistics(np.arange(5, dtype=np.float32), np.arange(5, dtype=np.float32))
    model = keras.Model(spectrogram, pooled)
    save_model(model, tmp_path / "model.keras")
    again = load_model(tmp_path)
    x = frames()
    x[0, 6:] = np.nan
    assert np.array_equal(again.predict_on_batch(x), model.predict_on_batch(x))
    stored = again.get_layer("standardise")
    assert stored.level_free is True
    assert np.array_equal(stored.mean, np.arange(5)) and np.array_equal(stored.deviation, [1, 1, 2, 3, 4])


@pytest.fixture(scope="module")
def branch():
    """Standardised to mean 10, deviation 2 in each of three columns."""
    keras.utils.set_random_seed(1)
    prosody, speaker = keras.Input((3,), name="prosody"), keras.Input((3,), name="speaker")
    model = keras.Model([prosody, speaker], prosodic_branch(prosody, speaker, (16, 8), dropout=0.5))
    model.get_layer("standardise_prosody").set_statistics(np.full(3, 10.0), np.full(3, 2.0))
    return model


def branched(branch, prosody, speaker):
    return branch.predict_on_batch([np.array([prosody], np.float32), np.array([speaker], np.float32)])[0]


NOBODY = [np.nan] * 3


def test_the_prosodic_branch_tells_an_undefined_column_from_an_average_one(branch):
    assert branch.output_shape == (None, 8)
    average, undefined = branched(branch, [10, 10, 10], NOBODY), branched(branch, [10, np.nan, 10], NOBODY)
    assert np.isfinite(undefined).all()
    assert np.abs(average - undefined).max() > 1e-3


def test_a_known_speaker_is_heard_as_the_distance_from_its_mean(branch):
    clip = [11.0, 9.0, 14.0]
    unknown, average, shifted = (branched(branch, clip, mean) for mean in (NOBODY, [10, 10, 10], [12, 12, 12]))
    assert np.isfinite(unknown).all()
    assert np.abs(average - unknown).max() > 1e-3, "an average speaker is not an unknown one"
    assert np.abs(shifted - average).max() > 1e-3


def test_a_mean_counts_only_where_both_it_and_the_clip_are_defined(branch):
    """What a gap on either side leaves is no distance: neither that of zero nor that of the other's value."""
    concatenated = keras.Model(branch.inputs, branch.get_layer(index=_joined(branch)).output)

    def departure(prosody, speaker):
        joined = concatenated.predict_on_batch([np.array([prosody], np.float32), np.array([speaker], np.float32)])[0]
        assert joined.shape == (3 * 3 + 1,)
        return joined[6:9].tolist(), joined[9]

    assert departure([12, np.nan, 14], [10, 10, np.nan]) == ([1.0, 0.0, 0.0], 1.0)
    assert departure([12, np.nan, 14], NOBODY) == ([0.0, 0.0, 0.0], 0.0)
    assert departure([12, 12, 12], [12, 12, 12]) == ([0.0, 0.0, 0.0], 1.0)


def _joined(model):
    return next(n for n, layer in enumerate(model.layers) if isinstance(layer, keras.layers.Concatenate))
