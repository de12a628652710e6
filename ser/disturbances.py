"""What happens to speech on its way to a recognizer: noise, level, telephone, MP3, too short a recording, and rooms.

Each is a pure function of a mono float32 signal (n_samples,), its sampling rate, one level and, where chance has a part, a
generator. The result lies on the 16-bit grid, as `ser.audio` gives whatever a recorder stored. What becomes louder than full
scale is turned down, as someone who records would; only `gain` clips, since that is what it is about.
"""

import io
from typing import Any, Literal

import numpy as np

from ser.audio import to_float, to_int16

Band = Literal["wideband", "narrowband"]
_BANDS_HZ: dict[str, tuple[float, float]] = {"wideband": (50.0, 7000.0), "narrowband": (300.0, 3400.0)}  # ITU-T G.722, G.712
_NARROWBAND_RATE_HZ = 8000
_PINK_FLAT_BELOW_HZ = 50.0  # carried on towards 0 Hz, the slope would put most of the power where nobody hears it
MP3_KBPS = (16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # of MPEG-2 Layer III, whose rates are 16, 22.05 and 24 kHz
_MP3_DELAY = 576 + 529  # samples of LAME and of any decoder
_FRAME_S = 0.02  # over which the level of speech is taken


def white_noise(signal: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of equal power at all frequencies; the ratio is of root mean squares, silences included."""
    return _noisy(signal, np.ones(len(signal) // 2 + 1), snr_db, rng)


def pink_noise(signal: np.ndarray, sampling_rate_hz: int, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise that falls by 3 dB an octave above 50 Hz, as that of many rooms and streets does about; ratio as for white."""
    frequencies_hz = np.fft.rfftfreq(len(signal), 1 / sampling_rate_hz)
    return _noisy(signal, 1 / np.sqrt(np.maximum(frequencies_hz, _PINK_FLAT_BELOW_HZ)), snr_db, rng)


def speech_noise(signal: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of the clip's own long-term spectrum, so that no filter could tell them apart; ratio as for white."""
    return _noisy(signal, np.abs(np.fft.rfft(signal)), snr_db, rng)


def gain(signal: np.ndarray, gain_db: float) -> np.ndarray:
    """Record it so much louder or softer: rounded to 16 bits, and clipped at full scale, as a recorder does.

    The rounding is half of what a low level does. 40 dB down take away six to seven of the sixteen bits, and no amplifier
    brings them back.
    """
    return to_float(to_int16(signal * 10 ** (gain_db / 20)))


def telephone(signal: np.ndarray, sampling_rate_hz: int, band: Band) -> np.ndarray:
    """Keep what a telephone passes: 50 to 7000 Hz, or 300 to 3400 Hz at 8 kHz in the 8 bits of G.711's mu-law."""
    import soxr
    from scipy.signal import butter, sosfilt

    sections = butter(8, _BANDS_HZ[band], btype="bandpass", fs=sampling_rate_hz, output="sos")
    passed = sosfilt(sections, signal)
    if band == "narrowband":
        narrow = soxr.resample(passed, sampling_rate_hz, _NARROWBAND_RATE_HZ, quality="VHQ")
        coded = _coded(_stored(narrow), _NARROWBAND_RATE_HZ, format="WAV", subtype="ULAW")
        passed = _fitted(soxr.resample(coded, _NARROWBAND_RATE_HZ, sampling_rate_hz, quality="VHQ"), len(signal))
    return _stored(passed)


def mp3(signal: np.ndarray, sampling_rate_hz: int, kbps: int) -> np.ndarray:
    """Encode it as MP3 of a constant bitrate (LAME, by libsndfile) and decode it again.

    Args:
        signal: mono (n_samples,).
        sampling_rate_hz: 16000 to 24000, for which MPEG-2 goes from 8 to 160 kbit/s.
        kbps: one of `MP3_KBPS`.
    """
    level = (160 - kbps) / (160 - 8)  # libsndfile spreads its compression levels evenly over the bitrates
    options = {"subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": level}
    decoded = _coded(signal, sampling_rate_hz, format="MP3", **options)
    # frames of 32 kbit/s and less have no room for LAME's tag, by which a decoder takes off the delay and the padding
    late = _MP3_DELAY if len(decoded) > len(signal) else 0
    return _stored(_fitted(decoded[late:], len(signal)))


def first(signal: np.ndarray, sampling_rate_hz: int, seconds: float, speech_db: float) -> np.ndarray:
    """The first so many seconds of speech, or what there is of it where the clip ends earlier.

    Args:
        signal: mono (n_samples,).
        sampling_rate_hz: of the signal.
        seconds: to keep.
        speech_db: speech begins with the first 20 ms that are no further below the loudest ones.
    """
    size = min(len(signal), round(_FRAME_S * sampling_rate_hz))
    frames = signal[: len(signal) // size * size].reshape(-1, size)
    power = np.mean(np.square(frames, dtype=np.float64), axis=1)
    start = int(np.argmax(power >= power.max() * 10 ** (-speech_db / 10))) * size
    return signal[start : start + round(seconds * sampling_rate_hz)]


def reverberation(
    signal: np.ndarray, sampling_rate_hz: int, t60_s: float, direct_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Say it in a room: as long and as loud as the clip, so that nothing differs but the room; arguments as `room_response`."""
    response = room_response(sampling_rate_hz, t60_s, direct_db, rng)
    n_fft = 1 << (len(signal) + len(response) - 2).bit_length()  # no wrap-around
    said = np.fft.irfft(np.fft.rfft(signal, n_fft) * np.fft.rfft(response, n_fft), n_fft)[: len(signal)]
    return _stored(said * (_rms(signal) / max(_rms(said), 1e-12)))


def room_response(sampling_rate_hz: int, t60_s: float, direct_db: float, rng: np.random.Generator) -> np.ndarray:
    """What a room makes of a click: the click, then noise that decays evenly (Polack 1988): (1 + n_samples of t60_s,).

    Args:
        sampling_rate_hz: of the response.
        t60_s: time in which the noise decays by 60 dB; it ends there.
        direct_db: energy of the click over that of all the noise. 0 dB is at the critical distance: a metre or less
            from the speaker in most rooms.
        rng: draws the noise.
    """
    times_s = np.arange(1, round(t60_s * sampling_rate_hz) + 1) / sampling_rate_hz
    tail = rng.standard_normal(len(times_s)) * 10 ** (-3 * times_s / t60_s)
    return np.append(1.0, tail * 10 ** (-direct_db / 20) / np.sqrt(np.sum(tail**2)))


def _noisy(signal: np.ndarray, magnitudes: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of these magnitudes, (n_samples // 2 + 1,), and Gaussian amplitudes."""
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(signal))) * magnitudes, len(signal))
    return _stored(signal + noise * (_rms(signal) / max(_rms(noise), 1e-12) * 10 ** (-snr_db / 20)))


def _coded(signal: np.ndarray, sampling_rate_hz: int, **options: Any) -> np.ndarray:
    """Written to a file in memory and read back: float32, maybe of another length."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, signal, sampling_rate_hz, **options)
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def _fitted(signal: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut, or filled up with silence."""
    return np.pad(signal[:n_samples], (0, max(0, n_samples - len(signal))))


def _stored(signal: np.ndarray) -> np.ndarray:
    """On the 16-bit grid, turned down where that is needed."""
    return to_float(to_int16(signal / max(1.0, np.abs(signal).max())))


def _rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))
