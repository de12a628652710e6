"""A bundle holds all that a prediction needs and says what it rests on, the same bytes each time."""

import copy
import dataclasses
import hashlib
import json

import pytest

import ser.bundling
from ser.bundling import LIMITS, write_bundle
from ser.trained import TrainedModelError
from tests import tiny

FILES = ["bundle.json", "card.md", "graph.onnx", "history.csv", "model.keras", "params.json"]


@pytest.fixture
def quick(monkeypatch):
    """The export takes seconds; what it writes is looked at elsewhere."""
    monkeypatch.setattr(ser.bundling, "load_model", lambda folder: folder)
    monkeypatch.setattr(ser.bundling, "export_graph", lambda model, path: path.write_bytes(b"a graph"))


@pytest.fixture
def bundled(tiny_trained, tmp_path, quick):
    def make(metrics=tiny.METRICS, name="bundle", **changes):
        write_bundle(tiny_trained, metrics, dataclasses.replace(tiny.making(), **changes), tmp_path / name)
        return tmp_path / name

    return make


def description(folder):
    return json.loads((folder / "bundle.json").read_text())


def test_a_real_bundle_is_whole_and_its_hashes_are_true(tiny_bundle, tiny_trained):
    assert sorted(path.name for path in tiny_bundle.iterdir()) == FILES
    assert [path.name for path in tiny_bundle.parent.iterdir()] == ["hybrid"]
    files = description(tiny_bundle)["files"]
    assert sorted(files) == ["graph.onnx", "history.csv", "model.keras", "params.json"]
    for name, sha256 in files.items():
        assert hashlib.sha256((tiny_bundle / name).read_bytes()).hexdigest() == sha256
        if name != "graph.onnx":
            assert (tiny_bundle / name).read_bytes() == (tiny_trained / name).read_bytes()


def test_the_description_says_how_to_listen_and_what_to_believe(bundled):
    found = description(bundled())
    assert found["model"] == "hybrid" and found["emotions"] == list(tiny.EMOTIONS) and found["n_frames"] == tiny.N_FRAMES
    assert found["audio"] == {"sampling_rate_hz": 16000, "minimum_s": 0.2, "silence_peak": 0.0005}
    assert set(found["inputs"]) == {"spectrogram", "prosody"} and found["display_prosody"]["sampling_rate_hz"] == 16000
    assert found["calibration"] == tiny.METRICS["calibration"]
    assert found["split_sha256"] == "d" * 64 and found["synthetic"] is True
    assert found["licences"] == {"emodb": "free"} and found["limits"] == list(LIMITS)
    test = found["metrics"]["test"]
    assert test["per_corpus"] == {"emodb": tiny.SCORES}, "without the parts that are for the metrics file"
    assert test["mean_of_corpora"]["uar"] == 0.5 and test["enrolled"]["macro_over_corpora"]["uar"] == 0.625
    assert test["speakers_heard_in_training"] == 0 and found["metrics"]["validation"] == {"uar": 0.45}


def test_licences_are_those_of_the_corpora_heard(bundled):
    found = description(bundled(licences={"emodb": "free", "tess": "CC BY-NC-ND 4.0"}))
    assert found["licences"] == {"emodb": "free"}


@pytest.mark.parametrize("missing", ["validation", "enrolled"])
def test_without_validation_or_enrolment_there_is_a_bundle_all_the_same(bundled, missing):
    metrics = copy.deepcopy(tiny.METRICS)
    (metrics["test"] if missing == "enrolled" else metrics).pop(missing)
    figures = description(bundled(metrics))["metrics"]
    assert (figures["test"]["enrolled"] if missing == "enrolled" else figures["validation"]) == {}


def test_bundling_again_gives_the_same_bytes(bundled):
    once, again = bundled(name="once"), bundled(name="again")
    for name in FILES:
        assert (once / name).read_bytes() == (again / name).read_bytes(), name


def test_a_bundle_is_replaced_whole_or_not_at_all(bundled, monkeypatch, tiny_trained, tmp_path):
    folder = bundled()
    (folder / "left_over").touch()
    assert sorted(path.name for path in bundled().iterdir()) == FILES
    before = (folder / "bundle.json").read_bytes()

    def fail(path, content):
        raise OSError("no space left")

    monkeypatch.setattr(ser.bundling, "write_card", fail)
    with pytest.raises(OSError, match="no space left"):
        bundled(synthetic=False)
    assert (folder / "bundle.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_incomplete_training_is_named(tmp_path):
    with pytest.raises(TrainedModelError, match="model.json: missing or not JSON; run `dvc repro`"):
        write_bundle(tmp_path, tiny.METRICS, tiny.making(), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_model_that_reads_the_microphone_carries_the_warning_among_its_limits(bundled):
    shortcut = {"warning": "It reads the recording.", "probes": {"embedding": {"sex": {"uar": 0.9, "chance": 0.5}}}}
    folder = bundled(tiny.METRICS | {"shortcut": shortcut})
    assert description(folder)["limits"] == [*LIMITS, "It reads the recording."]
    assert "It reads the recording." in (folder / "card.md").read_text()
    assert description(bundled(tiny.METRICS | {"shortcut": shortcut | {"warning": ""}}))["limits"] == list(LIMITS)
