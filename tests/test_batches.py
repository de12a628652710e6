"""Training batches: repeatable, fair to rare corpora and emotions, disturbed only as far as asked."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from ser.arrays import write_arrays
from ser.batches import Batches, BatchParams, _in_a_room, disturb
from ser.features import Features
from ser.heads import Head

EMOTIONS = ("neutral", "happy", "sad")
STILL = BatchParams(
    batch_size=4,
    n_frames=20,
    augmented_share=0.0,
    corpus_balance=0.0,
    emotion_balance=0.0,
    minimum_tempo=1.0,
    maximum_tempo=1.0,
    gain_db=0.0,
    tilt_db=0.0,
    band_shift=0.0,
    time_masks=0,
    maximum_time_mask=6,
    band_masks=0,
    maximum_band_mask=3,
    mixup=0.0,
    noise=0.0,
    column_dropout=0.0,
    known_share=0.0,
    minimum_enrolled_clips=2,
    maximum_enrolled_clips=4,
)
ALL = replace(
    STILL, augmented_share=0.5, minimum_tempo=0.8, maximum_tempo=1.25, gain_db=3.0, tilt_db=3.0, band_shift=2.0,
    time_masks=2, band_masks=2, mixup=0.5, noise=0.1, column_dropout=0.1, known_share=0.5,
)  # fmt: skip
BOTH = ("spectrogram", "prosody")
SEEN = ("spectrogram",)
KNOWING = ("prosody", "speaker")
N_FRAMES, N_BANDS, N_COLUMNS = 15, 8, 3


def table():
    """Six clips of ravdess (four of them happy) by two speakers, two of emodb by one; every value of clip n is about n."""
    corpora = ["ravdess"] * 6 + ["emodb"] * 2
    emotions = ["happy", "happy", "happy", "happy", "neutral", "sad", "happy", "sad"]
    speakers = ["r1", "r2", "r1", "r2", "r1", "r2", "e1", "e1"]
    return pd.DataFrame({"id": [f"c{n}" for n in range(8)], "corpus": corpora, "speaker": speakers, "emotion": emotions})


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(1)
    for corpus, rows in table().groupby("corpus"):
        clean = [*rows["id"], "held_out"]
        copies = [f"{name}#{n}" for name in clean for n in (1, 2)]
        for variant, ids in [("clean", clean), ("augmented", copies)]:
            spectrograms = [(i, _number(i) + random.normal(0, 0.01, (N_FRAMES, N_BANDS))) for i in ids]
            columns = [(i, np.array([[_number(i), np.nan, 7]])) for i in ids]
            write_arrays(folder / "spectrogram" / variant / corpus, spectrograms, dtype="float32", recipe={})
            write_arrays(folder / "prosody" / variant / corpus, columns, dtype="float32", recipe={})
    return Features(folder)


def _number(name):
    """Clip c3 is 3, its copy c3#1 is 103, and what belongs to no training row is huge."""
    parent, _, copy = name.partition("#")
    return 1e6 if parent == "held_out" else int(parent[1:]) + 100 * bool(copy)


@pytest.fixture
def batches(features):
    def make(params=STILL, kinds=BOTH, rows=None, seed=1, **more):
        return Batches(table() if rows is None else rows, features, kinds, EMOTIONS, params, seed, **more)

    return make


def drawn(batches, epochs):
    """How often each clip came, by its prosody."""
    values = np.concatenate([inputs["prosody"][:, 0] for n in epochs for inputs, _ in batches.epoch(n)])
    return Counter(int(value) for value in values)


def same(one, other):
    return all(
        np.array_equal(targets, targets_again) and all(np.array_equal(inputs[k], again[k], equal_nan=True) for k in inputs)
        for (inputs, targets), (again, targets_again) in zip(one, other, strict=True)
    )


