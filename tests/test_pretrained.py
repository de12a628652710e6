"""Embeddings of a pretrained encoder: what a row holds, that its encoder is known by its content, and what serves it."""

import os
import pickle
import shutil
import sys
from dataclasses import asdict, replace
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import soxr

from ser import pretrained
from ser.architectures import load_architecture
from ser.arrays import Arrays, write_arrays
from ser.audio import to_float, to_int16
from ser.batches import BatchParams
from ser.bundle import BundleError
from ser.bundling import write_bundle
from ser.card import card_lines
from ser.encoder_files import EncoderError
from ser.encoders import load_encoder
from ser.features import Clip
from ser.files import write_csv
from ser.inference import Scorer
from ser.params import load_params
from ser.predictor import Predictor
from ser.pretrained import Pretrained
from ser.trainer import Trainer
from ser.training import TrainParams
from tests import tiny
from tests.tiny_encoder import WIDTH, write_onnx, write_wav2vec2

RATE_HZ = 16000
CLIP = tiny.speech(0.8)
LAYERS = ("hidden_states.0", "hidden_states.1")


@pytest.fixture(autouse=True)
def nothing_kept():
    """No test finds the encoder of another in memory."""
    pretrained._loaded.cache_clear()


@pytest.fixture
def onnx_file(tmp_path):
    return write_onnx(tmp_path / "encoder" / "model.onnx", outputs=LAYERS)


def front_end(source, **settings):
    settings = {"revision": None, "layer": None, "pooling": ("mean", "sd"), "maximum_s": 20.0} | settings
    return Pretrained(str(source), sampling_rate_hz=RATE_HZ, **settings).pinned()


def frames_of(path, signal):
    return load_encoder({"model.onnx": path}, RATE_HZ, 20.0)(signal)


def test_a_row_is_mean_and_deviation_of_the_layers_mean(onnx_file):
    frames = np.mean(frames_of(onnx_file, CLIP), axis=0)
    found = front_end(onnx_file)(CLIP, RATE_HZ)
    assert found.shape == (1, 2 * WIDTH) and found.dtype == np.float32
    np.testing.assert_allclose(found[0], [*frames.mean(axis=0), *frames.std(axis=0)], atol=1e-5)
    assert np.array_equal(front_end(onnx_file, pooling=("sd",))(CLIP, RATE_HZ)[0], found[0, WIDTH:])


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_one_layer_may_be_chosen(onnx_file, layer):
    expected = frames_of(onnx_file, CLIP)[layer].mean(axis=0)
    np.testing.assert_allclose(front_end(onnx_file, layer=layer, pooling=("mean",))(CLIP, RATE_HZ)[0], expected, atol=1e-5)


@pytest.mark.parametrize("layer", [2, -3])
def test_a_layer_that_is_none_is_one_sentence(onnx_file, layer):
    with pytest.raises(EncoderError, match=f"model.onnx: has layers 0 to 1; layer {layer} is none of them"):
        front_end(onnx_file, layer=layer)


def test_a_long_clip_is_heard_in_equal_parts_and_all_its_frames_count_alike(onnx_file, monkeypatch):
    whole, cut = front_end(onnx_file), front_end(onnx_file, maximum_s=1.0)
    heard = []

    def listening(front_end):
        encoder = load_encoder({"model.onnx": onnx_file}, RATE_HZ, 20.0)
        return lambda part: heard.append(len(part)) or encoder(part)

    monkeypatch.setattr(pretrained, "_loaded", listening)
    long = tiny.speech(3.3)
    row = cut(long, RATE_HZ)
    assert heard == [13200] * 4
    frames = np.concatenate([np.mean(frames_of(onnx_file, part), axis=0) for part in np.split(long, 4)])
    np.testing.assert_allclose(row[0], [*frames.mean(axis=0), *frames.std(axis=0)], atol=1e-5)
    np.testing.assert_allclose(row, whole(long, RATE_HZ), atol=0.05)


def test_another_rate_is_resampled_first(onnx_file):
    found = front_end(onnx_file)
    expected = found(soxr.resample(CLIP, 8000, RATE_HZ, quality="VHQ"), RATE_HZ)
    assert np.array_equal(found(CLIP, 8000), expected)


def test_columns_have_names_and_settings_come_back(onnx_file):
    found = front_end(onnx_file)
    assert found.names[0] == "encoder_0_mean" and found.names[-1] == f"encoder_{WIDTH - 1}_sd"
    assert len(set(found.names)) == 2 * WIDTH == found(CLIP, RATE_HZ).shape[1]
    assert Pretrained.from_fields(found.recipe["fields"]) == found and len(found.sha256) == 64


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"pooling": ()}, "pooling must name"),
        ({"pooling": ("max",)}, "mean, sd or both"),
        ({"source": ""}, "source must name"),
        ({"maximum_s": 0.5}, "less than a second"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, sentence):
    with pytest.raises(EncoderError, match=sentence):
        replace(load_params("pretrained", Pretrained, tiny.PARAMS), **change)


