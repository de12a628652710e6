"""Frame descriptors against librosa's, and the statistics taken of them."""

import numpy as np
import pytest

from ser.functionals import Functionals

RATE_HZ = 16000
FUNCTIONALS = Functionals(
    sampling_rate_hz=RATE_HZ,
    window_s=0.025,
    hop_s=0.01,
    n_mfcc=20,
    n_mels=40,
    n_log_mels=26,
    speech_gate_db=40.0,
    floor_db=80.0,
    minimum_frames=10,
)
WIDTH, HOP, N_FFT = 400, 160, 512


def coloured_noise(seconds: float = 1.0) -> np.ndarray:
    """Noise with a tilted, slowly changing spectrum: nothing in it is zero or constant."""
    generator = np.random.default_rng(0)
    white = generator.standard_normal(round(seconds * RATE_HZ))
    t = np.arange(len(white)) / RATE_HZ
    x = np.convolve(white, [1, 0.9, 0.5], mode="same") + 2 * np.sin(2 * np.pi * (500 + 300 * t) * t)
    x -= x.mean()
    return (0.05 * x).astype(np.float32)


def row_of(signal: np.ndarray, functionals: Functionals = FUNCTIONALS) -> dict[str, float]:
    return dict(zip(functionals.names, functionals(signal), strict=True))