def test_an_epoch_is_the_same_whenever_it_is_asked_for_and_unlike_the_others(batches):
    first = list(batches(ALL).epoch(3))
    another = batches(ALL)
    list(another.epoch(1))
    assert same(first, list(another.epoch(3)))
    assert not same(first, list(another.epoch(4)))
    assert not same(first, list(batches(ALL, seed=2).epoch(3)))


def test_shapes_and_types(batches):
    assert len(batches()) == 2
    for inputs, targets in batches(ALL).epoch(1):
        assert inputs["spectrogram"].shape == (4, 20, N_BANDS) and inputs["prosody"].shape == (4, N_COLUMNS)
        assert {inputs["spectrogram"].dtype, inputs["prosody"].dtype, targets.dtype} == {np.dtype("float32")}
    ((inputs, _), _) = batches(kinds=("prosody",)).epoch(1)
    assert list(inputs) == ["prosody"]


def test_nothing_asked_leaves_the_features_as_stored(batches, features):
    for inputs, targets in batches().epoch(1):
        for spectrogram, prosody, target in zip(inputs["spectrogram"], inputs["prosody"], targets, strict=True):
            row = table().iloc[int(prosody[0])]
            stored = features.store("spectrogram", "clean", row["corpus"])[row["id"]]
            np.testing.assert_allclose(spectrogram[:N_FRAMES], stored, rtol=1e-5)
            assert np.isnan(spectrogram[N_FRAMES:]).all()
            assert np.isnan(prosody[1]) and prosody[2] == 7
            assert target.tolist() == [emotion == row["emotion"] for emotion in EMOTIONS]


def test_every_row_comes_as_often_as_expected_give_or_take_one(batches):
    for epoch in range(1, 6):
        counts = drawn(batches(replace(STILL, batch_size=3)), [epoch])  # 6 of 8 rows
        assert max(counts.values()) == 1 and sum(counts.values()) == 6
    few = batches(replace(STILL, batch_size=20))  # 20 draws of 8 rows: 2.5 each
    assert len(few) == 1
    for epoch in range(1, 6):
        counts = drawn(few, [epoch])
        assert set(counts) == set(range(8)) and set(counts.values()) <= {2, 3}


def test_corpora_and_emotions_are_balanced_as_far_as_asked(batches):
    def share(**balance):
        many = batches(replace(STILL, batch_size=1000, **balance), kinds=("prosody",))
        counts = drawn(many, [1])
        return {n: counts[n] / 1000 for n in range(8)}

    assert share()[0] == pytest.approx(1 / 8, abs=0.005)
    corpora = share(corpus_balance=1.0)
    assert sum(corpora[n] for n in range(6)) == pytest.approx(1 / 2, abs=0.005)
    both = share(corpus_balance=1.0, emotion_balance=1.0)
    assert sum(both[n] for n in range(4)) == pytest.approx(1 / 6, abs=0.005)
    assert both[4] == pytest.approx(1 / 6, abs=0.005) and both[6] == pytest.approx(1 / 4, abs=0.005)
    half = share(corpus_balance=0.5)
    assert 1 / 2 < sum(half[n] for n in range(6)) < 6 / 8


def test_copies_stand_in_for_the_given_rows_alone(batches):
    rows = table()[:3]
    counts = drawn(batches(replace(STILL, augmented_share=0.5, batch_size=300), rows=rows), [1, 2])
    assert set(counts) == {0, 1, 2, 100, 101, 102}
    assert sum(counts[n] for n in (100, 101, 102)) / 600 == pytest.approx(0.5, abs=0.1)
    assert set(drawn(batches(replace(STILL, augmented_share=1.0), rows=rows), [1])) <= {100, 101, 102}
    assert set(drawn(batches(rows=rows), [1, 2])) == {0, 1, 2}


