"""The reference systems' feature sets against librosa called by hand, and what short clips and other rates do."""

import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soxr

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float, to_int16
from ser.descriptors import Descriptors, DescriptorsError
from ser.params import load_params
from tests.tiny import PARAMS, speech

pytestmark = pytest.mark.slow  # in a new environment librosa compiles itself first, for a quarter of a minute

RATE_HZ = 22050
FEW = {"sampling_rate_hz": RATE_HZ, "n_fft": 2048, "hop_samples": 512, "n_mfcc": 13, "n_mfcc_mels": 128, "n_mels": 40}


def feature_set(name):
    return load_params(name, Descriptors, PARAMS)


@pytest.fixture(scope="module")
def signal():
    """A voice of 1.3 s at librosa's rate."""
    return soxr.resample(speech(1.3), 16000, RATE_HZ)


def mfcc(y, n):
    return librosa.feature.mfcc(y=y, sr=RATE_HZ, n_mfcc=n)


def mel(y, n):
    return librosa.feature.melspectrogram(y=y, sr=RATE_HZ, n_mels=n)


def chroma(y):
    return librosa.feature.chroma_stft(y=y, sr=RATE_HZ)


def contrast(y):
    return librosa.feature.spectral_contrast(y=y, sr=RATE_HZ)


def zcr(y):
    return librosa.feature.zero_crossing_rate(y)


def means_and_deviations(parts):
    return np.concatenate([*(part.mean(axis=1) for part in parts), *(part.std(axis=1) for part in parts)])


def close(found, expected):
    """As near as float32 sums of powers allow."""
    np.testing.assert_allclose(found, expected, rtol=5e-4, atol=1e-5)


def test_r0_is_556_functionals(signal):
    cepstra = mfcc(signal, 40)
    parts = [
        librosa.feature.rms(y=signal),
        zcr(signal),
        librosa.feature.spectral_centroid(y=signal, sr=RATE_HZ),
        librosa.feature.spectral_bandwidth(y=signal, sr=RATE_HZ),
        librosa.feature.spectral_rolloff(y=signal, sr=RATE_HZ),
        cepstra,
        chroma(signal),
        mel(signal, 128),
        contrast(signal),
        librosa.feature.tonnetz(y=signal, sr=RATE_HZ),
        librosa.feature.delta(cepstra),
        librosa.feature.delta(cepstra, order=2),
    ]
    (found,) = feature_set("r0")(signal, RATE_HZ)
    assert found.shape == (556,) and found.dtype == np.float32
    close(found, means_and_deviations(parts))


def test_r2_is_128_frames_of_174(signal):
    cepstra = mfcc(signal, 40)
    parts = [
        cepstra,
        librosa.feature.delta(cepstra),
        librosa.feature.delta(cepstra, order=2),
        librosa.power_to_db(mel(signal, 40)),
        chroma(signal),
        zcr(signal),
        librosa.feature.rms(y=signal),
    ]
    found = feature_set("r2")(signal, RATE_HZ)
    assert found.shape == (128, 174)
    n = 1 + len(signal) // 512
    assert n < 128 and np.isnan(found[n:]).all()
    close(found[:n], np.concatenate(parts).T)
    long = np.tile(signal, 4)
    assert np.isfinite(feature_set("r2")(long, RATE_HZ)).all(), "what is too long is cut"
    assert np.array_equal(feature_set("r2_mfcc")(signal, RATE_HZ), found[:, :40], equal_nan=True)
    close(feature_set("r2_mfcc_mean")(signal, RATE_HZ)[0], cepstra.mean(axis=1))


def test_r3_is_161_means(signal):
    parts = [zcr(signal), mfcc(signal, 20), chroma(signal), mel(signal, 128)]
    (found,) = feature_set("r3")(signal, RATE_HZ)
    assert found.shape == (161,)
    close(found, np.concatenate([part.mean(axis=1) for part in parts]))


