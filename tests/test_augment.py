"""Augmented copies: as far as asked, and the same bytes in any order and number of workers."""

import random
import sys
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import stages.augment
from ser.arrays import Arrays, write_arrays
from ser.audio import to_float, to_int16
from ser.augment import Augmenter, AugmentParams
from ser.files import write_csv

RATE_HZ = 16000
NOTHING = AugmentParams(
    copies=2, seed=1,
    pitch_probability=0.0, min_pitch_semitones=-2.0, max_pitch_semitones=2.0,
    stretch_probability=0.0, min_stretch_rate=0.9, max_stretch_rate=1.1,
    eq_probability=0.0, min_eq_gain_db=-6.0, max_eq_gain_db=6.0,
    shift_probability=0.0, min_shift_s=-0.1, max_shift_s=0.1,
    gain_probability=0.0, min_gain_db=-6.0, max_gain_db=6.0,
    noise_probability=0.0, min_noise_snr_db=10.0, max_noise_snr_db=30.0,
    min_noise_slope_db_per_octave=-6.0, max_noise_slope_db_per_octave=0.0,
)  # fmt: skip
STEPS = ("pitch", "stretch", "eq", "shift", "gain", "noise")
ALL = replace(NOTHING, **{f"{step}_probability": 0.5 for step in STEPS})


def tone(f0_hz=200.0, seconds=1.5, peak=0.5):
    """Five harmonics, on the 16-bit grid."""
    times_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    signal = sum(np.sin(2 * np.pi * f0_hz * k * times_s) / k for k in range(1, 6))
    return to_float(to_int16(peak * signal / np.abs(signal).max()))


def f0_hz(signal):
    """Strongest partial of the middle half, by a padded spectrum."""
    middle = signal[len(signal) // 4 : -len(signal) // 4]
    return np.argmax(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 1 << 18))) * RATE_HZ / (1 << 18)


def fixed(step, **limits):
    """Augmenter that does only `step`, always, by one value."""
    ranges = {f"{side}_{name}": float(value) for name, value in limits.items() for side in ("min", "max")}
    return Augmenter(replace(NOTHING, **{f"{step}_probability": 1.0}, **ranges), RATE_HZ)


@pytest.mark.parametrize("semitones", [-2, -1, 0.5, 2])
def test_pitch_moves_by_the_semitones_asked_and_keeps_the_length(semitones):
    altered = fixed("pitch", pitch_semitones=semitones)(tone(), "a", 1)
    assert 12 * np.log2(f0_hz(altered) / 200) == pytest.approx(semitones, abs=0.15)
    assert len(altered) == len(tone())


@pytest.mark.parametrize("rate", [0.9, 1.1])
def test_stretch_changes_the_length_and_keeps_the_pitch(rate):
    altered = fixed("stretch", stretch_rate=rate)(tone(), "a", 1)
    assert len(altered) == pytest.approx(len(tone()) / rate, abs=2)
    assert f0_hz(altered) == pytest.approx(200, abs=1)


