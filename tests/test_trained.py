"""Trained networks on disk: equal models are equal bytes, and a damaged archive is one sentence."""

import io
import json
import re
import zipfile

import keras
import numpy as np
import pytest

from ser.layers import Standardization
from ser.trained import TrainedModelError, load_description, load_model, save_model


def build():
    """As in a process of its own: Keras counts the layers of a process into their names."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    prosody = keras.Input((3,), name="prosody")
    hidden = keras.layers.Dense(4)(Standardization()(prosody))  # two layers, to share what Keras names by memory address
    return keras.Model(prosody, keras.layers.Dense(2)(hidden))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "model.keras"
    save_model(build(), path)
    return path


def test_equal_models_are_equal_bytes_without_dates_or_addresses(archive, tmp_path):
    first, second = build(), build()
    save_model(second, tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() == archive.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    with zipfile.ZipFile(archive) as file:
        shared = {int(number) for number in re.findall(rb'"shared_object_id": (\d+)', file.read("config.json"))}
        assert shared == set(range(len(shared))) != set(), "counted, where Keras writes memory addresses"
        assert {entry.date_time for entry in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert set(json.loads(file.read("metadata.json"))) == {"keras_version"}
    first.layers[1].set_statistics(np.ones(3), np.ones(3))
    save_model(first, tmp_path / "model.keras")
    assert (tmp_path / "model.keras").read_bytes() != archive.read_bytes()


def test_keras_itself_reads_the_archive(archive):
    x = np.array([[1.0, np.nan, 3.0]], np.float32)
    answer = keras.saving.load_model(archive).predict_on_batch(x)
    assert np.array_equal(answer, load_model(archive.parent).predict_on_batch(x))


def rezipped(content, **changes):
    """The archive with members replaced, or dropped where None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            member = changes.get(name.partition(".")[0], lambda x: x)(source.read(name))
            if member is not None:
                target.writestr(name, member)
    return out.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no archive at all" * 100,
        lambda content: content[: len(content) // 2],
        lambda content: content[:-30],
        lambda content: content[:400] + bytes([content[400] ^ 255]) + content[401:],
        lambda content: content.replace(b"\x89HDF", b"\x00HDF"),
        lambda content: rezipped(content, config=lambda x: None),
        lambda content: rezipped(content, config=lambda x: x[:-9]),
        lambda content: rezipped(content, config=lambda x: b"{}"),
        lambda content: rezipped(content, config=lambda x: x.replace(b"Standardization", b"Renamed")),
        lambda content: rezipped(content, model=lambda x: None),
        lambda content: rezipped(content, model=lambda x: x[:600]),
        lambda content: rezipped(content, config=lambda x: x.replace(b'"units": 2', b'"units": 3')),
    ],
)
def test_a_damaged_archive_is_one_sentence(archive, tmp_path, damage):
    content = damage(archive.read_bytes())
    assert content != archive.read_bytes()
    (tmp_path / "model.keras").write_bytes(content)
    with pytest.raises(TrainedModelError, match=r"model.keras: no readable Keras archive \(\w+\); run `dvc repro`"):
        load_model(tmp_path)


def test_an_archive_with_code_in_it_is_not_run(tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(TrainedModelError):
        load_model(tmp_path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(TrainedModelError, match="model.keras: no readable Keras archive"):
        load_model(tmp_path)
    with pytest.raises(TrainedModelError, match="model.json: missing or not JSON; run `dvc repro`"):
        load_description(tmp_path)
    (tmp_path / "model.json").write_text('{"emotions": [')
    with pytest.raises(TrainedModelError, match="model.json: missing or not JSON"):
        load_description(tmp_path)
    (tmp_path / "model.json").write_text('{"emotions": ["happy"]}')
    assert load_description(tmp_path) == {"emotions": ["happy"]}