def test_mixup_blends_inputs_and_targets_alike(batches):
    blended = 0
    for inputs, targets in batches(replace(STILL, mixup=1.0, batch_size=64)).epoch(1):
        np.testing.assert_allclose(targets.sum(axis=1), 1.0, rtol=1e-5)
        assert (targets >= 0).all()
        assert np.isnan(inputs["prosody"][:, 1]).all() and np.isfinite(inputs["prosody"][:, 0]).all()
        level = np.nanmean(inputs["spectrogram"], axis=(1, 2))
        np.testing.assert_allclose(level, inputs["prosody"][:, 0], atol=0.05)
        blended += ((targets > 0).sum(axis=1) > 1).sum()
    assert blended > 10


def test_what_is_undefined_in_the_partner_keeps_its_own_value(batches):
    inputs = {"prosody": np.array([[1, np.nan], [3, 5]], np.float32)}
    for seed in range(5):
        mixed, _ = batches(replace(STILL, mixup=1.0))._mix(inputs, np.eye(2, dtype=np.float32), np.random.default_rng(seed))
        assert np.isnan(mixed["prosody"][0, 1]) and mixed["prosody"][1, 1] == 5
        assert 1 <= mixed["prosody"][0, 0] <= 3


def test_cutmix_replaces_a_stretch_and_weighs_the_targets_by_the_frames_kept(batches):
    cut = 0
    whole = replace(STILL, cutmix=1.0, batch_size=64, n_frames=N_FRAMES)
    for inputs, targets in batches(whole, kinds=SEEN).epoch(1):
        for frames, target in zip(inputs["spectrogram"], targets, strict=True):
            clips = np.round(frames.mean(axis=1)).astype(int)
            changes = np.flatnonzero(np.diff(clips))
            assert len(changes) <= 2 and len(set(clips)) <= 2, "one stretch of one other clip, as that was before its own cut"
            expected = np.eye(3)[[EMOTIONS.index(table()["emotion"][clip]) for clip in clips]].mean(axis=0)
            np.testing.assert_allclose(target, expected, atol=1e-6)
            cut += len(changes) > 0
    assert cut > 30


def test_cutmix_is_of_as_many_examples_as_asked(batches):
    some = batches(replace(STILL, cutmix=0.25, batch_size=2000, n_frames=N_FRAMES), kinds=SEEN)
    ((inputs, _),) = some.epoch(1)
    share = np.mean([len(set(np.round(frames.mean(axis=1)))) > 1 for frames in inputs["spectrogram"]])
    whole_stretch, no_stretch, same_clip = 1 / 16, 1 / 16, 1 / 8
    assert share == pytest.approx(0.25 * (1 - whole_stretch - no_stretch) * (1 - same_clip), abs=0.04)


@pytest.mark.parametrize("kinds", [BOTH, ("prosody",), KNOWING])
def test_cutmix_is_refused_where_other_inputs_could_not_follow(batches, kinds):
    with pytest.raises(ValueError, match=f"cutmix is for models of spectrograms alone, and this one takes {', '.join(kinds)}"):
        batches(replace(STILL, cutmix=0.5), kinds=kinds)


def targets_of(batches):
    """Target of each clip, in the table's order, from an epoch that holds each once."""
    ((inputs, targets),) = batches.epoch(1)
    order = np.argsort(inputs["prosody"][:, 0])
    assert np.array_equal(inputs["prosody"][order, 0] % 100, range(8))
    return targets[order]


ONCE = replace(STILL, batch_size=8)


@pytest.mark.parametrize("balance, of_happy, of_the_rare", [(0.0, 4, 1), (0.5, 8**0.5, 2**0.5), (1.0, 2, 2)])
def test_a_balanced_loss_makes_the_emotions_of_a_corpus_weigh_alike(batches, balance, of_happy, of_the_rare):
    weighed = table().assign(weight=targets_of(batches(replace(ONCE, loss_balance=balance))).sum(axis=1))
    assert weighed.groupby(["corpus", "emotion"])["weight"].sum().to_dict() == pytest.approx({
        ("ravdess", "happy"): of_happy, ("ravdess", "neutral"): of_the_rare, ("ravdess", "sad"): of_the_rare,
        ("emodb", "happy"): 1, ("emodb", "sad"): 1,
    })  # fmt: skip


