"""Prosody against signals whose pitch, formants and rhythm are known, and against Praat's own commands."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from ser.prosody import Prosody

RATE_HZ = 16000
PROSODY = Prosody(
    sampling_rate_hz=RATE_HZ,
    step_s=0.01,
    search_floor_hz=60.0,
    search_ceiling_hz=700.0,
    floor_factor=0.75,
    ceiling_factor=2.0,
    voicing_threshold=0.45,
    minimum_voiced_s=0.05,
    formant_ceiling_hz=5500.0,
    formant_step_s=0.02,
    level_floor_hz=50.0,
    speech_gate_db=40.0,
    pause_gate_db=25.0,
    minimum_pause_s=0.1,
    nucleus_dip_db=2.0,
)
ALWAYS_KNOWN = {"pro_duration_s"}


def pulses(f0_hz: np.ndarray | float, seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    """A buzz: harmonics of equal strength under 3.5 kHz, with the given pitch, constant or one value a sample."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0_hz, round(seconds * rate_hz))) / rate_hz
    count = int(min(3500, rate_hz / 2 - 100) / np.max(f0_hz))
    buzz = np.sin(np.arange(1, count + 1)[:, None] * phase).sum(axis=0)
    return (0.3 * buzz / np.abs(buzz).max()).astype(np.float32)