def librosa_power(signal: np.ndarray, level_db: float) -> np.ndarray:
    """Power spectra (n_bins, n_frames) of the same frames: librosa centres a short window in a longer frame."""
    import librosa

    normal = (signal - signal.mean(dtype=float)) / 10 ** (level_db / 20)
    padded = np.pad(normal, (N_FFT - WIDTH) // 2)
    return np.abs(librosa.stft(padded, n_fft=N_FFT, win_length=WIDTH, hop_length=HOP, center=False)) ** 2


@pytest.fixture(scope="module")
def both():
    signal = coloured_noise()
    times, level_db, tracks = FUNCTIONALS.describe(signal)
    power = librosa_power(signal, level_db)
    assert len(times) == power.shape[1]  # no frame of it is silence
    return tracks, power


def test_cepstra_and_deltas_are_those_of_librosa(both):
    import librosa

    tracks, power = both
    mel = librosa.feature.melspectrogram(S=power, sr=RATE_HZ, n_fft=N_FFT, n_mels=40)
    mfcc = librosa.feature.mfcc(S=librosa.power_to_db(mel, amin=1e-12, top_db=80), n_mfcc=20)
    np.testing.assert_allclose(tracks["mfcc"].T, mfcc, atol=1e-3)
    np.testing.assert_allclose(tracks["mfcc_delta"].T, librosa.feature.delta(mfcc), atol=1e-3)
    np.testing.assert_allclose(tracks["mfcc_delta2"].T, librosa.feature.delta(mfcc, order=2), atol=1e-3)
    log_mel = librosa.power_to_db(librosa.feature.melspectrogram(S=power, sr=RATE_HZ, n_fft=N_FFT, n_mels=26), top_db=80)
    np.testing.assert_allclose(tracks["log_mel"].T, log_mel, atol=1e-3)


def test_chroma_and_contrast_are_those_of_librosa(both):
    import librosa

    tracks, power = both
    chroma = librosa.feature.chroma_stft(S=power, sr=RATE_HZ, n_fft=N_FFT, tuning=0.0)
    np.testing.assert_allclose(tracks["chroma"].T, chroma, atol=1e-4)
    contrast = librosa.feature.spectral_contrast(S=np.sqrt(power), sr=RATE_HZ)
    np.testing.assert_allclose(tracks["contrast"].T, contrast, atol=1e-3)


def test_spectral_shape_is_that_of_librosa(both):
    import librosa

    tracks, power = both
    magnitude = np.sqrt(power)
    centroid, bandwidth, rolloff, flatness = tracks["single"].T[:4]
    np.testing.assert_allclose(centroid, librosa.feature.spectral_centroid(S=magnitude, sr=RATE_HZ)[0], rtol=1e-4)
    np.testing.assert_allclose(bandwidth, librosa.feature.spectral_bandwidth(S=magnitude, sr=RATE_HZ)[0], rtol=1e-4)
    np.testing.assert_allclose(rolloff, librosa.feature.spectral_rolloff(S=magnitude, sr=RATE_HZ)[0], rtol=1e-4)
    np.testing.assert_allclose(flatness, 10 * np.log10(librosa.feature.spectral_flatness(S=magnitude)[0]), atol=1e-3)


def test_zero_crossings_and_level_of_a_tone():
    t = np.arange(RATE_HZ) / RATE_HZ
    row = row_of((0.5 * np.sin(2 * np.pi * 1000 * t + 0.1)).astype(np.float32))
    assert row["fun_level_db"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.01)
    assert row["fun_zcr_mean"] == pytest.approx(2 * 1000 / RATE_HZ, rel=0.03)
    assert row["fun_centroid_hz_mean"] == pytest.approx(1000, rel=0.02)
    assert row["fun_rms_db_mean"] == pytest.approx(0, abs=0.01)


def test_statistics_are_those_of_scipy(both):
    from scipy import stats

    tracks, _ = both
    row = row_of(coloured_noise())
    track = tracks["mfcc"][:, 3]
    assert row["fun_mfcc03_mean"] == pytest.approx(track.mean(), rel=1e-5)
    assert row["fun_mfcc03_sd"] == pytest.approx(track.std(), rel=1e-5)
    assert row["fun_mfcc03_p90"] == pytest.approx(np.percentile(track, 90), rel=1e-5)
    assert row["fun_mfcc03_skewness"] == pytest.approx(stats.skew(track), rel=1e-4)
    assert row["fun_mfcc03_kurtosis"] == pytest.approx(stats.kurtosis(track), rel=1e-4)
    assert row["fun_mfcc03_slope"] == pytest.approx(np.polyfit(0.01 * np.arange(len(track)), track, 1)[0], rel=1e-4)


def test_silence_around_speech_and_recording_gain_do_not_matter():
    speech = coloured_noise()
    alone = row_of(speech)
    padded = row_of(np.concatenate([np.zeros(100 * HOP, np.float32), speech, np.zeros(50 * HOP, np.float32)]))
    for name in ("fun_centroid_hz_mean", "fun_log_mel05_db_mean", "fun_contrast02_db_mean"):
        assert padded[name] == pytest.approx(alone[name], rel=0.03), name
    soft = row_of(speech / 8)
    moved = {name for name in alone if not np.isclose(alone[name], soft[name], rtol=1e-3, atol=1e-3)}
    assert moved == {"fun_level_db"}


def test_slope_has_the_sign_of_the_change():
    t = np.arange(RATE_HZ) / RATE_HZ
    rising = row_of((coloured_noise() * 10 ** (12 * t / 20 - 1)).astype(np.float32))
    assert rising["fun_rms_db_slope"] == pytest.approx(12, abs=2)


@pytest.mark.parametrize(
    "signal",
    [np.zeros(0), np.ones(1), np.zeros(32000), np.full(8000, 0.5), coloured_noise(0.1)],
    ids=["nothing", "one sample", "silence", "constant", "too short"],
)
def test_without_enough_speech_all_is_undefined(signal):
    row = FUNCTIONALS(signal.astype(np.float32))
    assert row.shape == (len(FUNCTIONALS.names),)
    assert np.isnan(row).all()


def test_shortest_accepted_clip_is_described():
    assert np.isfinite(FUNCTIONALS(coloured_noise(0.2))).all()


def test_row_matches_names_and_repeats_bit_for_bit():
    signal = coloured_noise()
    row = FUNCTIONALS(signal)
    assert row.dtype == np.float32
    assert row.shape == (len(FUNCTIONALS.names),)
    assert len(set(FUNCTIONALS.names)) == len(FUNCTIONALS.names)
    assert all(name.startswith("fun_") for name in FUNCTIONALS.names)
    assert np.isfinite(row).all()
    assert row.tobytes() == FUNCTIONALS(signal.copy()).tobytes()
