"""Each disturbance measured: it does what its level says, and nothing else."""

import io

import numpy as np
import pytest
import soundfile

from ser import disturbances
from tests.tiny import RATE_HZ, speech

CLIP = speech(2.0)


def rng():
    return np.random.default_rng(1)


def level_db(signal):
    return 10 * np.log10(np.mean(np.square(signal, dtype=np.float64)) + 1e-20)


def band_db(signal, low_hz, high_hz):
    """Energy in a band re that of the whole signal."""
    power = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    frequencies_hz = np.fft.rfftfreq(len(signal), 1 / RATE_HZ)
    inside = (frequencies_hz >= low_hz) & (frequencies_hz < high_hz)
    return 10 * np.log10(power[inside].sum() / power.sum())


def slope_db(noise, low_hz, high_hz):
    """How much the density of noise changes from one octave to a higher one."""
    return (band_db(noise, high_hz, 2 * high_hz) - 10 * np.log10(high_hz)) - (
        band_db(noise, low_hz, 2 * low_hz) - 10 * np.log10(low_hz)
    )


NOISES = {
    "white": lambda x, snr_db: disturbances.white_noise(x, snr_db, rng()),
    "pink": lambda x, snr_db: disturbances.pink_noise(x, RATE_HZ, snr_db, rng()),
    "speech": lambda x, snr_db: disturbances.speech_noise(x, snr_db, rng()),
}
ALL = {
    **{name: (lambda x, noise=noise: noise(x, 10.0)) for name, noise in NOISES.items()},
    "softer": lambda x: disturbances.gain(x, -30.0),
    "clipped": lambda x: disturbances.gain(x, 20.0),
    "wideband": lambda x: disturbances.telephone(x, RATE_HZ, "wideband"),
    "narrowband": lambda x: disturbances.telephone(x, RATE_HZ, "narrowband"),
    "mp3": lambda x: disturbances.mp3(x, RATE_HZ, 32),
    "room": lambda x: disturbances.reverberation(x, RATE_HZ, 0.6, 0.0, rng()),
}


@pytest.mark.parametrize("name", ALL)
def test_what_comes_out_is_as_long_on_the_16_bit_grid_and_the_same_each_time(name):
    before, once, again = CLIP.copy(), ALL[name](CLIP), ALL[name](CLIP)
    assert once.shape == CLIP.shape and once.dtype == np.float32
    assert np.array_equal(once, again) and np.array_equal(CLIP, before)
    assert np.array_equal(once * 32768, np.rint(once * 32768)) and np.abs(once).max() <= 1
    assert not np.array_equal(once, CLIP)


@pytest.mark.parametrize("name", ALL)
def test_digital_silence_and_a_few_samples_are_no_reason_to_fail(name):
    for n_samples in (1, 20, 1601):
        assert np.isfinite(ALL[name](np.zeros(n_samples, np.float32))).all()
        assert len(ALL[name](CLIP[:n_samples])) == n_samples


@pytest.mark.parametrize("snr_db", [20.0, 5.0, 0.0])
@pytest.mark.parametrize("name", NOISES)
def test_noise_has_the_ratio_asked_for(name, snr_db):
    noise = NOISES[name](CLIP, snr_db) - CLIP
    assert level_db(CLIP) - level_db(noise) == pytest.approx(snr_db, abs=0.05)


@pytest.mark.parametrize("name", NOISES)
def test_a_loud_clip_is_turned_down_with_its_noise_and_not_clipped(name):
    loud = CLIP / np.abs(CLIP).max()
    noisy = NOISES[name](loud, 0.0)
    assert np.abs(noisy).max() == pytest.approx(1, abs=1e-4) and (np.abs(noisy) > 0.999).sum() <= 2
    share = noisy @ loud / (loud @ loud)  # of the clip that is left; the noise has next to nothing in common with it
    assert level_db(share * loud) - level_db(noisy - share * loud) == pytest.approx(0, abs=0.5)


def test_noises_have_their_colours():
    long = speech(8.0)
    white, pink, like_speech = (noise(long, 0.0) - long for noise in NOISES.values())
    assert slope_db(white, 200, 3200) == pytest.approx(0, abs=0.5)
    assert slope_db(pink, 200, 3200) == pytest.approx(-3.01 * 4, abs=0.5)
    for low_hz in (100, 400, 1600, 3200):
        assert band_db(like_speech, low_hz, 2 * low_hz) == pytest.approx(band_db(long, low_hz, 2 * low_hz), abs=1.5)
    assert abs(np.corrcoef(like_speech, long)[0, 1]) < 0.1


def test_a_softer_clip_has_lost_its_lowest_bits():
    soft = disturbances.gain(CLIP, -40.0)
    assert level_db(CLIP) - level_db(soft) == pytest.approx(40, abs=0.2)
    assert np.abs(soft * 100 - CLIP).max() > 0.4 * 100 / 32768, "half a step, brought up again with the rest"
    assert len(np.unique(soft)) < len(np.unique(CLIP)) / 20
    assert np.array_equal(disturbances.gain(CLIP, 0.0), CLIP)


def test_a_louder_clip_is_clipped_where_a_recorder_would():
    loud = CLIP * (0.7 / np.abs(CLIP).max())
    louder = disturbances.gain(loud, 6.0)
    doubled = loud * 10 ** (6 / 20)
    over = np.abs(doubled) >= 1
    assert over.any() and np.abs(louder[over]).min() >= 32767 / 32768
    assert np.abs(louder[~over] - doubled[~over]).max() <= 0.51 / 32768