def pulse_train(times_s: np.ndarray, seconds: float) -> np.ndarray:
    """Smooth pulses at exact times between samples."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (0.5 * np.exp(-0.5 * ((t[:, None] - times_s) / 2e-4) ** 2).sum(axis=1)).astype(np.float32)


def noise(seconds: float) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), dtype=np.float32)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("f0_hz", [80, 120, 210, 400, 550])
def test_pitch_of_a_buzz_is_found_for_any_voice(f0_hz, rate_hz):
    row = replace(PROSODY, sampling_rate_hz=rate_hz).measure(pulses(f0_hz, 1.0, rate_hz))
    assert row["pro_f0_median_hz"] == pytest.approx(f0_hz, abs=1)
    assert row["pro_f0_mean_hz"] == pytest.approx(f0_hz, abs=1)
    assert row["pro_f0_mean_st"] == pytest.approx(12 * np.log2(f0_hz / 27.5), abs=0.1)
    assert row["pro_f0_sd_st"] < 0.1
    assert row["pro_voiced_share"] > 0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_a_glide_has_its_slope_and_direction(sign):
    row = PROSODY.measure(pulses(np.linspace(200 - sign * 50, 200 + sign * 50, RATE_HZ), 1.0))
    assert row["pro_f0_slope_hz_per_s"] == pytest.approx(sign * 100, abs=4)
    assert row["pro_f0_slope_st_per_s"] * sign > 5
    assert row["pro_f0_onset_to_end_st"] * sign > 5
    assert row["pro_f0_range_hz"] == pytest.approx(90, abs=5)


def test_a_steep_glide_counts_as_rising_and_a_hat_as_bent_down():
    rise = PROSODY.measure(pulses(np.linspace(120, 300, RATE_HZ), 1.0))
    assert rise["pro_f0_rising_share"] > 0.8
    assert rise["pro_f0_falling_share"] == 0
    assert np.isnan(rise["pro_f0_fall_mean_st_per_s"])
    hat = PROSODY.measure(pulses(200 + 60 * np.sin(np.pi * np.linspace(0, 1, RATE_HZ)), 1.0))
    assert hat["pro_f0_curve_st_per_s2"] < -10
    assert hat["pro_f0_peak_position_share"] == pytest.approx(0.5, abs=0.05)


def test_formants_of_a_synthetic_vowel_are_found_and_are_those_of_praat():
    import parselmouth

    impulses = np.zeros(RATE_HZ)
    impulses[:: RATE_HZ // 110] = 1
    vowel = np.diff(lfilter([1.0], np.poly([0.97, 0.97]), impulses), prepend=0)  # glottal source falling by 6 dB an octave
    formants_hz = (650, 1150, 2500, 3500, 4500)
    for hz in formants_hz:
        vowel = lfilter([1.0], np.poly(np.exp((-80 + 2j * np.array([hz, -hz])) * np.pi / RATE_HZ)).real, vowel)
    signal = (0.3 * vowel / np.abs(vowel).max()).astype(np.float32)
    row = PROSODY.measure(signal)
    praat = parselmouth.Sound(signal.astype(float), RATE_HZ).to_formant_burg(0.01, 5.0, 5500.0, 0.025, 50.0)
    for n, hz in enumerate(formants_hz[:4], start=1):
        median_hz = row[f"pro_f{n}_median_hz"]
        assert median_hz == pytest.approx(hz, rel=0.05), n
        assert median_hz == pytest.approx(np.nanmedian([praat.get_value_at_time(n, t) for t in praat.ts()]), rel=0.01), n
        assert row[f"pro_f{n}_sd_hz"] < 0.05 * hz
        bandwidth_hz = np.nanmedian([praat.get_bandwidth_at_time(n, t) for t in praat.ts()])
        assert row[f"pro_f{n}_bandwidth_median_hz"] == pytest.approx(bandwidth_hz, rel=0.1)
    assert row["pro_formant_spacing_mean_hz"] == pytest.approx((3500 - 650) / 3, rel=0.05)


def test_jitter_shimmer_and_harmonicity_are_those_of_praat():
    import parselmouth
    from parselmouth.praat import call

    generator = np.random.default_rng(1)
    times_s = np.cumsum(0.008 + 1e-4 * generator.standard_normal(124))
    signal = pulse_train(times_s, 1.0) * (1 + 0.1 * np.sin(2 * np.pi * 23 * np.arange(RATE_HZ) / RATE_HZ))
    one_search = replace(PROSODY, floor_factor=0.0, ceiling_factor=100.0)  # the second pass uses the range of the first
    row = one_search.measure(signal.astype(np.float32))

    centred = signal.astype(np.float32).astype(np.float64)
    sound = parselmouth.Sound(centred - centred.mean(), RATE_HZ)
    pitch = sound.to_pitch_ac(0.01, 60, pitch_ceiling=700)
    points = call([sound, pitch], "To PointProcess (cc)")
    for kind in ("local", "rap", "ppq5", "ddp"):
        assert row[f"pro_jitter_{kind}"] == pytest.approx(call(points, f"Get jitter ({kind})", 0, 0, 1e-4, 0.02, 1.3), rel=1e-6)
    absolute = call(points, "Get jitter (local, absolute)", 0, 0, 1e-4, 0.02, 1.3)
    assert row["pro_jitter_local_absolute_s"] == pytest.approx(absolute, rel=1e-6)
    for kind in ("local", "local_dB", "apq3", "apq5", "apq11", "dda"):
        expected = call([sound, points], f"Get shimmer ({kind})", 0, 0, 1e-4, 0.02, 1.3, 1.6)
        assert row[f"pro_shimmer_{kind.lower()}"] == pytest.approx(expected, rel=1e-6)
    assert row["pro_jitter_local"] == pytest.approx(np.abs(np.diff(np.diff(times_s))).mean() / 0.008, rel=0.15)
    strength = pitch.selected_array["strength"][pitch.selected_array["frequency"] > 0]
    assert row["pro_hnr_mean_db"] == pytest.approx((10 * np.log10(strength / (1 - strength))).mean(), abs=0.1)


def test_harmonicity_falls_as_noise_is_added():
    clean = pulses(150, 1.0)
    noisy = (clean + 0.3 * noise(1.0)).astype(np.float32)
    assert PROSODY.measure(clean)["pro_hnr_mean_db"] > PROSODY.measure(noisy)["pro_hnr_mean_db"] + 5


@pytest.mark.parametrize(
    "signal",
    [np.zeros(0, np.float32), np.ones(1, np.float32), silence(0.2), silence(2.0), np.full(8000, 0.5, np.float32), noise(0.05)],
    ids=["nothing", "one sample", "short silence", "silence", "constant", "50 ms of noise"],
)
def test_silence_and_scraps_are_undefined_not_zero(signal):
    row = PROSODY(signal)
    known = {name for name, value in zip(PROSODY.names, row, strict=True) if not np.isnan(value)}
    assert known == ALWAYS_KNOWN


@pytest.mark.parametrize("seconds", [0.2, 2.0])
def test_noise_has_a_level_but_no_voice(seconds):
    row = PROSODY.measure(noise(seconds))
    assert row["pro_level_mean_db"] == pytest.approx(-20, abs=1)
    assert row["pro_voiced_share"] == row["pro_voiced_segments"] == row["pro_nuclei"] == 0
    voice = [name for name in PROSODY.names if name.startswith(("pro_f", "pro_jitter", "pro_shimmer", "pro_hnr", "pro_alpha"))]
    assert all(np.isnan(row[name]) for name in voice)


def test_short_voiced_clip_is_measured():
    row = PROSODY.measure(pulses(200, 0.2))
    assert row["pro_f0_median_hz"] == pytest.approx(200, abs=1)
    assert np.isfinite(row["pro_f1_median_hz"])


def test_silence_around_speech_is_not_measured_as_speech():
    speech = pulses(np.linspace(180, 240, RATE_HZ), 1.0)
    alone, padded = PROSODY.measure(speech), PROSODY.measure(np.concatenate([silence(0.7), speech, silence(0.8)]))
    assert padded["pro_duration_s"] == pytest.approx(2.5)
    assert padded["pro_speech_duration_s"] == pytest.approx(1.0, abs=0.12)  # Praat's window spreads the ends
    assert padded["pro_pause_share"] == 0
    for name in ("pro_f0_mean_hz", "pro_f0_slope_hz_per_s", "pro_f1_median_hz"):
        assert padded[name] == pytest.approx(alone[name], rel=0.05), name


def test_recording_gain_moves_two_columns_only():
    speech = (pulses(np.linspace(220, 180, RATE_HZ), 1.0) * np.hanning(RATE_HZ) + 0.001 * noise(1.0)).astype(np.float32)
    loud, soft = PROSODY.measure(speech), PROSODY.measure(speech / 4)
    moved = {name for name in PROSODY.names if not np.isclose(loud[name], soft[name], rtol=1e-3, atol=1e-4, equal_nan=True)}
    assert moved == {"pro_level_mean_db", "pro_level_voiced_mean_db"}
    assert loud["pro_level_mean_db"] - soft["pro_level_mean_db"] == pytest.approx(20 * np.log10(4), abs=0.01)


def test_syllables_and_pauses_are_counted():
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    syllables = pulses(150, 2.0) * np.abs(np.sin(2 * np.pi * 2 * t))  # four swells a second
    row = PROSODY.measure(syllables.astype(np.float32))
    assert row["pro_nuclei"] == 8
    assert row["pro_nuclei_per_s"] == pytest.approx(4, abs=0.3)
    row = PROSODY.measure(np.concatenate([pulses(150, 0.6), silence(0.5), pulses(150, 0.6)]))
    assert row["pro_voiced_segments"] == 2
    assert row["pro_voiced_segment_mean_s"] == pytest.approx(0.6, abs=0.05)
    assert row["pro_pause_max_s"] == pytest.approx(0.5, abs=0.1)
    assert row["pro_pause_share"] == pytest.approx(0.5 / 1.7, abs=0.05)


def test_level_falls_and_spectrum_tilts_as_made():
    t = np.arange(RATE_HZ) / RATE_HZ
    row = PROSODY.measure((pulses(150, 1.0) * 10 ** (-12 * t / 20)).astype(np.float32))
    assert row["pro_level_slope_db_per_s"] == pytest.approx(-12, abs=1.5)
    bright = pulses(150, 1.0)
    dull = lfilter([0.05], [1, -0.95], bright).astype(np.float32)
    bright_row, dull_row = PROSODY.measure(bright), PROSODY.measure(dull)
    assert dull_row["pro_alpha_ratio_mean_db"] > bright_row["pro_alpha_ratio_mean_db"] + 5
    assert dull_row["pro_hammarberg_index_mean_db"] > bright_row["pro_hammarberg_index_mean_db"] + 5


def test_row_matches_names_and_repeats_bit_for_bit():
    signal = (pulses(np.linspace(180, 240, RATE_HZ), 1.0) + 0.1 * noise(1.0)).astype(np.float32)
    row = PROSODY(signal)
    assert row.dtype == np.float32
    assert row.shape == (len(PROSODY.names),)
    assert len(set(PROSODY.names)) == len(PROSODY.names)
    assert all(name.startswith("pro_") for name in PROSODY.names)
    assert row.tobytes() == PROSODY(signal.copy()).tobytes()
    assert np.isfinite(row).mean() > 0.95
