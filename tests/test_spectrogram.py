"""The spectrogram front end against librosa and against signals whose spectrum is known."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest

from ser.spectrogram import Spectrogram, SpectrogramError, _power

RATE_HZ = 16000
UNTRIMMED_DB = 1000.0
FRONT_END = Spectrogram(
    sampling_rate_hz=RATE_HZ, window_s=0.032, hop_s=0.016, n_mels=64, minimum_hz=50.0, maximum_hz=8000.0, trim_db=45.0
)
ALL = replace(FRONT_END, trim_db=UNTRIMMED_DB)


def sine(f0_hz, seconds=1.0, peak=1.0, rate_hz=RATE_HZ):
    return (peak * np.sin(2 * np.pi * f0_hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def noise(seconds=1.0, deviation=0.1):
    """Noise with a rising level, so that frames differ."""
    signal = np.random.default_rng(1).normal(0, deviation, round(seconds * RATE_HZ))
    return (signal * np.linspace(0.1, 1, len(signal))).astype(np.float32)


def librosa_settings(front_end):
    return {
        "sr": front_end.sampling_rate_hz,
        "n_fft": front_end.n_fft,
        "win_length": front_end.window_samples,
        "hop_length": front_end.hop_samples,
        "pad_mode": "reflect",
    }


def librosa_log_mel(signal, front_end):
    edges = {"fmin": front_end.minimum_hz, "fmax": front_end.maximum_hz, "n_mels": front_end.n_mels}
    power = librosa.feature.melspectrogram(y=signal, **librosa_settings(front_end), **edges)
    full_scale = librosa.filters.get_window("hann", front_end.window_samples).sum() / 2
    return librosa.power_to_db(power / full_scale**2, ref=1.0, amin=1e-10, top_db=None).T


@pytest.mark.slow  # in a new environment librosa compiles itself first, for a quarter of a minute
@pytest.mark.parametrize(
    "front_end",
    [
        ALL,
        replace(ALL, window_s=0.025, hop_s=0.010, n_mels=40),
        replace(ALL, sampling_rate_hz=8000, n_mels=26, minimum_hz=0.0, maximum_hz=3800.0),
        replace(ALL, sampling_rate_hz=44100, window_s=0.0464, n_mels=128, maximum_hz=11000.0),
    ],
)
def test_log_mel_is_that_of_librosa(front_end):
    signal = noise()
    ours = front_end(signal)
    assert ours.dtype == np.float32
    assert ours.shape == (1 + len(signal) // front_end.hop_samples, front_end.n_mels)
    np.testing.assert_allclose(ours, librosa_log_mel(signal, front_end), atol=0.01)


@pytest.mark.slow
def test_mfcc_and_chroma_stand_beside_the_mel_bands():
    signal = sine(440, peak=0.3) + noise(deviation=0.01)
    front_end = replace(ALL, further_bands=("mfcc", "chroma"), n_mfcc=13)
    bands = front_end(signal)
    log_mel, mfcc, chroma = np.split(bands, [64, 77], axis=1)
    assert front_end.band_names == [
        *(f"mel_{n}" for n in range(64)), *(f"mfcc_{n}" for n in range(13)), *(f"chroma_{n}" for n in range(12)),
    ]  # fmt: skip
    assert bands.shape[1] == len(front_end.band_names)
    assert np.array_equal(log_mel, ALL(signal))
    np.testing.assert_allclose(mfcc, librosa.feature.mfcc(S=librosa_log_mel(signal, ALL).T, n_mfcc=13).T, atol=0.02)
    expected = librosa.feature.chroma_stft(y=signal, **librosa_settings(ALL), tuning=0.0).T
    np.testing.assert_allclose(chroma, expected, atol=1e-3)
    assert (chroma[10:-10].argmax(axis=1) == 9).all()  # 440 Hz is an A, nine semitones above C
    assert replace(ALL, further_bands=("chroma",))(signal).shape[1] == 64 + 12


def test_a_full_scale_sine_reads_0_db_in_its_bin():
    bin_hz = RATE_HZ / FRONT_END.n_fft
    power = _power(sine(32 * bin_hz), FRONT_END.window_samples, FRONT_END.hop_samples, FRONT_END.n_fft)
    level_db = 10 * np.log10(np.maximum(power[2:-2], 1e-10))
    assert (level_db.argmax(axis=1) == 32).all()
    np.testing.assert_allclose(level_db.max(axis=1), 0.0, atol=0.001)


@pytest.mark.parametrize("f0_hz", [200.0, 1000.0, 4000.0])
def test_a_sine_is_loudest_in_the_band_that_holds_it(f0_hz):
    edges_hz = librosa.mel_frequencies(64 + 2, fmin=50.0, fmax=8000.0)
    band = int(FRONT_END(sine(f0_hz))[5:-5].mean(axis=0).argmax())
    assert edges_hz[band] < f0_hz < edges_hz[band + 2]


def test_gain_moves_every_band_by_its_decibels():
    louder = FRONT_END(noise())
    np.testing.assert_allclose(FRONT_END(noise() / 4)[20:], louder[20:] - 20 * np.log10(4), atol=0.001)


def test_silence_at_both_ends_is_cut_and_pauses_are_kept():
    hiss = np.random.default_rng(2).normal(0, 1e-4, 2 * RATE_HZ).astype(np.float32)
    signal = hiss.copy()
    signal[8000:12000] += sine(440, 0.25, 0.5)
    signal[16000:20000] += sine(440, 0.25, 0.5)
    n_frames = len(FRONT_END(signal))
    assert n_frames == pytest.approx(12000 / FRONT_END.hop_samples, abs=3)
    assert len(ALL(signal)) == 1 + len(signal) // FRONT_END.hop_samples
    assert len(FRONT_END(np.concatenate([hiss, signal, hiss]))) == pytest.approx(n_frames, abs=1)


@pytest.mark.parametrize("n_samples", [100, 256, 257, 800])
def test_very_short_signals_have_frames(n_samples):
    bands = FRONT_END(noise()[-n_samples:])
    assert 1 <= len(bands) <= 1 + n_samples // FRONT_END.hop_samples
    assert np.isfinite(bands).all()


def test_silence_is_finite():
    bands = replace(FRONT_END, further_bands=("mfcc", "chroma"))(np.zeros(RATE_HZ, np.float32))
    assert np.isfinite(bands).all()
    np.testing.assert_allclose(bands[:, :64], -100, atol=0.001)


def test_same_signal_gives_same_bytes_also_from_a_front_end_built_again():
    assert replace(FRONT_END)(noise()).tobytes() == FRONT_END(noise()).tobytes()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"maximum_hz": 8000.5}, "maximum_hz 8000.5 is above half of sampling_rate_hz 16000"),
        ({"sampling_rate_hz": 8000}, "maximum_hz 8000.0 is above half of sampling_rate_hz 8000"),
        ({"minimum_hz": 8000.0}, "minimum_hz 8000.0 is not below maximum_hz 8000.0"),
        ({"trim_db": 0.0}, "trim_db 0.0 is not above 0"),
        ({"n_mels": 16, "further_bands": ("mfcc",)}, "n_mfcc 20 is more than n_mels 16"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(change, sentence):
    with pytest.raises(SpectrogramError, match=f"spectrogram.{sentence}"):
        replace(FRONT_END, **change)


def test_the_log_mel_needs_neither_librosa_nor_keras():
    code = (
        "import sys, numpy; from ser.spectrogram import Spectrogram;"
        "Spectrogram(16000, 0.032, 0.016, 64, 50.0, 8000.0, 45.0)(numpy.ones(8000, 'float32'));"
        "sys.exit(bool({'librosa', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)