def test_the_projects_own_section_names_a_commit_of_the_hub():
    found = load_params("pretrained", Pretrained, tiny.PARAMS)
    assert len(found.revision) == 40 and not found.sha256 and found.names == ()


def test_layers_of_different_widths_have_no_mean(onnx_file, monkeypatch):
    different = [np.zeros((3, 4), np.float32), np.zeros((3, 5), np.float32)]
    monkeypatch.setattr(pretrained, "load_encoder", lambda *_: lambda signal: different)
    with pytest.raises(EncoderError, match="its layers differ in shape, so that they have no mean"):
        front_end(onnx_file)


def test_an_encoder_that_changed_is_refused_and_one_that_moved_is_found(onnx_file, tmp_path, monkeypatch):
    found = front_end(onnx_file)
    row = found(CLIP, RATE_HZ)
    elsewhere = tmp_path / "elsewhere.onnx"
    shutil.move(onnx_file, elsewhere)
    pretrained._loaded.cache_clear()
    fresh = Pretrained.from_fields(found.recipe["fields"])
    with pytest.raises(EncoderError, match="no such folder or .onnx file"):
        fresh.load()
    monkeypatch.setenv("SER_ENCODER", str(elsewhere))
    assert np.array_equal(fresh(CLIP, RATE_HZ), row)
    write_onnx(elsewhere, seed=5, outputs=LAYERS)
    pretrained._loaded.cache_clear()
    with pytest.raises(EncoderError, match=f"not the encoder that was used before .*not {found.sha256[:12]}"):
        Pretrained.from_fields(found.recipe["fields"]).load()


def test_a_hash_in_the_parameters_is_held_to(onnx_file):
    good = front_end(onnx_file)
    assert front_end(onnx_file, sha256=good.sha256) == good
    with pytest.raises(EncoderError, match=f"its sha256 is {good.sha256}, params.yaml says 00"):
        front_end(onnx_file, sha256="00")


def test_a_worker_gets_settings_and_keeps_its_encoder(onnx_file, monkeypatch):
    found = front_end(onnx_file)
    found.load()
    assert set(pickle.loads(pickle.dumps(found)).__dict__) == set(asdict(found))
    loads = []
    monkeypatch.setattr(pretrained, "load_encoder", lambda *_: loads.append(1) or (lambda signal: [np.zeros((2, WIDTH))]))
    pretrained._loaded.cache_clear()
    for _ in range(3):  # as with each few clips
        pickle.loads(pickle.dumps(found))(CLIP, RATE_HZ)
    assert len(loads) == 1


def test_the_stages_write_the_row_of_every_stored_clip(onnx_file, tmp_path, monkeypatch):
    import stages.encoder
    import stages.pretrained

    params = {"source": str(onnx_file), "revision": None, "layer": None, "pooling": ["mean"], "sampling_rate_hz": RATE_HZ}
    (tmp_path / "params.yaml").write_text(f"mine: {params | {'maximum_s': 5}}".replace("None", "null"))
    clips = {"a": tiny.speech(0.3), "b": tiny.speech(0.5, seed=1)}
    items = [(name, to_int16(clip)) for name, clip in clips.items()]
    write_arrays(tmp_path / "audio", items, dtype="int16", recipe={"sampling_rate_hz": RATE_HZ})
    monkeypatch.setenv("SER_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setenv("SER_WORKERS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tiny.PARAMS.parent), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(sys, "argv", ["encoder", "mine", str(tmp_path / "mine.json")])
    stages.encoder.main()
    monkeypatch.setattr(sys, "argv", ["pretrained", *(str(tmp_path / name) for name in ("mine.json", "audio", "out"))])
    stages.pretrained.main()
    store = Arrays(tmp_path / "out")
    assert store.ids == ["a", "b"] and store["a"].shape == (1, WIDTH) and len(store.recipe["columns"]) == WIDTH
    again = Pretrained.from_fields(store.recipe["fields"])
    assert np.array_equal(again(to_float(to_int16(clips["b"])), RATE_HZ), store["b"])
    written = (tmp_path / "mine.json").read_bytes()
    monkeypatch.setattr(sys, "argv", ["encoder", "mine", str(tmp_path / "mine.json")])
    stages.encoder.main()
    assert (tmp_path / "mine.json").read_bytes() == written


def test_a_real_encoder_gives_the_same_row_in_another_copy(tmp_path):
    for name in ("torch", "transformers"):
        pytest.importorskip(name)
    folder = write_wav2vec2(tmp_path / "wav2vec2")
    found = front_end(folder)
    row = found(CLIP, RATE_HZ)
    assert row.shape == (1, 16) and np.isfinite(row).all() and np.ptp(row) > 0
    assert np.array_equal(front_end(shutil.copytree(folder, tmp_path / "copy"))(CLIP, RATE_HZ), row)
    parts = front_end(folder, maximum_s=1.0)
    assert parts(tiny.speech(2.5), RATE_HZ).shape == (1, 16)
    with pytest.raises(EncoderError, match="has layers 0 to 2"):
        front_end(folder, layer=3)