SOFT = {"c0": np.array([0.5, 0.0, 0.5], np.float32), "c7": np.array([0.0, 1.0, 0.0], np.float32)}


def test_soft_targets_are_mixed_in_and_clips_without_keep_their_label(batches):
    plain = targets_of(batches(ONCE))
    mixed = targets_of(batches(replace(ONCE, soft_share=0.25), soft=SOFT))
    assert mixed[0].tolist() == [0.125, 0.75, 0.125] and mixed[7].tolist() == [0.0, 0.25, 0.75]
    assert np.array_equal(mixed[1:7], plain[1:7])
    assert np.array_equal(targets_of(batches(ONCE, soft=SOFT)), plain), "none is asked for"
    assert np.array_equal(targets_of(batches(replace(ONCE, soft_share=0.25))), plain), "none is given"
    copies = targets_of(batches(replace(ONCE, soft_share=0.25, augmented_share=1.0), soft=SOFT))
    assert np.array_equal(copies, mixed), "a copy has the distribution of its clip"


def test_a_soft_target_weighs_as_much_as_the_label_it_stands_for(batches):
    hard = targets_of(batches(replace(ONCE, loss_balance=1.0)))
    soft = targets_of(batches(replace(ONCE, loss_balance=1.0, soft_share=0.5), soft=SOFT))
    np.testing.assert_allclose(soft.sum(axis=1), hard.sum(axis=1), rtol=1e-6)


def test_emotions_that_a_corpus_lacks_are_unknown_and_no_others(batches):
    plain, found = targets_of(batches(ONCE)), targets_of(batches(replace(ONCE, absent_unknown=True)))
    absent = np.zeros((8, 3), bool)
    absent[6:, EMOTIONS.index("neutral")] = True
    assert np.array_equal(np.isnan(found), absent)
    assert np.array_equal(found[~absent], plain[~absent])


@pytest.mark.parametrize("blend, kinds", [("mixup", BOTH), ("cutmix", SEEN)])
def test_what_is_unknown_is_not_blended(batches, blend, kinds):
    with pytest.raises(ValueError, match="mixup and cutmix do not blend emotions that are unknown"):
        batches(replace(STILL, absent_unknown=True, **{blend: 0.5}), kinds=kinds)


def test_targets_of_heads_come_by_name_and_belong_to_the_rows_of_the_inputs(batches):
    heads = (
        Head("clip", 0.5, np.eye(8, dtype=np.float32)),
        Head("speaker", -0.5, np.eye(3, dtype=np.float32)[[0, 1] * 3 + [2, 2]]),
    )
    params = replace(ALL, mixup=0.0, noise=0.0, column_dropout=0.0)
    plain = list(batches(params).epoch(2))
    headed = list(batches(params, heads=heads).epoch(2))
    assert len(headed) == len(plain) == 2
    for (inputs, targets), (expected_inputs, expected) in zip(headed, plain, strict=True):
        assert list(targets) == ["emotion", "clip", "speaker"]
        assert same([(inputs, targets["emotion"])], [(expected_inputs, expected)])
        clips = inputs["prosody"][:, 0].astype(int) % 100
        assert np.array_equal(targets["clip"].argmax(axis=1), clips)
        assert np.array_equal(targets["speaker"], heads[1].targets[clips])


@pytest.mark.parametrize("blend", ["mixup", "cutmix"])
def test_what_heads_answer_is_not_blended(batches, blend):
    head = Head("clip", 0.5, np.eye(8, dtype=np.float32))
    with pytest.raises(ValueError, match="mixup and cutmix do not blend what heads are to answer"):
        batches(replace(STILL, **{blend: 0.5}), kinds=SEEN, heads=(head,))
    batches(kinds=SEEN, heads=(head,))