def test_r4_is_550_functionals_with_the_tonal_centroid_of_the_harmonic_part(signal):
    cepstra = mfcc(signal, 40)
    parts = [
        cepstra,
        librosa.feature.delta(cepstra),
        librosa.feature.delta(cepstra, order=2),
        chroma(signal),
        librosa.power_to_db(mel(signal, 128)),
        contrast(signal),
        librosa.feature.tonnetz(y=librosa.effects.harmonic(signal), sr=RATE_HZ),
        zcr(signal),
        librosa.feature.rms(y=signal),
    ]
    (found,) = feature_set("r4")(signal, RATE_HZ)
    assert found.shape == (550,)
    close(found, means_and_deviations(parts))


@pytest.mark.parametrize("name", ["r0", "r2", "r2_mfcc", "r2_mfcc_mean", "r3", "r4"])
def test_columns_have_names_of_their_own_and_settings_come_back(name):
    front_end = feature_set(name)
    assert len(set(front_end.names)) == len(front_end.names) == front_end(speech(0.3), 16000).shape[1]
    assert Descriptors.from_fields(front_end.recipe["fields"]) == front_end


def test_names_say_descriptor_place_and_functional():
    names = Descriptors(**FEW, descriptors=("zcr", "mfcc"), summary=("mean", "sd")).names
    assert names[:2] == ("zcr_mean", "mfcc_0_mean") and names[14] == "zcr_sd" and names[-1] == "mfcc_12_sd"
    assert Descriptors(**FEW, descriptors=("zcr", "mfcc"), n_frames=9).names[:2] == ("zcr", "mfcc_0")


def test_another_rate_is_resampled_first():
    clip = speech(0.8)
    front_end = feature_set("r3")
    resampled = front_end(soxr.resample(clip, 16000, RATE_HZ, quality="VHQ"), RATE_HZ)
    assert np.array_equal(front_end(clip, 16000), resampled)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.2])
def test_the_shortest_clips_and_silence_give_numbers_without_a_warning(seconds, recwarn):
    for clip in (speech(seconds), np.zeros(round(seconds * 16000), np.float32)):
        for name in ("r0", "r4"):
            assert np.isfinite(feature_set(name)(clip, 16000)).all()
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"descriptors": ()}, "must name at least one"),
        ({}, "set summary or n_frames, and not both"),
        ({"summary": ("mean",), "n_frames": 3}, "set summary or n_frames, and not both"),
        ({"summary": ("mean",), "n_mfcc_mels": 12}, "n_mfcc 13 is more than n_mfcc_mels 12"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(change, sentence):
    with pytest.raises(DescriptorsError, match=sentence):
        Descriptors(**{**FEW, "descriptors": ("mfcc",), **change})


def test_without_librosa_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with pytest.raises(DescriptorsError, match=r"librosa, which is not here; pip install 'ser\[pipeline\]'"):
        feature_set("r3")(speech(0.3), 16000)


def test_the_stage_writes_the_set_of_every_stored_clip(tmp_path, monkeypatch):
    import stages.descriptors

    clips = {"a": speech(0.3), "b": speech(0.5, seed=1)}
    items = [(name, to_int16(clip)) for name, clip in clips.items()]
    write_arrays(tmp_path / "audio", items, dtype="int16", recipe={"sampling_rate_hz": 16000})
    monkeypatch.setenv("SER_PARAMS", str(Path(PARAMS)))
    monkeypatch.setenv("SER_WORKERS", "1")
    monkeypatch.setattr(sys, "argv", ["descriptors", "r2", str(tmp_path / "audio"), str(tmp_path / "r2")])
    stages.descriptors.main()
    store = Arrays(tmp_path / "r2")
    assert store.ids == ["a", "b"] and store["a"].shape == (128, 174) and len(store.recipe["columns"]) == 174
    again = Descriptors.from_fields(store.recipe["fields"])
    assert np.array_equal(again(to_float(to_int16(clips["b"])), 16000), store["b"], equal_nan=True)
