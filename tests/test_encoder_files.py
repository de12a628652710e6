"""Where an encoder is looked for, which of its files count, and what is refused before anything is loaded."""

import shutil
import sys
from types import SimpleNamespace

import pytest

from ser.encoder_files import EncoderError, content_hash, fetch, find
from tests.tiny_encoder import write_onnx

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_folder(folder, **more):
    """A folder as `save_pretrained` leaves it, by name; the contents do not matter here."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {"config.json": "{}", "preprocessor_config.json": "{}", "model.safetensors": "weights"} | more
    for name, content in files.items():
        if content is not None:
            (folder / name).write_text(content)
    return folder


class Hub:
    """Stands for huggingface_hub: a repository, and whether it is on this machine already."""

    def __init__(self, folder, here=False):
        self.folder, self.here, self.asked = folder, here, []

    def snapshot_download(self, name, *, revision, allow_patterns, local_files_only):
        self.asked.append((name, revision, tuple(allow_patterns), local_files_only))
        if revision != COMMIT:
            raise KeyError(f"no {revision}\nand a long story")
        if local_files_only and not self.here:
            raise FileNotFoundError("not in the cache")
        self.here = True
        return str(self.folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    found = Hub(write_folder(tmp_path / "snapshot"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=found.snapshot_download))
    return found


def test_only_weights_without_code_and_their_settings_count(tmp_path):
    parts = {"model-00001-of-00002.safetensors": "a", "model-00002-of-00002.safetensors": "b"}
    never = {"pytorch_model.bin": "x", "modeling.py": "x", "adapter_config.json": "{}", "model.fp32.safetensors": "x"}
    folder = write_folder(tmp_path / "encoder", **parts, **never)
    files = find(str(folder), None)
    assert set(files) == {"config.json", "preprocessor_config.json", "model.safetensors", *parts}
    before = content_hash(files)
    (folder / "pytorch_model.bin").write_text("another")
    assert content_hash(find(str(folder), None)) == before


def test_the_hash_is_of_the_content_wherever_it_lies_and_whatever_the_file_is_called(tmp_path):
    one, two = write_onnx(tmp_path / "a/wavlm.onnx"), write_onnx(tmp_path / "b/model.onnx")
    assert content_hash(find(str(one), None)) == content_hash(find(str(two), None))
    assert content_hash(find(str(write_onnx(tmp_path / "c.onnx", seed=1)), None)) != content_hash(find(str(one), None))
    before = content_hash(find(str(two), None))
    two.with_name("preprocessor_config.json").write_text('{"do_normalize": true}')
    assert content_hash(find(str(two), None)) != before, "it changes what the encoder hears"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_changed_file_is_seen(tmp_path, name):
    folder = write_folder(tmp_path / "encoder")
    before = content_hash(find(str(folder), None))
    (folder / name).write_text("changed")
    assert content_hash(find(str(folder), None)) != before


@pytest.mark.parametrize(
    ("missing", "sentence"),
    [
        ("config.json", "encoder: no config.json in it, so it is no Hugging Face encoder"),
        ("model.safetensors", r"encoder: no model.safetensors in it; weights in a pickle \(pytorch_model.bin\) are never loaded"),
    ],
)
def test_a_folder_without_what_is_needed_is_refused(tmp_path, missing, sentence):
    folder = write_folder(tmp_path / "encoder", **{missing: None, "pytorch_model.bin": "a pickle"})
    with pytest.raises(EncoderError, match=sentence):
        find(str(folder), None)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.onnx", "facebook/wav2vec2-base-960h"])
def test_a_source_that_is_not_there_is_refused_with_the_way_out(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        EncoderError, match="no such folder or .onnx file; take another source, and with a name on the .* hub its revision"
    ):
        fetch(source, None)


def test_the_hub_is_asked_in_one_place_for_safe_files_alone(hub, caplog):
    caplog.set_level("INFO")
    with pytest.raises(EncoderError, match=f"org/name at {COMMIT}: not on this machine; fetch it with `hf download org/name"):
        find("org/name", COMMIT)
    files = fetch("org/name", COMMIT)
    assert "fetched from the Hugging Face hub" in caplog.text and set(files) == set(find("org/name", COMMIT))
    assert [local for *_, local in hub.asked] == [True, False, True]
    assert not [pattern for *_, patterns, _ in hub.asked for pattern in patterns if pattern.endswith((".bin", ".py", ".pt"))]


def test_a_failed_download_is_one_sentence(hub):
    with pytest.raises(EncoderError, match=r"org/name at main: cannot be fetched \(KeyError: 'no main\\nand a long story'\)"):
        fetch("org/name", "main")


def test_without_the_hubs_library_the_way_out_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EncoderError, match=r"org/name is on the Hugging Face hub, .* pip install 'ser\[pretrained\]'"):
        fetch("org/name", COMMIT)


def test_the_environment_may_say_where_it_is_on_this_machine(hub, tmp_path, monkeypatch):
    elsewhere = shutil.copytree(hub.folder, tmp_path / "elsewhere")
    monkeypatch.setenv("SER_ENCODER", str(elsewhere))
    assert find("org/name", COMMIT)["config.json"].parent == elsewhere and not hub.asked
    assert fetch("org/name", COMMIT)["config.json"].parent == hub.folder, "what the parameters name is looked at as named"
    monkeypatch.setenv("SER_ENCODER", str(tmp_path / "nowhere"))
    with pytest.raises(EncoderError, match="nowhere: no such folder or .onnx file; SER_ENCODER says so"):
        find("org/name", COMMIT)


def test_the_real_library_finds_what_its_cache_holds(tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    repository = cache / "models--org--name"
    write_folder(repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    download = hub.snapshot_download
    monkeypatch.setattr(hub, "snapshot_download", lambda *a, **k: download(*a, cache_dir=cache, **k))
    for revision in (COMMIT, "main"):
        assert set(find("org/name", revision)) == {"config.json", "preprocessor_config.json", "model.safetensors"}
    with pytest.raises(EncoderError, match="not on this machine"):
        find("org/other", COMMIT)
    with pytest.raises(EncoderError, match="cannot be fetched"):
        fetch("org/other", COMMIT)
    with pytest.raises(EncoderError, match=r"cannot be fetched \(HFValidationError"):
        fetch("../../name", COMMIT)