def test_a_batch_draws_for_nothing_that_is_not_asked(batches):
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    batches(replace(STILL, room_share=0.0, band_limit_share=0.0, cutmix=0.0), kinds=SEEN)._batch(np.arange(4), one)
    other.random(4)  # whether a copy stands in
    for _ in range(4):
        other.uniform(), other.uniform(), other.normal(), other.normal()  # tempo, bands, gain, tilt
    other.permutation(4), other.random(4), other.beta(0.4, 0.4, 4)  # mixup
    assert one.bit_generator.state == other.bit_generator.state


def test_prosodic_noise_is_in_training_deviations_and_columns_drop_out(batches):
    noisy = batches(replace(STILL, noise=0.5, batch_size=1000), kinds=("prosody",))
    noisy.deviation = np.array([0.0, 1.0, 4.0], np.float32)
    ((inputs, _),) = noisy.epoch(1)
    assert set(inputs["prosody"][:, 0]) == set(range(8))
    assert inputs["prosody"][:, 2].std() == pytest.approx(2.0, rel=0.1)
    assert np.isnan(inputs["prosody"][:, 1]).all()
    ((inputs, _),) = batches(replace(STILL, column_dropout=0.25, batch_size=1000), kinds=("prosody",)).epoch(1)
    assert np.isnan(inputs["prosody"][:, [0, 2]]).mean(axis=0) == pytest.approx(0.25, abs=0.05)


def means(batches, epochs=(1,)):
    """(clip, speaker mean of its first column) of every example; the mean is NaN where nobody is known."""
    batched = [inputs for n in epochs for inputs, _ in batches.epoch(n)]
    assert all(np.isnan(inputs["speaker"][:, 1]).all() for inputs in batched), "never defined, so not in any mean"
    return [(int(p[0]), float(s[0])) for inputs in batched for p, s in zip(inputs["prosody"], inputs["speaker"], strict=True)]


def test_nobody_is_known_unless_asked(batches):
    ((inputs, _),) = batches(replace(STILL, batch_size=200), kinds=KNOWING).epoch(1)
    assert inputs["speaker"].shape == (200, N_COLUMNS) and inputs["speaker"].dtype == np.float32
    assert np.isnan(inputs["speaker"]).all()


def test_a_known_speaker_is_the_mean_of_some_originals_of_its_own(batches):
    spoken = {"r1": {0, 2, 4}, "r2": {1, 3, 5}, "e1": {6, 7}}
    possible = {
        speaker: {sum(drawn) / n for n in (2, 3, 4) for drawn in product(numbers, repeat=n)}
        for speaker, numbers in spoken.items()
    }
    known = replace(STILL, known_share=1.0, augmented_share=0.5, batch_size=300)
    found = means(batches(known, kinds=KNOWING))
    for number, mean in found:
        speaker = table()["speaker"][number % 100]
        assert any(abs(mean - value) < 1e-4 for value in possible[speaker]), "copies are heard, but never enrolled"
    assert len({mean for number, mean in found if number == 0}) > 5, "drawn anew for every example"


def test_speakers_are_known_as_often_as_asked_and_the_same_in_every_run(batches):
    half = replace(STILL, known_share=0.5, batch_size=1000)
    found = means(batches(half, kinds=KNOWING))
    assert np.mean([np.isfinite(mean) for _, mean in found]) == pytest.approx(0.5, abs=0.05)
    assert same(list(batches(half, kinds=KNOWING).epoch(2)), list(batches(half, kinds=KNOWING).epoch(2)))


def clip(n_frames=18):
    """Time along one axis, bands along the other, all values different."""
    return (np.arange(n_frames)[:, None] + np.arange(N_BANDS) / 100).astype(np.float32)


def test_long_clips_are_cropped_somewhere_and_short_ones_padded():
    starts = set()
    for seed in range(20):
        view = disturb(clip(24), STILL, np.random.default_rng(seed))
        assert view.shape == (20, N_BANDS)
        starts.add(round(float(view[0, 0])))
        np.testing.assert_allclose(np.diff(view[:, 0]), 1.0, rtol=1e-5)
    assert starts == {0, 1, 2, 3, 4}
    assert np.isnan(disturb(clip(1), STILL, np.random.default_rng(0))[1:]).all()