EMOTIONS = ("neutral", "happy", "sad")


@pytest.fixture
def trained(onnx_file, tmp_path, monkeypatch):
    """A probe trained for an epoch on the embeddings of a few voices, those of speaker c and d being real clips' own."""
    monkeypatch.setattr("ser.trainer.LiveRun", SimpleNamespace(start=lambda *_: SimpleNamespace(log=print, finish=print)))
    found, random = front_end(onnx_file), np.random.default_rng(1)
    rows = pd.DataFrame(
        {"id": f"{speaker}_{emotion}", "corpus": "emodb", "speaker": speaker, "emotion": emotion, "split": split}
        for split, speakers in (("train", "ab"), ("validation", "c"), ("test", "d"))
        for speaker in speakers
        for emotion in EMOTIONS
    )
    write_csv(tmp_path / "cleaned.csv", rows)
    own = {emotion: found(signal(emotion), RATE_HZ) for emotion in EMOTIONS}
    near = {row.id: own[row.emotion] * (1 if row.speaker in "cd" else random.normal(1, 0.1)) for row in rows.itertuples()}
    for variant, copy in (("clean", ""), ("augmented", "#1")):
        items = [(name + copy, values) for name, values in near.items() if not copy or name[0] in "ab"]
        where = tmp_path / "features/pretrained" / variant / "emodb"
        write_arrays(where, items, dtype="float32", recipe=found.recipe, columns=found.names)
    training = TrainParams(
        seed=1, epochs=1, patience=1, learning_rate=0.01, weight_decay=0.0, warmup_share=0.0, label_smoothing=0.0, average=0.0,
        precision="float32", optimizer="adam", schedule="plateau",
    )  # fmt: skip
    architecture = load_architecture("pretrained_probe")
    sizes = architecture.Params(units=4, dropout=0.1)
    batches = BatchParams(batch_size=3, augmented_share=0.2, corpus_balance=0.0, emotion_balance=1.0)
    keras.backend.clear_session()
    trainer = Trainer("pretrained_probe", architecture, sizes, training, batches, EMOTIONS)
    trainer.run(tmp_path / "cleaned.csv", tmp_path / "features", tmp_path / "trained/pretrained_probe", tmp_path / "resume")
    return tmp_path / "trained/pretrained_probe"


def signal(emotion):
    number = EMOTIONS.index(emotion)
    return tiny.speech(0.5, 110 + 60 * number, number)


@pytest.mark.slow
def test_a_bundle_holds_no_encoder_and_answers_as_the_pipeline_while_it_is_there(trained, onnx_file, tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    write_bundle(trained, tiny.METRICS, tiny.making(), bundle)
    assert not {path.name for path in bundle.iterdir()} - {
        "bundle.json", "card.md", "graph.onnx", "history.csv", "model.keras", "params.json"
    }  # fmt: skip
    predictor = Predictor.load(bundle)
    scorer = Scorer(trained, tmp_path / "features")
    for emotion in EMOTIONS:
        (expected,) = scorer.probabilities([Clip(f"d_{emotion}", "emodb")])
        found = predictor.predict(signal(emotion))
        np.testing.assert_allclose(found.probabilities, predictor.calibration(expected), atol=1e-5)
    assert f"encoder `{onnx_file}`" in "\n".join(card_lines(predictor.description))

    pretrained._loaded.cache_clear()
    away = onnx_file.rename(tmp_path / "away.onnx")
    with pytest.raises(BundleError, match="model 'pretrained_probe' needs a pretrained encoder. .*no such folder or .onnx file"):
        Predictor.load(bundle)
    monkeypatch.setenv("SER_ENCODER", str(away))
    again = Predictor.load(bundle).predict(signal("sad"))
    assert np.array_equal(again.probabilities, predictor.predict(signal("sad")).probabilities)
    pretrained._loaded.cache_clear()
    write_onnx(away, seed=9, outputs=LAYERS)
    with pytest.raises(BundleError, match="needs a pretrained encoder. .*not the encoder that was used before"):
        Predictor.load(bundle)


def test_the_probe_builds_at_the_projects_sizes():
    sizes = load_params("models.pretrained_probe.architecture", load_architecture("pretrained_probe").Params, tiny.PARAMS)
    load_params("models.pretrained_probe.training", TrainParams, tiny.PARAMS)
    load_params("models.pretrained_probe.batches", BatchParams, tiny.PARAMS)
    model = load_architecture("pretrained_probe").build({"pretrained": (1536,)}, 7, sizes)
    assert model.output_shape == (None, 7) and model.get_layer("embedding") is not None
