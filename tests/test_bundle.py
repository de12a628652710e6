"""Bundles are found by name, path or surroundings, and refused when they are not what they say."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ser.bundle
from ser.bundle import BundleError, find_bundle, known_bundles, read_bundle

FILES = {"graph.onnx": b"a graph", "model.keras": b"a network", "history.csv": b"epoch\n1\n"}


def write(folder, age_s=0, **changes):
    """A bundle of made-up files with true hashes; `changes` replace keys of its description, None drops one."""
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    description = {
        "format": "ser-bundle",
        "version": 1,
        "model": folder.name,
        "emotions": ["happy", "sad"],
        "inputs": {},
        "n_frames": 32,
        "audio": {},
        "calibration": {},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
        **changes,
    }
    path = folder / "bundle.json"
    path.write_text(json.dumps({key: value for key, value in description.items() if value is not None}))
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working folder without bundles, and a project elsewhere without bundles."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SER_MODEL", raising=False)
    monkeypatch.setattr(ser.bundle, "MODELS", tmp_path / "project/models")
    return tmp_path


def test_a_whole_bundle_is_read(tmp_path):
    assert read_bundle(write(tmp_path / "cnn"))["emotions"] == ["happy", "sad"]


def test_a_bundle_of_the_pipeline_is_read(tiny_bundle):
    assert read_bundle(tiny_bundle)["model"] == "hybrid"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "not a description of a ser-bundle; take a folder that `dvc repro` wrote"),
        ({"format": "mlflow"}, "not a description of a ser-bundle"),
        ({"version": 0}, "format 0, this program reads 1; make the bundle again with `dvc repro`"),
        ({"version": 2}, "format 2, this program reads 1; .* or use the version of ser that wrote it"),
        ({"version": None}, "format None, this program reads 1"),
        ({"emotions": None, "audio": None}, "lacks audio, emotions; copy the bundle again"),
        ({"files": None}, "lacks files"),
        ({"files": {}}, "lists no graph.onnx; copy the bundle again"),
        ({"files": []}, "lists no graph.onnx"),
        ({"files": {"model.keras": hashlib.sha256(b"a network").hexdigest()}}, "lists no graph.onnx"),
        (
            {"files": {"graph.onnx": "0" * 64}},
            "graph.onnx: damaged, its hash is not the one in bundle.json; copy the bundle again",
        ),
        ({"files": {"graph.onnx": 3}}, "graph.onnx: damaged"),
    ],
)
def test_a_foreign_older_or_incomplete_description_is_one_sentence(tmp_path, changes, message):
    with pytest.raises(BundleError, match=message):
        read_bundle(write(tmp_path / "cnn", **changes))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"null", b"\xff\xfe", b'{"format": "ser-bundle"', b"[" * 100_000])
def test_a_description_that_is_none_is_one_sentence(tmp_path, content):
    (write(tmp_path / "cnn") / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match="bundle.json: (cannot be read|not a description)"):
        read_bundle(tmp_path / "cnn")


def test_no_description_and_no_folder(tmp_path):
    with pytest.raises(BundleError, match="cnn: no bundle.json in it, so it is no model bundle; make one with `dvc repro`"):
        read_bundle(tmp_path / "cnn")


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", [lambda content: content + b"!", lambda content: content[:-1], lambda content: b""])
def test_any_damaged_file_is_found(tmp_path, name, damage):
    path = write(tmp_path / "cnn") / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BundleError, match=f"{name}: damaged, its hash is not the one in bundle.json"):
        read_bundle(tmp_path / "cnn")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_missing_file_is_named(tmp_path, name):
    (write(tmp_path / "cnn") / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing from the bundle; copy the bundle again"):
        read_bundle(tmp_path / "cnn")


@pytest.mark.parametrize("name", ["../secret", "sub/secret", "{folder}/secret", "..", ".", "", "../cnn/graph.onnx"])
def test_names_that_lead_out_of_the_folder_are_not_opened(tmp_path, name):
    (tmp_path / "secret").write_bytes(b"a secret")
    files = {"graph.onnx": hashlib.sha256(b"a graph").hexdigest()}
    files[name.format(folder=tmp_path)] = hashlib.sha256(b"a secret").hexdigest()
    with pytest.raises(BundleError, match="is not a plain file name; the bundle was tampered with"):
        read_bundle(write(tmp_path / "cnn", files=files))


def test_the_released_model_comes_before_the_newest(here):
    old, new = write(here / "models/old", age_s=900), write(here / "models/new", age_s=60)
    assert find_bundle().resolve() == new
    released = write(here / "models/released", age_s=9000)
    assert find_bundle().resolve() == released
    assert [folder.resolve() for folder in known_bundles()] == [released, new, old]


def test_bundles_of_the_working_folder_and_of_the_project_are_known(here):
    write(here / "project/models/ours", age_s=5)
    write(here / "models/mine", age_s=50)
    (here / "models/empty").mkdir()
    assert [folder.name for folder in known_bundles()] == ["ours", "mine"]
    assert find_bundle("ours").resolve() == here / "project/models/ours"


def test_a_folder_known_twice_is_listed_once(here, monkeypatch):
    write(here / "models/cnn")
    monkeypatch.setattr(ser.bundle, "MODELS", here / "models")
    assert len(known_bundles()) == 1


def test_the_environment_names_a_model_and_an_argument_overrules_it(here, monkeypatch):
    for name in ("cnn", "hybrid", "released"):
        write(here / "models" / name)
    elsewhere = write(here / "elsewhere/mine")
    monkeypatch.setenv("SER_MODEL", "cnn")
    assert find_bundle().resolve() == here / "models/cnn"
    assert find_bundle("hybrid").resolve() == here / "models/hybrid"
    assert find_bundle(str(elsewhere)) == elsewhere
    monkeypatch.setenv("SER_MODEL", str(elsewhere))
    assert find_bundle() == elsewhere
    monkeypatch.setenv("SER_MODEL", "")
    assert find_bundle().name == "released"


def test_what_is_not_there_is_said_with_the_way_out(here, monkeypatch):
    with pytest.raises(BundleError, match="no model in models/: run `make repro` .* or name one with --model"):
        find_bundle()
    with pytest.raises(BundleError, match=r"no model 'svm': .* or one of models/ \(none yet\)"):
        find_bundle("svm")
    write(here / "models/cnn")
    with pytest.raises(BundleError, match=r"no model 'svm': give a folder with a bundle.json, or one of models/ \(cnn\)"):
        find_bundle("svm")
    monkeypatch.setenv("SER_MODEL", "gone")
    with pytest.raises(BundleError, match="no model 'gone'"):
        find_bundle()


@pytest.mark.parametrize("name", ["\0", "x" * 5000, "a/\0/b"])
def test_names_that_no_file_can_have_are_unknown_models(here, name):
    with pytest.raises(BundleError, match="no model "):
        find_bundle(name)


def test_reading_needs_the_standard_library_alone():
    code = "import sys, ser.bundle; sys.exit(bool({'numpy', 'keras', 'onnxruntime'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1], check=True)
