"""Layers: undefined values and padding carry no weight, and statistics travel with the model."""

import keras
import numpy as np
import pytest

from ser.export import export_graph
from ser.layers import (
    AttentiveStatistics,
    DefinedMask,
    MaskedMean,
    Pcen,
    Standardization,
    conformer_block,
    example_level,
    prosodic_branch,
)
from ser.models import cnn
from ser.trained import load_model, save_model
from tests.test_export import answers


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


def pcen(n_frames=12, bands=5, **weights):
    layer = Pcen()
    layer.build((None, n_frames, bands))
    for name, values in weights.items():
        getattr(layer, name).assign(values)
    return layer


def normalised(decibels, gain=0.98, bias=2.0, root=0.5):
    """The recursion of the paper over one example whose frames are all defined, its power relative to its mean."""
    power = 10 ** (decibels.astype(float) / 10)
    power /= power.mean()
    smooth, found = power[0], []
    for frame in power:
        smooth = (1 - 0.04) * smooth + 0.04 * frame
        found.append((frame / (1e-6 + smooth) ** gain + bias) ** root - bias**root)
    return np.array(found)


def test_pcen_is_the_recursion_of_the_paper():
    x = frames()
    np.testing.assert_allclose(answer(pcen(), x), [normalised(example) for example in x], rtol=1e-4, atol=1e-5)
    gain, bias, root = np.linspace(0.1, 0.9, 5), np.linspace(0.5, 3, 5), np.linspace(0.2, 1, 5)
    learned = answer(pcen(gain=gain, bias=bias, root=root), x)
    np.testing.assert_allclose(learned, [normalised(example, gain, bias, root) for example in x], rtol=1e-4, atol=1e-5)


def test_pcen_does_not_hear_gain():
    x = frames()
    x[0, 8:] = np.nan
    for shift_db in (6, -30):
        np.testing.assert_allclose(answer(pcen(), x + np.float32(shift_db)), answer(pcen(), x), rtol=1e-3, atol=1e-4)
    assert np.ptp(answer(pcen(), x)) > 0.5


def test_pcen_is_nought_at_padding_which_changes_nothing_else():
    x = frames()
    padded = np.concatenate([x, np.full((4, 6, 5), np.nan, np.float32)], axis=1)
    found = answer(pcen(18), padded)
    np.testing.assert_allclose(found[:, :12], answer(pcen(), x), rtol=1e-4, atol=1e-5)
    assert (found[:, 12:] == 0).all()
    assert (answer(pcen(), np.full_like(x, np.nan)) == 0).all()
    silence = answer(pcen(), np.full_like(x, -100))
    assert np.isfinite(silence).all() and np.ptp(silence) < 1e-3


def test_pcen_stays_defined_whatever_it_learns():
    x, wild = frames(), {name: np.array([-5, 0, 1e-9, 1, 50.0]) for name in ("gain", "bias", "root")}
    found = answer(pcen(**wild), x)
    assert np.isfinite(found).all() and found.min() >= 0


def test_the_masked_mean_is_of_the_frames_that_count():
    x, mask = frames(), np.ones((4, 12, 1), np.float32)
    mask[0, 3:], mask[1] = 0, 0
    x[0, 3:] = 1e6
    found = answer(MaskedMean(), [x, mask])
    assert found.shape == MaskedMean().compute_output_shape([x.shape, mask.shape]) == (4, 5)
    np.testing.assert_allclose(found[[0, 2, 3]], [x[0, :3].mean(axis=0), x[2].mean(axis=0), x[3].mean(axis=0)], rtol=1e-5)
    assert (found[1] == 0).all(), "nothing counts"


@pytest.fixture(scope="module")
def conformer():
    """One block over 30 frames of eight channels, with a batch norm that has seen something."""
    keras.utils.set_random_seed(1)
    x, mask = keras.Input((30, 8), name="frames"), keras.Input((30, 1), name="mask")
    model = keras.Model([x, mask], conformer_block(x, mask, heads=2, kernel=7, dropout=0.5, name="block"))
    random = np.random.default_rng(1)
    model.set_weights([random.normal(0, 0.3, weight.shape) + (weight == 1) for weight in model.get_weights()])
    norm = next(layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization))
    norm.moving_variance.assign(np.full(8, 0.7))
    return model


def test_masked_frames_do_not_influence_others(conformer):
    x, mask = np.random.default_rng(2).normal(0, 1, (2, 30, 8)).astype(np.float32), np.ones((2, 30, 1), np.float32)
    mask[:, 20:] = 0
    before = conformer.predict_on_batch([x, mask])
    assert before.shape == x.shape
    for masked in (28, 20):  # beyond the convolution's reach of three frames, and within it
        changed = x.copy()
        changed[:, masked] = np.random.default_rng(3).normal(5, 9, 8)
        np.testing.assert_allclose(conformer.predict_on_batch([changed, mask])[:, :20], before[:, :20], atol=1e-5)
    counting = mask.copy()
    counting[:, 28] = 1
    assert np.abs(conformer.predict_on_batch([x, counting])[:, :10] - before[:, :10]).max() > 1e-3, "were it not masked, it would"


