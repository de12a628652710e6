"""Views of a test clip: averaged with its own answer, disturbed in tempo and bands alone, the same for the same seed."""

from dataclasses import replace

import numpy as np
import pytest

from ser.arrays import write_arrays
from ser.features import Clip, Features
from ser.views import DisturbedFeatures, Views
from tests.test_batches import ALL, STILL

CLIPS = [Clip(name, "iesc") for name in ("short", "long", "other#1")]
LENGTHS = {"short": 12, "long": 300, "other#1": 40}
HARSH = replace(
    ALL, gain_db=500.0, tilt_db=500.0, time_masks=9, band_masks=9, room_share=1.0, maximum_decay=9, band_limit_share=1.0
)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(1)
    for variant in ("clean", "augmented"):
        own = [clip for clip in CLIPS if clip.variant == variant]
        frames = [(clip.id, np.cumsum(random.normal(0, 1, (LENGTHS[clip.id], 8)), axis=0)) for clip in own]
        write_arrays(folder / "spectrogram" / variant / "iesc", frames, dtype="float32", recipe={})
        write_arrays(
            folder / "prosody" / variant / "iesc", [(clip.id, np.ones((1, 3))) for clip in own], dtype="float32", recipe={}
        )
    return Features(folder)


def view(features, clip, batches=ALL, seed=1):
    return DisturbedFeatures(features, batches, np.random.default_rng(seed)).get("spectrogram", clip)


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("seed", range(5))
def test_a_view_is_whole_and_has_no_empty_frame_however_long_the_clip(features, clip, seed):
    found = view(features, clip, seed=seed)
    assert found.shape[1] == 8 and found.dtype == np.float32 and np.isfinite(found).all()
    assert LENGTHS[clip.id] / 1.25 - 1 <= len(found) <= LENGTHS[clip.id] / 0.8 + 1


def test_views_differ_and_those_of_one_seed_do_not(features):
    for clip in CLIPS:
        views = [view(features, clip, seed=seed) for seed in (1, 1, 2)]
        assert np.array_equal(views[0], views[1])
        assert views[0].shape != views[2].shape or not np.allclose(views[0], views[2])
    again = DisturbedFeatures(features, ALL, np.random.default_rng(1))
    assert again.get("spectrogram", CLIPS[1]).shape != again.get("spectrogram", CLIPS[1]).shape, "each time it is asked for"


def test_only_tempo_and_bands_are_disturbed(features):
    for seed in range(10):
        stored, found = features.get("spectrogram", CLIPS[1]), view(features, CLIPS[1], HARSH, seed)
        assert stored.min() <= found.min() and found.max() <= stored.max(), "between neighbouring values"
        np.testing.assert_array_equal(found, view(features, CLIPS[1], seed=seed))
    np.testing.assert_allclose(view(features, CLIPS[0], replace(HARSH, minimum_tempo=1.0, maximum_tempo=1.0, band_shift=0.0)),
                               features.get("spectrogram", CLIPS[0]), rtol=1e-6)  # fmt: skip


def test_tempo_and_shift_of_bands_come_from_the_training(features):
    slow = view(features, CLIPS[1], replace(STILL, minimum_tempo=0.5, maximum_tempo=0.5))
    assert len(slow) == 600
    shifted = [
        view(features, CLIPS[0], replace(STILL, band_shift=3.0), seed) - features.get("spectrogram", CLIPS[0])
        for seed in range(9)
    ]
    assert all(np.abs(difference).max() > 0.01 for difference in shifted)


def test_prosody_is_left_alone(features):
    disturbed = DisturbedFeatures(features, ALL, np.random.default_rng(1))
    for clip in CLIPS:
        assert np.array_equal(disturbed.get("prosody", clip), features.get("prosody", clip))
        assert np.isnan(disturbed.get("speaker", clip)).all()


class LengthTeller:
    """In the place of a trained model: what it answers is how long its inputs are."""

    def __init__(self, features):
        self.features, self.heard = features, []

    def probabilities(self, clips):
        lengths = np.array([len(self.features.get("spectrogram", clip)) for clip in clips])
        self.heard.append(lengths)
        return np.stack([lengths, -lengths], axis=1).astype(float)


def test_the_mean_of_no_views_is_the_own_answer(features):
    own = np.random.default_rng(1).random((3, 2))
    scorer = LengthTeller(features)
    assert np.array_equal(Views(0, ALL, 1).average(scorer, CLIPS, own), own) and not scorer.heard


def test_answers_for_the_views_and_the_own_one_count_alike(features):
    own = np.random.default_rng(1).random((3, 2))
    scorer = LengthTeller(features)
    found = Views(3, ALL, 1).average(scorer, CLIPS, own)
    assert scorer.features is features, "as it was"
    lengths = np.stack(scorer.heard)
    assert lengths.shape == (3, 3) and len(set(lengths[:, 1])) == 3, "each view is another"
    np.testing.assert_allclose(found, (own + np.stack([lengths, -lengths], axis=2).sum(axis=0)) / 4)
    assert np.array_equal(Views(3, ALL, 1).average(LengthTeller(features), CLIPS, own), found)
    assert not np.array_equal(Views(3, ALL, 2).average(LengthTeller(features), CLIPS, own), found)