@pytest.mark.parametrize("slope", [-6, -3, 0])
@pytest.mark.parametrize("snr_db", [5, 20])
def test_noise_has_the_ratio_and_the_colour_asked(snr_db, slope):
    augmenter = fixed("noise", noise_snr_db=snr_db, noise_slope_db_per_octave=slope)
    noise = augmenter(tone(peak=0.2), "a", 1) - tone(peak=0.2)
    assert 10 * np.log10(np.mean(tone(peak=0.2) ** 2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequencies_hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    octaves = [power[(frequencies_hz >= low) & (frequencies_hz < 2 * low)].mean() for low in (250, 500, 1000, 2000)]
    assert np.diff(10 * np.log10(octaves)).mean() == pytest.approx(slope, abs=1)


def test_shift_moves_the_signal_in_time():
    click = np.zeros(RATE_HZ, np.float32)
    click[8000] = 0.5
    assert np.argmax(fixed("shift", shift_s=0.05)(click, "a", 1)) == 8800
    assert np.argmax(fixed("shift", shift_s=-0.05)(click, "a", 1)) == 7200


def test_gain_changes_the_level_and_too_loud_is_turned_down_rather_than_clipped():
    quieter = fixed("gain", gain_db=-6)(tone(), "a", 1)
    assert 20 * np.log10(np.abs(quieter).max() / 0.5) == pytest.approx(-6, abs=0.01)
    louder = fixed("gain", gain_db=12)(tone(), "a", 1)
    assert np.abs(louder).max() == pytest.approx(1, abs=1e-4)
    assert np.corrcoef(louder, tone())[0, 1] > 0.99999


def test_equaliser_changes_the_spectrum_and_not_the_length():
    altered = Augmenter(replace(NOTHING, eq_probability=1.0), RATE_HZ)(tone(), "a", 1)
    assert len(altered) == len(tone()) and np.corrcoef(altered, tone())[0, 1] < 0.9999


def test_with_nothing_drawn_the_copy_is_the_clip():
    np.testing.assert_array_equal(Augmenter(NOTHING, RATE_HZ)(tone(), "a", 1), tone())


def test_each_copy_is_the_same_in_any_order_and_differs_from_the_others():
    jobs = [(name, copy) for name in ("a", "b", "c") for copy in (1, 2, 3, 4)]
    first = {job: Augmenter(ALL, RATE_HZ)(tone(seconds=0.5), *job).tobytes() for job in jobs}
    again = {job: Augmenter(ALL, RATE_HZ)(tone(seconds=0.5), *job).tobytes() for job in reversed(jobs[3:])}
    assert all(first[job] == content for job, content in again.items())
    assert len(set(first.values())) == len(jobs)
    assert Augmenter(replace(ALL, seed=2), RATE_HZ)(tone(seconds=0.5), "a", 1).tobytes() != first["a", 1]


def test_copies_are_on_the_16_bit_grid_and_the_global_generators_are_left_alone():
    random.seed(5)
    np.random.seed(5)
    expected = random.Random(5).random(), np.random.RandomState(5).random()
    for copy in range(1, 9):
        altered = Augmenter(ALL, RATE_HZ)(tone(seconds=0.5), "a", copy)
        assert altered.dtype == np.float32
        np.testing.assert_array_equal(altered, to_float(to_int16(altered)))
    assert (random.random(), np.random.random()) == expected


def test_the_shortest_usable_clip_survives_every_step_without_a_warning():
    every = Augmenter(replace(NOTHING, **{f"{step}_probability": 1.0 for step in STEPS}), RATE_HZ)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for copy in range(1, 6):
            altered = every(tone(seconds=0.2), "a", copy)
            assert np.isfinite(altered).all() and np.abs(altered).max() > 0.01


@pytest.mark.parametrize("wrong", [{"copies": -1}, {"eq_probability": 1.5}, {"min_gain_db": 9.0}, {"min_stretch_rate": 0.0}])
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(NOTHING, **wrong)


@pytest.fixture
def augment(tmp_path, monkeypatch):
    """Run the stage on a store of six clips, four of them for training; gives the store of copies."""
    parts = dict(zip("abcdef", ["train", "test", "train", "train", "validation", "train"], strict=True))
    clips = ((name, to_int16(tone(100 + 20 * n, seconds=0.3))) for n, name in enumerate(parts))
    write_arrays(tmp_path / "clean", clips, dtype="int16", recipe={"name": "AudioParams", "sampling_rate_hz": RATE_HZ})
    write_csv(tmp_path / "splits.csv", pd.DataFrame({"id": parts.keys(), "speaker": "s", "part": parts.values()}))

    def run(*more, workers=1, copies=3):
        fields = {**ALL.__dict__, "copies": copies}
        (tmp_path / "params.yaml").write_text("augment:\n" + "".join(f"  {key}: {value}\n" for key, value in fields.items()))
        monkeypatch.setenv("SER_PARAMS", str(tmp_path / "params.yaml"))
        monkeypatch.setenv("SER_WORKERS", str(workers))
        paths = [str(tmp_path / name) for name in ("clean", "splits.csv", "out")]
        monkeypatch.setattr(sys, "argv", ["augment", "emodb", *paths, *more])
        stages.augment.main()
        return tmp_path / "out"

    return run


def test_stage_copies_training_clips_only_and_two_workers_give_what_one_process_gives(augment):
    store = Arrays(augment(workers=2))
    assert store.ids == [f"{parent}#{copy}" for parent in "acdf" for copy in (1, 2, 3)]
    assert store.recipe["sampling_rate_hz"] == RATE_HZ and store.recipe["augment"]["copies"] == 3
    for name in reversed(store.ids):
        signal = tone(100 + 20 * "abcdef".index(name[0]), seconds=0.3)
        np.testing.assert_array_equal(store[name], to_int16(Augmenter(ALL, RATE_HZ)(signal, name[0], int(name[2]))))


def test_stage_with_no_copies_leaves_an_empty_store(augment):
    store = Arrays(augment(copies=0))
    assert store.ids == [] and len(store) == 0


def test_stage_makes_as_many_copies_as_asked_in_place_of_the_parameters(augment):
    few = Arrays(augment(copies=1))
    before = {name: few[name] for name in few.ids}
    store = Arrays(augment("--copies", "2", copies=1))
    assert store.ids == [f"{parent}#{copy}" for parent in "acdf" for copy in (1, 2)]
    assert store.recipe["augment"] == {**few.recipe["augment"], "copies": 2}
    assert all(np.array_equal(store[name], samples) for name, samples in before.items()), "the first are the same"
    assert Arrays(augment("--copies", "0", copies=1)).ids == []
