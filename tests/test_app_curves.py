import numpy as np
import pytest

from ser.app import curves

RATE_HZ = 16_000


def tone(f0_hz, seconds=1.0):
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * f0_hz * n * times) / n for n in range(1, 6))
    return (0.2 * harmonics).astype(np.float32)


@pytest.mark.parametrize("block", [1, 37, 160, 1000, 50_000])
def test_the_envelope_does_not_depend_on_the_blocks(block):
    signal = np.random.default_rng(0).normal(0, 0.1, 4001).astype(np.float32)
    envelope = curves.Envelope(RATE_HZ)
    for start in range(0, len(signal), block):
        envelope.add(signal[start : start + block])
    drawn = envelope.finish()
    assert drawn.shape == (26, 2)  # 25 steps of 10 ms and what is left
    assert drawn[:, 0].min() == signal.min() and drawn[:, 1].max() == signal.max()
    assert drawn[3].tolist() == [signal[480:640].min(), signal[480:640].max()]


def test_thinning_an_envelope_loses_no_peak():
    extremes = np.zeros((10_000, 2))
    extremes[7777] = -0.5, 0.9
    thinned = curves.thinned_extremes(extremes, 700)
    assert thinned.shape == (700, 2)
    assert thinned.min() == -0.5 and thinned.max() == 0.9


def test_thinning_by_means_keeps_short_data_and_the_mean_of_long():
    values = np.arange(900.0)
    assert np.array_equal(curves.thinned_means(values, 1000), values)
    assert curves.thinned_means(values, 300).tolist()[:2] == [1.0, 4.0]


@pytest.mark.parametrize("f0_hz", [110.0, 220.0, 350.0])
def test_pitch_of_a_tone_is_its_frequency_and_of_silence_is_nothing(f0_hz):
    signal = np.concatenate((np.zeros(RATE_HZ // 2, np.float32), tone(f0_hz)))
    times, f0 = curves.pitch(signal, RATE_HZ)
    assert np.isnan(f0[times < 0.4]).all()
    assert np.nanmedian(f0[times > 0.6]) == pytest.approx(f0_hz, abs=1.0)


@pytest.mark.parametrize("n_samples", [0, 100, 1120, 3200])
def test_pitch_of_a_very_short_signal_is_no_error(n_samples):
    times, f0 = curves.pitch(np.zeros(n_samples, np.float32), RATE_HZ)
    assert times.shape == f0.shape and np.isnan(f0).all()


def test_the_log_mel_of_a_tone_is_brightest_where_the_tone_is():
    front_end = curves.display_spectrogram({}, RATE_HZ)
    low, high = (curves.log_mel(tone(f0_hz), front_end).mean(axis=0).argmax() for f0_hz in (200.0, 2000.0))
    assert low < high
    bands = curves.log_mel(tone(200.0), front_end)
    assert bands.shape[1] == 64 and bands.max() == 0.0 and bands.min() >= -70.0


def test_the_log_mel_is_the_models_own_but_never_trimmed():
    fields = {"window_s": 0.025, "hop_s": 0.01, "n_mels": 40, "minimum_hz": 80.0, "maximum_hz": 7000.0, "trim_db": 30.0}
    front_end = curves.display_spectrogram({"inputs": {"spectrogram": {"fields": fields}}}, RATE_HZ)
    assert (front_end.n_mels, front_end.hop_s, front_end.maximum_hz) == (40, 0.01, 7000.0)
    signal = np.concatenate((np.zeros(RATE_HZ, np.float32), tone(200.0)))
    assert len(curves.log_mel(signal, front_end)) == 201


def test_attention_is_told_as_the_fewest_stretches_that_hold_half_of_it():
    times = np.arange(10) * 0.1 + 0.05
    weights = np.array([1, 1, 20, 22, 1, 1, 1, 30, 1, 1], float)
    stretches = curves.attended(times, weights / weights.sum())
    assert [(round(start, 2), round(end, 2)) for start, end in stretches] == [(0.3, 0.4), (0.7, 0.8)]


def test_neighbouring_stretches_are_one():
    times = np.arange(4) * 0.1 + 0.05
    assert len(curves.attended(times, np.array([0.0, 0.5, 0.5, 0.0]), share=0.9)) == 1


def test_no_attention_is_no_stretch():
    assert curves.attended(np.zeros(0), np.zeros(0)) == []
    assert curves.attended(np.arange(3.0), np.zeros(3)) == []


def test_points_are_drawn_side_by_side_from_start_to_end():
    windows = np.array([(0.0, 1.0), (0.0, 1.5), (0.0, 2.0), (0.5, 2.5)])
    spans = curves.drawn_spans(windows, 2.7)
    assert spans[0, 0] == 0.0 and spans[-1, 1] == 2.7
    assert np.array_equal(spans[1:, 0], spans[:-1, 1])
    assert curves.drawn_spans(windows[:1], 2.7).tolist() == [[0.0, 2.7]]


def test_what_stands_out_is_named_furthest_first():
    others = [{"pitch": 200.0 + n, "level": -20.0 + n, "tempo": 4.0 + n} for n in range(5)]
    found = curves.standing_out({"pitch": 250.0, "level": -18.0, "tempo": 12.0, "new": 1.0}, others)
    assert list(found) == ["pitch", "tempo"]
    assert found["pitch"][0] == 202.0 and found["pitch"][1] > 20


def test_little_or_undefined_reference_names_nothing():
    assert curves.standing_out({"pitch": 250.0}, [{"pitch": 200.0}, {"pitch": 201.0}, {"pitch": 202.0}]) == {}
    assert curves.standing_out({"pitch": 250.0}, [{"pitch": float("nan")}] * 6) == {}
    assert curves.standing_out({"pitch": float("nan")}, [{"pitch": 200.0 + n} for n in range(6)]) == {}
    assert curves.standing_out({"pitch": 250.0}, [{"pitch": 200.0}] * 6) == {}