@pytest.mark.parametrize("band, low_hz, high_hz", [("wideband", 50, 7000), ("narrowband", 300, 3400)])
def test_a_telephone_passes_its_band_alone(band, low_hz, high_hz):
    noise = (0.1 * np.random.default_rng(2).standard_normal(4 * RATE_HZ)).astype(np.float32)
    passed = disturbances.telephone(noise, RATE_HZ, band)
    floor_db = -50 if band == "wideband" else -40  # mu-law's 8 bits leave noise at 38 dB below the voice, over all of the band
    assert band_db(passed, 0, 0.6 * low_hz) < floor_db
    assert band_db(passed, 1.12 * high_hz, RATE_HZ) < floor_db
    middle = (2 * low_hz, 0.8 * high_hz)
    kept_db = band_db(passed, *middle) + level_db(passed) - band_db(noise, *middle) - level_db(noise)
    assert kept_db == pytest.approx(0, abs=0.3)


def test_narrowband_speech_has_the_noise_of_eight_bits():
    tone = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)
    passed = disturbances.telephone(tone, RATE_HZ, "narrowband")[RATE_HZ // 4 :]
    beside = 10 * np.log10(10 ** (band_db(passed, 100, 900) / 10) + 10 ** (band_db(passed, 1100, 3900) / 10))
    assert -45 < beside < -30, "G.711 has about 38 dB"


def bitrates(mp3):
    """Bitrates in kbit/s and sampling rates of all frames of an MP3 file of MPEG-2, by the headers' own tables."""
    kbps = dict(enumerate([8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160], 1))
    at, found = 0, set()
    while at + 4 <= len(mp3):
        header = int.from_bytes(mp3[at : at + 4], "big")
        assert header >> 17 == 0b111111111111001, f"not a frame of MPEG-2 Layer III at byte {at}"
        bitrate, rate_hz = kbps[header >> 12 & 15], (22050, 24000, 16000)[header >> 10 & 3]
        found.add((bitrate, rate_hz))
        at += 72 * bitrate * 1000 // rate_hz + (header >> 9 & 1)
    return found


@pytest.mark.parametrize("kbps", disturbances.MP3_KBPS)
def test_an_mp3_has_the_bitrate_asked_for_and_is_not_shifted(kbps, monkeypatch):
    files = []
    write = soundfile.write

    def written(file, *args, **options):
        files.append(file)
        write(file, *args, **options)

    monkeypatch.setattr(soundfile, "write", written)
    decoded = disturbances.mp3(CLIP, RATE_HZ, kbps)
    assert isinstance(files[0], io.BytesIO) and bitrates(files[0].getvalue()) == {(kbps, RATE_HZ)}
    lags = np.arange(-600, 601)
    middle = slice(700, len(CLIP) - 700)
    agreement = [np.corrcoef(CLIP[middle], np.roll(decoded, -lag)[middle])[0, 1] for lag in lags]
    assert lags[np.argmax(agreement)] == 0 and max(agreement) > 0.9


def test_fewer_bits_leave_less_of_the_clip():
    ratios_db = [level_db(CLIP) - level_db(disturbances.mp3(CLIP, RATE_HZ, kbps) - CLIP) for kbps in (128, 48, 32, 16)]
    assert ratios_db == sorted(ratios_db, reverse=True) and ratios_db[0] > ratios_db[-1] + 4


def test_the_beginning_of_speech_is_kept_to_the_sample():
    silence = np.full(RATE_HZ, 1e-4, np.float32)  # a second
    clip = np.concatenate([silence, CLIP, silence])
    assert np.array_equal(disturbances.first(clip, RATE_HZ, 0.5, 30.0), CLIP[: RATE_HZ // 2])
    assert len(disturbances.first(clip, RATE_HZ, 1.5, 30.0)) == 1.5 * RATE_HZ
    assert len(disturbances.first(clip, RATE_HZ, 10.0, 30.0)) == len(CLIP) + len(silence), "it ends where the clip does"
    assert np.array_equal(disturbances.first(CLIP[:100], RATE_HZ, 0.5, 30.0), CLIP[:100])


@pytest.mark.parametrize("t60_s", [0.3, 0.6, 1.0, 1.5])
def test_a_room_decays_in_its_time(t60_s):
    """By Schroeder's backward integration, from -5 to -25 dB and three times that."""
    tail = disturbances.room_response(RATE_HZ, t60_s, 0.0, rng())[1:]
    left_db = 10 * np.log10(np.cumsum(tail[::-1] ** 2)[::-1] / np.sum(tail**2))
    times_s = np.arange(len(tail)) / RATE_HZ
    falling = (left_db <= -5) & (left_db >= -25)
    slope_db_per_s = np.polyfit(times_s[falling], left_db[falling], 1)[0]
    assert -60 / slope_db_per_s == pytest.approx(t60_s, rel=0.05)


@pytest.mark.parametrize("direct_db", [-6.0, 0.0, 6.0])
def test_the_direct_sound_comes_first_and_is_as_strong_as_asked_for(direct_db):
    response = disturbances.room_response(RATE_HZ, 0.6, direct_db, rng())
    assert response[0] == 1 and 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.01)


def test_a_room_sounds_on_after_the_voice_and_changes_no_level():
    clip = np.concatenate([CLIP, np.zeros(RATE_HZ // 2, np.float32)])
    said = disturbances.reverberation(clip, RATE_HZ, 1.0, 0.0, rng())
    assert level_db(said) == pytest.approx(level_db(clip), abs=0.05)
    after = said[len(CLIP) :]
    assert level_db(after[:1600]) > level_db(said) - 15, "where the clip is silent"
    assert level_db(after[:1600]) - level_db(after[6400:]) == pytest.approx(60 * 0.35, abs=6), "0.35 s later"
