import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.voice_activity import VoiceActivity

RATE_HZ = 16000
CORPORA = Path(os.environ.get("SER_CORPORA", Path(__file__).parents[2] / "shared/corpora"))


def voice(seconds=2.0, f0_hz=130.0, peak=0.1, seed=0):
    """Glottal pulses with jitter and a falling pitch through two resonances, four syllables a second."""
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    f0 = f0_hz * (1.1 - 0.2 * times / seconds) * (1 + 0.005 * np.cumsum(rng.standard_normal(len(times))) / 100)
    phase = 2 * np.pi * np.cumsum(f0) / RATE_HZ
    sound = np.zeros(len(times))
    for harmonic in range(1, 25):
        at_hz = harmonic * f0_hz
        gain = 1 / (1 + ((at_hz - 600) / 200) ** 2) + 0.5 / (1 + ((at_hz - 1500) / 300) ** 2) + 0.05
        sound += gain * np.sin(harmonic * phase)
    sound *= 0.15 + np.clip(np.sin(2 * np.pi * 4 * times), 0, 1)
    return (peak * sound / np.abs(sound).max()).astype(np.float32)


def noise(seconds=10.0, rms=0.02, slope=0.0, seed=0):
    """Noise whose amplitude falls with frequency to the power of `slope`: 0 white, 0.5 pink, 1 brown."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)))
    spectrum /= np.maximum(1, np.arange(len(spectrum))) ** slope
    sound = np.fft.irfft(spectrum)
    return (rms * sound / sound.std()).astype(np.float32)


def speech_share(signal):
    return float(VoiceActivity(RATE_HZ).push(signal).mean())


@pytest.mark.parametrize("f0_hz", [80, 130, 250, 450])
@pytest.mark.parametrize("peak", [0.005, 0.1, 1.0])
def test_voices_high_and_low_loud_and_quiet_are_speech(f0_hz, peak):
    assert speech_share(voice(f0_hz=f0_hz, peak=peak)) > 0.7


def test_speech_in_noise_is_still_found():
    spoken = voice(4.0)
    assert speech_share(spoken + noise(4.0, rms=spoken.std() / 2)) > 0.5  # 6 dB


@pytest.mark.parametrize("slope", [0.0, 0.5])
def test_noise_is_no_speech(slope):
    assert speech_share(noise(slope=slope)) < 0.05


def test_brown_noise_is_no_speech_once_its_level_is_known():
    assert VoiceActivity(RATE_HZ).push(noise(20.0, slope=1.0))[500:].mean() < 0.1


def test_bangs_and_bursts_of_noise_are_no_speech():
    times = np.arange(10 * RATE_HZ) / RATE_HZ
    assert speech_share((noise(rms=0.1) * (np.sin(2 * np.pi * times) > 0)).astype(np.float32)) < 0.02
    assert speech_share(np.where(np.arange(len(times)) % 4000 < 20, noise(rms=0.3), 0).astype(np.float32)) == 0


def test_hum_of_the_mains_is_no_speech_and_a_tone_only_until_its_level_is_known():
    times = np.arange(20 * RATE_HZ) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 50 * k * times) / k**2 for k in range(1, 8))
    assert speech_share((0.01 * hum).astype(np.float32)) < 0.25
    assert VoiceActivity(RATE_HZ).push((0.05 * np.sin(2 * np.pi * 440 * times)).astype(np.float32))[500:].mean() == 0


@pytest.mark.parametrize("signal", [np.zeros(32000, np.float32), np.full(32000, 0.2, np.float32), noise(2.0, rms=2 / 32768)])
def test_silence_an_offset_and_dither_are_no_speech(signal):
    assert speech_share(signal) == 0


def test_speech_is_found_where_it_is():
    pause = noise(1.0, rms=0.0005)
    flags = VoiceActivity(RATE_HZ).push(np.concatenate([pause, voice(1.0), pause]))
    assert flags[:48].mean() == 0
    assert flags[52:98].mean() > 0.8
    assert flags[112:].mean() == 0  # 0.2 s after the voice, consonants may still be sounding


def test_answers_do_not_depend_on_the_blocks():
    rng = np.random.default_rng(3)
    signal = np.concatenate([noise(0.5, rms=0.001), voice(1.0), noise(0.5, rms=0.01), voice(1.0, f0_hz=220)])
    whole = VoiceActivity(RATE_HZ).push(signal)
    for longest in (1, 50, 700, 20000):
        activity = VoiceActivity(RATE_HZ)
        parts, at = [], 0
        end = len(signal) if longest > 1 else 3000
        while at < end:
            step = int(rng.integers(0, longest + 1))
            parts.append(activity.push(signal[at : min(end, at + step)]))
            at += step
        joined = np.concatenate(parts)
        assert np.array_equal(joined, whole[: len(joined)])
        assert len(joined) == (end - activity.frame) // activity.step + 1


@pytest.mark.skipif(not CORPORA.is_dir(), reason="no real corpora here")
@pytest.mark.parametrize("corpus", ["ravdess", "crema_d", "emodb", "iesc", "tess"])
def test_real_clips_have_speech(corpus):
    paths = sorted((CORPORA / corpus).rglob("*.flac"))[::50][:12]
    for path in paths:
        assert speech_share(soundfile.read(path, dtype="float32")[0]) > 0.2, path