def test_frames_hear_all_that_count_and_the_convolution_their_neighbours(conformer):
    x, mask = np.random.default_rng(2).normal(0, 1, (1, 30, 8)).astype(np.float32), np.ones((1, 30, 1), np.float32)
    before = conformer.predict_on_batch([x, mask])
    x[0, 0] = np.random.default_rng(3).normal(0, 2, 8)
    difference = np.abs(conformer.predict_on_batch([x, mask]) - before).max(axis=2)[0]
    assert (difference > 1e-6).all() and difference[1:4].min() > difference[4:].max()


def test_a_clip_without_a_frame_is_finite_after_the_conformer(conformer):
    assert np.isfinite(conformer.predict_on_batch([np.zeros((1, 30, 8)), np.zeros((1, 30, 1))])).all()


OPTIONS = {
    "pcen": {"front_end": "pcen"},
    "mean": {"pooling": "mean"},
    "conformer": {"context_blocks": 2},
    "resolutions": {"resolutions": 3},
    "all": {"front_end": "pcen", "pooling": "mean", "context_blocks": 1, "resolutions": 2},
}


def network(n_frames=32, bands=12, **options):
    """A tiny CNN, every weight of which is drawn, so that no path through it is dead."""
    keras.utils.set_random_seed(1)
    sizes = cnn.Params(stem_filters=4, filters=(4, 4), attention_units=4, embedding=8, dropout=0.1, level_free=True, **options)
    model = cnn.build({"spectrogram": (n_frames, bands)}, 3, sizes)
    random = np.random.default_rng(1)
    for layer in model.layers:
        if not isinstance(layer, (Pcen, Standardization)):
            layer.set_weights([random.uniform(0.5, 1.5, w.shape) * np.where(w == 0, 0.1, w) for w in layer.get_weights()])
    return model


def spectrograms():
    """A whole window, a padded one, one with a single frame, one with none."""
    x = np.random.default_rng(3).normal(-40, 15, (4, 32, 12)).astype(np.float32)
    x[1, 20:] = x[2, 1:] = x[3] = np.nan
    return {"spectrogram": x}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_cnn_of_each_kind_gives_probabilities_and_the_same_after_saving(option, tmp_path):
    model = network(**OPTIONS[option])
    found = model.predict_on_batch(spectrograms())
    assert np.isfinite(found).all() and (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)
    assert np.ptp(found, axis=0).max() > 0.01, "examples that all get one answer would show nothing"
    louder = {"spectrogram": spectrograms()["spectrogram"] + np.float32(6)}
    np.testing.assert_allclose(model.predict_on_batch(louder), found, atol=1e-4)
    save_model(model, tmp_path / "model.keras")
    again = load_model(tmp_path)
    assert np.array_equal(again.predict_on_batch(spectrograms()), found)


@pytest.mark.parametrize("option", ["conformer", "all"])
def test_equal_networks_are_equal_bytes(option, tmp_path):
    for name in ("once", "again"):
        keras.backend.clear_session()  # as a new process would: Keras counts the layers of a process into their names
        save_model(network(**OPTIONS[option]), tmp_path / f"{name}.keras")
    assert (tmp_path / "once.keras").read_bytes() == (tmp_path / "again.keras").read_bytes()


@pytest.mark.parametrize("option", OPTIONS)
def test_a_cnn_of_each_kind_answers_alike_as_a_graph(option, tmp_path):
    model = network(**OPTIONS[option])
    export_graph(model, tmp_path / "cnn.onnx")
    found = answers(tmp_path / "cnn.onnx", spectrograms())
    assert set(found) == {"emotion"} | ({"attention"} if "pooling" not in OPTIONS[option] else set())
    np.testing.assert_allclose(found["emotion"], model.predict_on_batch(spectrograms()), atol=1e-4)


def test_without_options_the_network_is_the_one_it_was():
    plain, named = network(), network(front_end="db", resolutions=1, context_blocks=0, pooling="attentive")
    assert [layer.name for layer in plain.layers if not layer.name[-1].isdigit()] == [
        layer.name for layer in named.layers if not layer.name[-1].isdigit()
    ]
    assert np.array_equal(plain.predict_on_batch(spectrograms()), named.predict_on_batch(spectrograms()))


def test_resolutions_that_lie_one_above_the_other_become_channels():
    model = network(resolutions=3)
    stacked = keras.Model(model.inputs, next(layer for layer in model.layers if isinstance(layer, keras.layers.Permute)).output)
    x = np.random.default_rng(3).uniform(-1, 1, (2, 32, 12)).astype(np.float32)
    x -= x.mean(axis=(1, 2), keepdims=True)  # the network would, and nothing else is standardised before its training
    found = stacked.predict_on_batch({"spectrogram": x})
    np.testing.assert_allclose(found, np.stack([x[..., :4], x[..., 4:8], x[..., 8:]], axis=-1), atol=1e-6)


def test_training_moves_what_pcen_learns():
    model = network(front_end="pcen")
    before = [np.array(weight) for weight in model.get_layer("pcen").get_weights()]
    model.compile(keras.optimizers.SGD(0.5), keras.losses.CategoricalCrossentropy(), jit_compile=False, run_eagerly=True)
    value = model.train_on_batch({"spectrogram": spectrograms()["spectrogram"][:3]}, np.eye(3, dtype=np.float32))
    assert np.isfinite(value)
    for now, then in zip(model.get_layer("pcen").get_weights(), before, strict=True):
        assert np.isfinite(now).all() and not np.array_equal(now, then)
