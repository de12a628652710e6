"""What is known of a speaker: the mean of other clips, never of the clip itself, drawn alike each time."""

import warnings

import numpy as np
import pytest

from ser.arrays import write_arrays
from ser.features import Clip, Features
from ser.speaker import EnrolledFeatures, clips_by_speaker, drawn_mean, speaker_mean

IDS = [f"c{n}" for n in range(7)]
SPEAKERS = ["anna", "anna", "anna", "anna", "ben", "ben", "carl"]
CLIPS = [Clip(name, "emodb") for name in IDS]


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """The first column is 2 to the power of the clip, so that a sum tells who is in it; the second is never defined."""
    folder = tmp_path_factory.mktemp("features")
    rows = [(name, np.array([[2.0**n, np.nan]])) for n, name in enumerate(IDS)]
    write_arrays(folder / "prosody/clean/emodb", rows, dtype="float32", recipe={})
    return Features(folder)


def test_a_mean_is_over_what_is_defined():
    rows = np.array([[1, np.nan, np.nan], [3, 5, np.nan]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = speaker_mean(rows)
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(mean, [2, 5, np.nan])


def known_from(features, clip):
    """Numbers of the clips in a clip's speaker mean, given how many there are."""
    enrolled = features._known[clip.id]
    total = round(float(features.get("speaker", clip)[0]) * len(enrolled))
    return {n for n in range(7) if total >> n & 1}


@pytest.mark.parametrize("n_clips", [1, 2, 3, 8])
def test_a_clip_is_never_part_of_its_own_speakers_mean(features, n_clips):
    enrolled = EnrolledFeatures(features, CLIPS, SPEAKERS, n_clips=n_clips, seed=1)
    for n, clip in enumerate(CLIPS[:6]):
        others = {m for m in range(7) if SPEAKERS[m] == SPEAKERS[n]} - {n}
        used = known_from(enrolled, clip)
        assert used <= others and len(used) == min(n_clips, len(others))
        assert np.isnan(enrolled.get("speaker", clip)[1])


def test_a_speaker_of_a_single_clip_stays_unknown(features):
    enrolled = EnrolledFeatures(features, CLIPS, SPEAKERS, n_clips=3, seed=1)
    assert np.isnan(enrolled.get("speaker", CLIPS[6])).all()


def test_other_features_are_as_stored(features):
    enrolled = EnrolledFeatures(features, CLIPS, SPEAKERS, n_clips=3, seed=1)
    np.testing.assert_array_equal(enrolled.get("prosody", CLIPS[3]), features.get("prosody", CLIPS[3]))


def test_the_draw_is_the_same_for_a_seed_and_another_for_another(features):
    def drawn(seed):
        enrolled = EnrolledFeatures(features, CLIPS, SPEAKERS, n_clips=1, seed=seed)
        return [known_from(enrolled, clip) for clip in CLIPS[:4]]

    assert drawn(1) == drawn(1)
    assert len({str(drawn(seed)) for seed in range(8)}) > 1


def test_clips_without_a_speaker_each_are_refused(features):
    with pytest.raises(ValueError):
        EnrolledFeatures(features, CLIPS, SPEAKERS[:-1], n_clips=1, seed=1)


def test_a_drawn_mean_is_of_clips_of_the_speaker_with_replacement(features):
    anna = clips_by_speaker(CLIPS, SPEAKERS)["anna"]
    assert [clip.id for clip in anna] == ["c0", "c1", "c2", "c3"]

    def get(clip):
        return features.get("prosody", clip)

    random = np.random.default_rng(1)
    means = {float(drawn_mean(get, anna, 1, random)[0]) for _ in range(50)}
    assert means == {1.0, 2.0, 4.0, 8.0}
    twice = {float(drawn_mean(get, anna[:2], 2, random)[0]) for _ in range(50)}
    assert twice == {1.0, 1.5, 2.0}
    assert np.isnan(drawn_mean(get, anna, 3, random)[1])