@pytest.mark.parametrize(("tempo", "n_frames"), [(0.9, 20), (1.0, 18), (1.5, 12)])
def test_tempo_changes_the_length_and_neither_ends_nor_bands(tempo, n_frames):
    view = disturb(clip(), replace(STILL, minimum_tempo=tempo, maximum_tempo=tempo), np.random.default_rng(0))
    defined = view[~np.isnan(view[:, 0])]
    assert len(defined) == n_frames
    np.testing.assert_allclose(defined[[0, -1]], clip()[[0, -1]], rtol=1e-5)
    np.testing.assert_allclose(defined - defined[:, :1], np.tile(np.arange(N_BANDS) / 100, (n_frames, 1)), atol=1e-4)


def test_gain_tilt_and_band_shift():
    random = np.random.default_rng(0)
    gains = [disturb(clip(), replace(STILL, gain_db=3.0), random)[:18] - clip() for _ in range(200)]
    assert max(np.ptp(gain) for gain in gains) < 1e-4
    assert np.std([gain.mean() for gain in gains]) == pytest.approx(3.0, rel=0.2)
    tilt = disturb(clip(), replace(STILL, tilt_db=3.0), random)[:18] - clip()
    assert tilt.mean() == pytest.approx(0.0, abs=1e-4) and np.ptp(np.diff(tilt, axis=1)) < 1e-4
    shifts = [disturb(clip(), replace(STILL, band_shift=2.0), random)[0] * 100 for _ in range(200)]
    assert min(shift[3] for shift in shifts) == pytest.approx(1, abs=0.1)
    assert max(shift[3] for shift in shifts) == pytest.approx(5, abs=0.1)
    assert all(0 <= shift.min() and shift.max() <= N_BANDS - 1 + 1e-4 for shift in shifts), "edge bands are repeated"


def test_masks_are_of_time_and_bands_filled_with_the_mean_and_no_wider_than_allowed():
    widths = {"time": set(), "bands": set()}
    for seed in range(100):
        random = np.random.default_rng(seed)
        for axis, kind in [(1, "time"), (0, "bands")]:
            params = replace(STILL, time_masks=kind == "time", band_masks=kind == "bands")
            changed = disturb(clip(), params, random)[:18] != clip()
            masked = np.flatnonzero(changed.all(axis=axis))
            assert changed.sum() == len(masked) * changed.shape[axis], "whole frames or whole bands"
            assert len(masked) == 0 or np.ptp(masked) == len(masked) - 1
            widths[kind].add(len(masked))
    assert widths == {"time": set(range(7)), "bands": set(range(4))}
    masked = disturb(clip(), replace(STILL, time_masks=1), np.random.default_rng(5))[:18]
    assert masked[(masked != clip()).all(axis=1)] == pytest.approx(clip().mean())


def test_a_mask_wider_than_the_clip_or_its_bands_is_as_wide_as_they_allow():
    wide = replace(STILL, time_masks=1, band_masks=1, maximum_time_mask=1000, maximum_band_mask=1000)
    for seed in range(20):
        assert (
            disturb(clip(), wide, np.random.default_rng(seed)).shape == disturb(clip(), STILL, np.random.default_rng(seed)).shape
        )


def test_the_clip_given_is_left_as_it_is():
    given = clip()
    disturb(given, replace(ALL, room_share=1.0, maximum_decay=9, band_limit_share=1.0), np.random.default_rng(0))
    assert np.array_equal(given, clip())


def test_a_view_draws_for_nothing_that_is_not_asked():
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    disturb(clip(24), replace(STILL, time_masks=1, band_masks=1, maximum_decay=60), one)
    (
        other.uniform(),
        other.integers(24 - 20 + 1),
        other.uniform(),
        other.normal(),
        other.normal(),
    )  # tempo, crop, bands, gain, tilt
    for maximum, size in ((6, 20), (3, N_BANDS)):
        width = other.integers(maximum + 1)
        other.integers(size - width + 1)
    assert one.bit_generator.state == other.bit_generator.state


