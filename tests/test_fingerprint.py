from dataclasses import replace

import numpy as np
import pytest
import soxr

from ser.fingerprint import ERROR_RATE, compare, fingerprint, near_duplicates

RATE_HZ = 16000


def voice(seed, seconds=2.5):
    """Syllables of their own pitch and formants between pauses, with a little breath: float32, shape (n_samples,)."""
    rng = np.random.default_rng(seed)
    parts = [np.zeros(round(0.25 * RATE_HZ))]
    while sum(map(len, parts)) < (seconds - 0.25) * RATE_HZ:
        t = np.arange(round(rng.uniform(0.15, 0.35) * RATE_HZ)) / RATE_HZ
        f0_hz = rng.uniform(90, 260) * (1 + rng.uniform(-0.6, 0.6) * t)
        phase = 2 * np.pi * np.cumsum(f0_hz) / RATE_HZ
        formants_hz = rng.uniform((300, 900, 2200), (900, 2100, 3200))
        levels = [sum(1 / (1 + ((n * f0_hz.mean() - f) / 100) ** 2) for f in formants_hz) for n in range(1, 15)]
        syllable = sum(level * np.sin(n * phase) for n, level in enumerate(levels, start=1))
        parts += [syllable * np.sin(np.pi * np.arange(len(t)) / len(t)), np.zeros(round(rng.uniform(0, 0.1) * RATE_HZ))]
    signal = np.concatenate(parts)[: round(seconds * RATE_HZ)]
    return (0.3 * signal / np.abs(signal).max() + 1e-4 * rng.standard_normal(len(signal))).astype(np.float32)


def noisy(signal, snr_db):
    level = np.sqrt(np.mean(signal**2)) * 10 ** (-snr_db / 20)
    return signal + level * np.random.default_rng(0).standard_normal(len(signal)).astype(np.float32)


def matched(signal, copy, rate_hz=RATE_HZ):
    """The match of a copy among other clips."""
    others = [fingerprint(voice(seed), RATE_HZ) for seed in (101, 102)]
    matches = near_duplicates([others[0], fingerprint(signal, RATE_HZ), others[1], fingerprint(copy, rate_hz)])
    assert all((match.first, match.second) == (1, 3) for match in matches)
    return matches[0] if matches else None


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100])
def test_another_rate(rate_hz):
    signal = voice(1)
    match = matched(signal, soxr.resample(signal, RATE_HZ, rate_hz), rate_hz)
    assert match.error_rate < 0.02 and match.lag_s == 0


@pytest.mark.parametrize("gain_db", [-20, 10])
def test_louder_and_softer_in_16_bits(gain_db):
    signal = voice(2)
    copy = np.clip(np.rint(signal * 10 ** (gain_db / 20) * 32768), -32768, 32767) / 32768
    assert matched(signal, copy).error_rate < 0.1


@pytest.mark.parametrize("start, end", [(4800, 0), (0, 4800), (4893, 4800)])
def test_trimmed(start, end):
    signal = voice(3)
    match = matched(signal, signal[start : len(signal) - end])
    assert match.error_rate < 0.06 and match.lag_s == pytest.approx(-start / RATE_HZ, abs=0.012)


def test_a_part_cut_out_of_a_longer_recording():
    long = np.concatenate([voice(seed) for seed in (4, 5, 6)])
    match = matched(long, long[48000:80000])
    assert match.error_rate < 0.06 and match.lag_s == pytest.approx(-3, abs=0.012)


def test_a_little_noise():
    signal = voice(7)
    assert matched(signal, noisy(signal, 20)).error_rate < ERROR_RATE


def test_another_polarity_and_an_offset():
    signal = voice(8)
    assert matched(signal, 0.1 - signal).error_rate < 0.02


def test_the_same_audio_has_no_error_and_overlaps_where_it_is_loud():
    signal = voice(9)
    match = matched(signal, signal)
    assert match.error_rate == 0 and 1 < match.overlap_s < 2.5


def test_other_clips_do_not_match():
    prints = [fingerprint(voice(seed), RATE_HZ) for seed in range(20, 50)]
    assert near_duplicates(prints) == []
    assert compare(prints[0], prints[1]) > ERROR_RATE + 0.05


def test_noise_hum_and_silence_match_nothing():
    rng = np.random.default_rng(3)
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    hums = [0.1 * np.sin(2 * np.pi * 50 * t) + 0.001 * rng.standard_normal(len(t)) for _ in range(3)]
    noises = [0.1 * rng.standard_normal(2 * RATE_HZ) for _ in range(3)]
    silences = [np.zeros(2 * RATE_HZ)] * 3
    assert near_duplicates([fingerprint(signal, RATE_HZ) for signal in (*hums, *noises, *silences)]) == []


@pytest.mark.parametrize("n_samples", [1, 100, 3000, 6000])
def test_short_clips_are_no_error(n_samples):
    print_ = fingerprint(voice(10)[8000 : 8000 + n_samples], RATE_HZ)
    assert len(print_.words) == len(print_.weak) == len(print_.active)
    assert near_duplicates([print_]) == [] and near_duplicates([]) == []


def test_every_pair_of_several_copies():
    signal = voice(11)
    prints = [fingerprint(copy, RATE_HZ) for copy in (signal, signal[2000:], noisy(signal, 30))]
    assert [(match.first, match.second) for match in near_duplicates(prints)] == [(0, 1), (0, 2), (1, 2)]


def test_many_clips_are_searched_without_comparing_all_pairs(monkeypatch):
    compared = []
    monkeypatch.setattr("ser.fingerprint._compare", lambda prints, *pair_and_lag: compared.append(pair_and_lag[:2]))
    rng = np.random.default_rng(5)
    some = fingerprint(voice(60), RATE_HZ)
    others = [replace(some, words=rng.integers(2**32, size=len(some.words), dtype=np.uint32)) for _ in range(500)]
    near_duplicates([*others, some, fingerprint(voice(60)[1000:], RATE_HZ)])
    assert (500, 501) in compared and len(set(compared)) < 100  # of 125 751 pairs


def test_words_that_everything_has_are_not_looked_up():
    print_ = fingerprint(voice(61), RATE_HZ)
    everywhere = replace(print_, words=np.zeros_like(print_.words))
    assert near_duplicates([everywhere] * 5) == []
