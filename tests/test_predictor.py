"""From a signal to an answer with a bundle alone: the stages' features to the bit, the network's answers, clip by clip."""

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ser.arrays import Arrays, write_arrays
from ser.audio import AudioError, to_int16
from ser.bundle import BundleError
from ser.calibration import Calibration
from ser.features import Clip, Features
from ser.predictor import Predictor
from ser.profile import Profile, ProfileError
from stages import prosody as prosody_stage
from stages import spectrogram as spectrogram_stage
from tests import tiny
from tests.tiny import EMOTIONS, N_FRAMES, RATE_HZ, speech

ROOT = Path(__file__).parents[1]
HOP_S = 0.016
# shorter than a window, and of several
CLIPS = {"short": speech(0.35), "low": speech(0.9, 110, 1), "high": speech(1.3, 240, 2)}


@pytest.fixture(scope="module")
def predictor(tiny_bundle):
    return Predictor.load(tiny_bundle)


@pytest.fixture(scope="module")
def profile(predictor):
    return predictor.profile([speech(0.6, 130, seed) for seed in range(3)])


def rewritten(bundle, folder, **changes):
    """A copy of a bundle with another description; hashes of its files stay true."""
    shutil.copytree(bundle, folder)
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


def same(one, other):
    return (
        one.probabilities.tobytes() == other.probabilities.tobytes()
        and one.attention.tobytes() == other.attention.tobytes()
        and one.attention_times_s.tobytes() == other.attention_times_s.tobytes()
        and one.duration_s == other.duration_s
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The clips as the pipeline's stages store them."""
    folder = tmp_path_factory.mktemp("stored")
    items = [(name, to_int16(signal)) for name, signal in CLIPS.items()]
    write_arrays(folder / "audio", items, dtype="int16", recipe={"sampling_rate_hz": RATE_HZ})
    audio = Arrays(folder / "audio")
    extract = spectrogram_stage.Extraction(tiny.spectrogram(), audio)
    frames = (extract(name) for name in audio.ids)
    write_arrays(folder / "features/spectrogram/clean/emodb", frames, dtype="float16", recipe={})
    rows = (prosody_stage.measure(tiny.prosodic_front_end(), (name, audio[name])) for name in audio.ids)
    write_arrays(folder / "features/prosody/clean/emodb", rows, dtype="float32", recipe={})
    return Features(folder / "features")


@pytest.mark.parametrize("name", CLIPS)
def test_features_are_those_that_the_stages_store_to_the_bit(predictor, stored, name):
    found = predictor.features(CLIPS[name])
    frames = stored.get("spectrogram", Clip(name, "emodb"))
    windows = found["spectrogram"]
    assert windows.dtype == np.float32 and windows.shape[1:] == (N_FRAMES, 64)
    assert (len(windows) > 1) == (len(frames) > N_FRAMES) == (name != "short")
    first, last = windows[0], windows[-1]
    assert first[: len(frames)].tobytes() == frames[:N_FRAMES].tobytes() and np.isnan(first[len(frames) :]).all()
    if name != "short":
        assert last.tobytes() == frames[-N_FRAMES:].tobytes(), "the last window ends with the clip"
    row = stored.get("prosody", Clip(name, "emodb"))
    assert found["prosody"].dtype == np.float32
    assert all(values.tobytes() == row.tobytes() for values in found["prosody"])
    assert len(found["prosody"]) == len(found["speaker"]) == len(windows)
    assert np.isnan(found["speaker"]).all()


@pytest.mark.parametrize("name", CLIPS)
def test_answers_are_the_networks_calibrated(predictor, tiny_models, stored, name, profile):
    for known in (None, profile):
        inputs = predictor.features(CLIPS[name], known)
        output = tiny_models["hybrid"].predict_on_batch(inputs).mean(axis=0)
        found = predictor.predict(CLIPS[name], known)
        np.testing.assert_allclose(found.probabilities, Calibration(1.25)(output), atol=1e-4)
        assert found.probabilities.sum() == pytest.approx(1.0)
        assert found.emotions == EMOTIONS and found.unsure_below == 0.3
        assert found.duration_s == len(CLIPS[name]) / RATE_HZ


def test_answers_are_those_of_the_evaluation(predictor, tiny_trained, stored):
    """What `evaluate` scores from the stores is what a user gets for the file, but for the calibration."""
    from ser.inference import Scorer

    scored = Scorer(tiny_trained, stored.folder).probabilities([Clip(name, "emodb") for name in CLIPS])
    found = [prediction.probabilities for prediction in predictor.predict_batch(list(CLIPS.values()))]
    np.testing.assert_allclose(found, Calibration(1.25)(scored), atol=1e-4)
    assert np.ptp(found, axis=0).max() > 0.01, "clips that all get one answer would show nothing"


def test_a_clips_answer_is_the_same_alone_and_in_any_batch(predictor, profile):
    signals = list(CLIPS.values())
    for known in (None, profile):
        alone = [predictor.predict(signal, known) for signal in signals]
        together, backwards = predictor.predict_batch(signals, known), predictor.predict_batch(signals[::-1], known)
        assert all(map(same, together, alone)) and all(map(same, backwards[::-1], alone))
    assert predictor.predict_batch([]) == []


def test_four_threads_get_the_answers_of_one(predictor):
    signals = list(CLIPS.values()) * 2
    alone = [predictor.predict(signal) for signal in signals]
    with ThreadPoolExecutor(4) as pool:
        assert all(map(same, pool.map(predictor.predict, signals), alone))


@pytest.mark.parametrize("name", CLIPS)
def test_attention_lies_inside_the_clip_and_sums_to_one(predictor, name):
    found = predictor.predict(CLIPS[name])
    times_s = found.attention_times_s
    assert len(times_s) == len(found.attention) == np.ceil(len(tiny.spectrogram()(CLIPS[name])) / 8)
    assert found.attention.sum() == pytest.approx(1.0) and (found.attention >= 0).all()
    assert times_s[0] >= 0 and times_s[-1] <= found.duration_s
    assert (np.diff(times_s) > 0).all() and np.diff(times_s).max() == pytest.approx(8 * HOP_S)


@pytest.mark.parametrize("extra", range(1, 9))
def test_attention_lies_inside_clips_of_every_length(predictor, extra):
    signal = speech(0.5 + extra * HOP_S)
    found = predictor.predict(signal)
    assert 0 <= found.attention_times_s[0] and found.attention_times_s[-1] <= found.duration_s


def test_attention_is_on_the_time_axis_of_the_file_silence_included(predictor):
    silence = np.zeros(RATE_HZ // 2, np.float32)
    plain, late = (predictor.predict(np.concatenate([before, CLIPS["low"], silence])) for before in (silence[:0], silence))
    assert late.attention_times_s[0] == pytest.approx(plain.attention_times_s[0] + 0.5, abs=3 * HOP_S)
    assert late.attention_times_s[-1] < 0.5 + 0.9 + 3 * HOP_S


def test_the_verdict_is_withheld_below_the_threshold(tiny_bundle, tmp_path):
    for threshold, unsure in ((0.0, False), (1.01, True)):
        folder = rewritten(tiny_bundle, tmp_path / str(threshold), calibration={"temperature": 1.0, "unsure_below": threshold})
        found = Predictor.load(folder).predict(CLIPS["low"])
        assert found.unsure is unsure and found.as_dict()["unsure"] is unsure
        assert found.emotion == EMOTIONS[found.probabilities.argmax()] and found.confidence == found.probabilities.max()


@pytest.mark.parametrize("n_samples", [0, 1, 1000, round(0.2 * RATE_HZ) - 1])
def test_what_is_too_short_is_said(predictor, n_samples):
    with pytest.raises(AudioError, match=r"too short: 0\.\d\d s of audio, at least 0.2 s are needed"):
        predictor.predict(CLIPS["low"][:n_samples])
    with pytest.raises(AudioError, match="too short"):
        predictor.profile([CLIPS["low"], CLIPS["high"], CLIPS["low"][:n_samples]])


def test_silence_is_said(predictor):
    for signal in (np.zeros(RATE_HZ, np.float32), np.full(RATE_HZ, 1 / 32768, np.float32)):
        with pytest.raises(AudioError, match="silent: peak below 0.0005"):
            predictor.predict(signal)
    with pytest.raises(AudioError, match="silent"):
        predictor.predict_batch([CLIPS["low"], np.zeros(RATE_HZ, np.float32)])


def test_the_shortest_clip_allowed_and_a_click_have_an_answer(predictor):
    click = np.zeros(RATE_HZ, np.float32)
    click[RATE_HZ // 2] = 0.5
    for signal in (CLIPS["low"][: round(0.2 * RATE_HZ)], click):
        found = predictor.predict(signal)
        assert np.isfinite(found.probabilities).all() and found.probabilities.sum() == pytest.approx(1.0)


def test_measures_are_named_numbers_for_people(predictor):
    found = predictor.measure(speech(1.0, 160))
    assert found["pro_f0_median_hz"] == pytest.approx(160, rel=0.15)
    assert all(isinstance(name, str) and isinstance(float(value), float) for name, value in found.items())


def test_a_profile_is_the_mean_of_its_clips_and_changes_the_answer(predictor, profile):
    front_end = tiny.prosodic_front_end()
    rows = np.concatenate([front_end(speech(0.6, 130, seed)) for seed in range(3)])
    assert profile.n_clips == 3 and profile.columns == front_end.names == predictor.prosody_columns
    defined = np.isfinite(rows).all(axis=0)
    np.testing.assert_allclose(profile.mean[defined], rows[:, defined].mean(axis=0), rtol=1e-5)
    unknown, known = predictor.predict(CLIPS["high"]), predictor.predict(CLIPS["high"], profile)
    assert np.abs(unknown.probabilities - known.probabilities).max() > 1e-3


def test_a_saved_profile_gives_the_same_answers(predictor, profile, tmp_path):
    profile.save(tmp_path / "anna.json")
    again = Profile.load(tmp_path / "anna.json", predictor)
    assert same(predictor.predict(CLIPS["low"], again), predictor.predict(CLIPS["low"], profile))


def test_too_few_clips_are_no_profile(predictor):
    with pytest.raises(ProfileError, match="2 clips of the speaker, at least 3 are needed; record some more"):
        predictor.profile([CLIPS["low"], CLIPS["high"]])


@pytest.fixture(scope="module")
def hearing_spectra_alone(tiny_models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cnn")
    tiny.write_trained(folder / "trained/cnn", tiny_models["cnn"], inputs=("spectrogram",))
    tiny.write_tiny_bundle(folder / "trained/cnn", folder / "models/cnn")
    return Predictor.load(folder / "models/cnn")


def test_a_model_without_prosody_knows_no_voices_but_measures_them(hearing_spectra_alone, profile, predictor):
    cnn = hearing_spectra_alone
    assert list(cnn.features(CLIPS["low"])) == ["spectrogram"] and cnn.prosody_columns == ()
    assert len(cnn.predict(CLIPS["low"]).attention)
    assert cnn.measure(CLIPS["low"]) == pytest.approx(predictor.measure(CLIPS["low"]), nan_ok=True)
    with pytest.raises(ProfileError, match="model 'cnn' cannot know a voice; take the hybrid"):
        cnn.profile([CLIPS["low"]] * 3)
    with pytest.raises(ProfileError, match="model 'cnn' cannot know a voice"):
        cnn.predict(CLIPS["low"], profile)


def test_a_model_of_prosody_alone_has_no_attention(tiny_models, tmp_path):
    tiny.write_trained(tmp_path / "trained", tiny_models["prosody"], inputs=("prosody",))
    tiny.write_tiny_bundle(tmp_path / "trained", tmp_path / "bundle")
    found = Predictor.load(tmp_path / "bundle").predict(CLIPS["high"])
    assert len(found.attention) == len(found.attention_times_s) == 0 and found.probabilities.sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": {"sampling_rate": 16000}},
        {"audio": None},
        {"calibration": {}},
        {"inputs": []},
        {"inputs": {}},
        {"inputs": {"spectrogram": {}}},
        {"inputs": {"spectrogram": {"fields": {"colour": 3}}}},
        {"inputs": {"prosody": {"fields": {"prosody": {}}}}},
        {"inputs": {"r0": {"fields": {"descriptors": []}}}},
        {"inputs": {"r0": {"fields": {"n_fft": 2048}}}},
        {"model": None, "emotions": 3},
    ],
)
def test_a_description_that_says_something_else_is_one_sentence(tiny_bundle, tmp_path, changes):
    with pytest.raises(BundleError, match="does not load .*; make the bundle again with `dvc repro`"):
        Predictor.load(rewritten(tiny_bundle, tmp_path / "bundle", **changes))


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x08\x12\x07"])
def test_a_graph_that_is_none_is_one_sentence(tiny_bundle, tmp_path, content):
    files = {"graph.onnx": hashlib.sha256(content).hexdigest()}
    folder = rewritten(tiny_bundle, tmp_path / "bundle", files=files)
    (folder / "graph.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="does not load"):
        Predictor.load(folder)


def test_a_damaged_bundle_is_refused(tiny_bundle, tmp_path):
    folder = rewritten(tiny_bundle, tmp_path / "bundle")
    content = bytearray((folder / "graph.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "graph.onnx").write_bytes(content)
    with pytest.raises(BundleError, match="graph.onnx: damaged"):
        Predictor.load(folder)


def test_predicting_imports_none_of_the_pipelines_heavy_libraries(tiny_bundle, tmp_path):
    np.save(tmp_path / "signal.npy", CLIPS["low"])
    code = (
        "import sys, pathlib, numpy; from ser.predictor import Predictor;"
        "signal = numpy.load(sys.argv[2]); predictor = Predictor.load(pathlib.Path(sys.argv[1]));"
        "profile = predictor.profile([signal] * 3); predictor.predict(signal, profile); predictor.measure(signal);"
        "print(*{'tensorflow', 'keras', 'pandas', 'librosa', 'matplotlib', 'sklearn', 'mlflow'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, tiny_bundle, tmp_path / "signal.npy"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == ""