def impulse(level=0.0, n_frames=30):
    """One loud frame in what is almost nothing."""
    frames = np.full((n_frames, N_BANDS), -150, np.float32)
    frames[3] = level
    return frames


@pytest.mark.parametrize("decay", [5.0, 12.0, 20.0])
def test_a_tail_falls_by_60_db_in_the_time_of_reverberation(decay):
    heard = _in_a_room(impulse(), decay, 6.0)
    assert heard.dtype == np.float32
    np.testing.assert_allclose(np.diff(heard[4:9], axis=0), -60 / decay, atol=0.01)
    assert heard[4, 0] - heard[4 + round(decay), 0] == pytest.approx(60, abs=0.1)
    np.testing.assert_allclose(heard[3], 0.0, atol=1e-5)
    np.testing.assert_allclose(_in_a_room(impulse(-20), decay, 6.0)[3:9], heard[3:9] - 20, atol=0.01)


def test_the_direct_sound_has_the_power_over_its_whole_tail_that_was_asked():
    heard = _in_a_room(impulse(n_frames=100), 12.0, 6.0)
    assert 10 * np.log10((10 ** (heard[4:, 0] / 10)).sum()) == pytest.approx(-6, abs=0.01)


def test_rooms_only_add_power_and_leave_the_first_frame():
    params = replace(STILL, room_share=1.0, maximum_decay=12)
    slopes, tails = [], []
    for seed in range(100):
        view = disturb(clip(), params, np.random.default_rng(seed))[:18]
        assert (view >= clip() - 1e-4).all() and (view[1:] > clip()[1:]).all()
        np.testing.assert_allclose(view[0], clip()[0], atol=1e-5)
        heard = disturb(impulse(n_frames=8), params, np.random.default_rng(seed))
        slopes.append(heard[5, 0] - heard[4, 0])
        fall = 10 ** (slopes[-1] / 10)
        tails.append(-heard[4, 0] + 10 * np.log10(1 - fall))
    decays = -60 / np.array(slopes)
    assert 1 <= decays.min() < 3 and 10 < decays.max() <= 12.05
    assert -0.1 <= min(tails) < 1.5 and 10.5 < max(tails) <= 12.1, "direct sound over tail"


def test_so_many_are_in_rooms_and_band_limited_as_asked():
    random, frames = np.random.default_rng(0), clip()
    rooms = [
        not np.array_equal(disturb(frames, replace(STILL, room_share=0.3, maximum_decay=9), random)[:18], frames)
        for _ in range(500)
    ]
    limits = [not np.array_equal(disturb(frames, replace(STILL, band_limit_share=0.3), random)[:18], frames) for _ in range(500)]
    assert np.mean(rooms) == pytest.approx(0.3, abs=0.07) and np.mean(limits) == pytest.approx(0.3, abs=0.07)


def test_a_band_limit_leaves_the_band_and_makes_all_outside_the_quietest_value():
    frames = np.random.default_rng(0).normal(-40, 10, (18, 32)).astype(np.float32)
    bottoms, tops = [], []
    for seed in range(300):
        view = disturb(frames, replace(STILL, band_limit_share=1.0), np.random.default_rng(seed))[:18]
        inside = np.flatnonzero((view != frames.min()).any(axis=0))
        assert len(inside) == np.ptp(inside) + 1, "one band"
        np.testing.assert_array_equal(view[:, inside], frames[:, inside])
        assert (np.delete(view, inside, axis=1) == frames.min()).all()
        bottoms.append(inside[0])
        tops.append(inside[-1] + 1)
    assert set(tops) == set(range(16, 32)), "half of the bands are left, and at least one goes"
    assert set(bottoms) == set(range(5)) and np.mean(np.array(bottoms) == 0) == pytest.approx(0.5 + 0.5 / 5, abs=0.1)
