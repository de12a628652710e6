"""The models of published systems: trained, stored, exported and served, and nothing in them learned from clips held out."""

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import onnxruntime
import pandas as pd
import pytest
import tensorflow
import yaml

from ser.architectures import load_architecture
from ser.arrays import Arrays, write_arrays
from ser.batches import BatchParams
from ser.bundle import BundleError
from ser.bundling import write_bundle
from ser.classical import FitError, FitParams
from ser.descriptors import Descriptors
from ser.export import export_graph
from ser.features import Clip, Features
from ser.files import write_csv
from ser.inference import Scorer
from ser.params import load_params
from ser.predictor import Predictor
from ser.trained import TrainedModelError, load_description, load_model
from ser.trainer import Trainer
from ser.training import TrainParams
from tests import tiny

pytestmark = pytest.mark.slow  # every graph takes seconds to make

EMOTIONS = ("neutral", "happy", "sad")
SIZES = {
    "dnn_pca": {"variance": 0.95, "units": (8, 4), "dropout": 0.1},
    "ann_select": {"n_columns": 20, "trees": 10, "units": (8, 4), "dropout": (0.1, 0.1)},
    "cnn_lstm": {"filters": (4, 4), "kernels": (5, 3), "lstm_units": 3, "lstm_layers": 2, "dense": 4, "dropout": 0.1},
    "conv1d": {"filters": (4, 4), "kernel": 5, "pool": 5, "dense": 4, "dropout": 0.1},
    "lstm": {"units": 3, "n_layers": 2, "dropout": 0.1},
    "gru": {"units": 3, "n_layers": 2, "dropout": 0.1},
    "rnn": {"units": 3, "n_layers": 2, "dropout": 0.1},
    "cnn1d": {"filters": (4, 4), "kernel": 5, "dense": 4, "dropout": 0.1},
    "random_forest": {"trees": 5},
    "svm": {"c": 10.0},
    "knn": {"neighbours": 3},
}
CLASSICAL = {"random_forest", "svm", "knn"}
KINDS = ("r0", "r2", "r2_mfcc", "r2_mfcc_mean", "r3", "r4")
N_FRAMES = 12  # the clips have eleven
TAKES = 5
each_model = pytest.mark.parametrize("name", SIZES)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No MLflow, and no graph for a few steps."""
    live = SimpleNamespace(log=lambda *_: None, finish=lambda _: None)
    monkeypatch.setattr("ser.trainer.LiveRun", SimpleNamespace(start=lambda *_: live))
    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


def front_end(kind):
    found = load_params(kind, Descriptors, tiny.PARAMS)
    return replace(found, n_frames=N_FRAMES) if found.n_frames else found


def signal(emotion):
    number = EMOTIONS.index(emotion)
    return tiny.speech(0.25, 110 + 60 * number, number)


@pytest.fixture(scope="module")
def rows():
    speakers = {"train": "ab", "validation": "c", "test": "d"}
    return pd.DataFrame(
        {"id": f"{speaker}_{emotion}_{take}", "corpus": "emodb", "speaker": speaker, "emotion": emotion, "split": split}
        for split, names in speakers.items()
        for speaker in names
        for emotion in EMOTIONS
        for take in range(TAKES)
    )


@pytest.fixture(scope="module")
def project(rows, tmp_path_factory):
    """Stored features of one clip an emotion, its other takes and copies somewhat off; those of speaker d are the clip's own."""
    folder = tmp_path_factory.mktemp("project")
    write_csv(folder / "cleaned.csv", rows)
    random = np.random.default_rng(1)
    for kind in KINDS:
        own = {emotion: front_end(kind)(signal(emotion), tiny.RATE_HZ) for emotion in EMOTIONS}
        spread = np.nanstd(np.stack(list(own.values())), axis=0)

        def near(row, own=own, spread=spread):
            values = own[row.emotion]
            return values if row.speaker == "d" else values + spread * random.normal(0, 0.5, values.shape)

        clean = [(row.id, near(row)) for row in rows.itertuples()]
        copies = [(f"{row.id}#1", near(row)) for row in rows[rows["split"] == "train"].itertuples()]
        for variant, items in (("clean", clean), ("augmented", copies)):
            where = folder / "features" / kind / variant / "emodb"
            write_arrays(where, items, dtype="float32", recipe=front_end(kind).recipe, columns=front_end(kind).names)
    return folder


def train(project, name, out, *, emotions=EMOTIONS, features=None, **settings):
    keras.backend.clear_session()
    architecture = load_architecture(name)
    training = TrainParams(
        seed=1, epochs=1, patience=1, learning_rate=0.01, weight_decay=0.0, warmup_share=0.0, label_smoothing=0.0, average=0.0,
        precision="float32", optimizer="rmsprop" if name == "dnn_pca" else "adam", schedule="plateau",
    )  # fmt: skip
    trainer = Trainer(
        name, architecture, architecture.Params(**{**SIZES[name], **settings}),
        FitParams(seed=1, epochs=1) if name in CLASSICAL else training,
        BatchParams(batch_size=5, augmented_share=0.2, corpus_balance=0.0, emotion_balance=1.0), emotions,
    )  # fmt: skip
    trainer.run(project / "cleaned.csv", features or project / "features", out / name, out / "resume")
    return out / name


@pytest.fixture(scope="module")
def trained(project, tmp_path_factory):
    """Folder of each model, trained when first asked for."""
    out = tmp_path_factory.mktemp("trained")

    def folder(name):
        return out / name if (out / name).exists() else train(project, name, out)

    return folder


def stored(project, rows, kind):
    features = Features(project / "features")
    return np.stack([features.get(kind, Clip(row.id, row.corpus)) for row in rows.itertuples()])


def test_there_is_a_case_for_every_model_of_a_published_system():
    assert set(yaml.safe_load(tiny.PARAMS.read_text())["models"]) == set(SIZES) | {"cnn", "prosody", "hybrid", "pretrained_probe"}


@each_model
def test_a_model_is_trained_stored_exported_and_answers_alike_everywhere(project, trained, rows, name, tmp_path):
    folder = trained(name)
    model = load_model(folder)
    (kind,) = load_architecture(name).INPUTS
    assert [tensor.name for tensor in model.inputs] == [kind]
    assert load_description(folder)["n_parameters"] == model.count_params() > 0
    assert len(pd.read_csv(folder / "history.csv")) == 1
    expected = np.asarray(model.predict_on_batch({kind: stored(project, rows, kind)}))
    assert expected.shape == (len(rows), 3)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0, rtol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01, "one answer to everything would show nothing"
    clips = [Clip(row.id, row.corpus) for row in rows.itertuples()]
    np.testing.assert_allclose(Scorer(folder, project / "features").probabilities(clips), expected, atol=1e-5)
    export_graph(model, tmp_path / "graph.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["emotion"], {kind: stored(project, rows, kind)})
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["dnn_pca", "gru", "svm", "knn"])
def test_training_and_exporting_again_give_the_same_bytes(project, trained, name, tmp_path):
    once, again = trained(name), train(project, name, tmp_path)
    for path in sorted(once.iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    graphs = []
    for folder in (once, again):
        export_graph(load_model(folder), tmp_path / "graph.onnx")
        graphs.append((tmp_path / "graph.onnx").read_bytes())
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("name", ["ann_select", "rnn", "conv1d", "random_forest"])
def test_a_bundle_answers_a_signal_as_the_pipeline_answers_its_stored_features(project, trained, name, tmp_path):
    folder = trained(name)
    write_bundle(folder, tiny.METRICS, tiny.making(), tmp_path / name)
    files = {path.name for path in (tmp_path / name).iterdir()}
    assert files - {"model.keras"} == {"bundle.json", "card.md", "graph.onnx", "history.csv", "params.json"}
    assert ("model.keras" in files) == (name != "random_forest")
    predictor = Predictor.load(tmp_path / name)
    scorer = Scorer(folder, project / "features")
    (kind,) = load_architecture(name).INPUTS
    for emotion in EMOTIONS:
        (expected,) = scorer.probabilities([Clip(f"d_{emotion}_0", "emodb")])
        found = predictor.predict(signal(emotion))
        np.testing.assert_allclose(found.probabilities, predictor.calibration(expected), atol=1e-5)
        (values,) = predictor.features(signal(emotion))[kind]
        kept = Features(project / "features").get(kind, Clip(f"d_{emotion}_0", "emodb"))
        assert np.array_equal(values, kept, equal_nan=True)


def test_without_librosa_such_a_bundle_is_refused_with_the_way_out(trained, tmp_path, monkeypatch):
    write_bundle(trained("knn"), tiny.METRICS, tiny.making(), tmp_path / "knn")
    monkeypatch.setattr("ser.predictor.find_spec", lambda name: None)
    with pytest.raises(BundleError, match=r"model 'knn' measures with librosa, which is not here; pip install 'ser\[pipeline\]'"):
        Predictor.load(tmp_path / "knn")


@pytest.mark.parametrize("name", ["dnn_pca", "ann_select", "cnn_lstm", "cnn1d", "random_forest", "svm", "knn"])
def test_nothing_is_learned_from_clips_held_out(project, trained, rows, name, tmp_path):
    """Other values of the clips held out change no weight; other values of a training clip do."""
    (kind,) = load_architecture(name).INPUTS

    def answers(folder):
        return np.asarray(load_model(folder).predict_on_batch({kind: stored(project, rows, kind)}))

    def changed(split, out):
        ids = set(rows.loc[rows["split"].isin(split), "id"])
        store = Arrays(project / "features" / kind / "clean" / "emodb")
        for variant in ("clean", "augmented"):
            source = Arrays(project / "features" / kind / variant / "emodb")
            items = [(one, source[one] * 3 + 1 if one in ids else source[one]) for one in source.ids]
            write_arrays(out / "features" / kind / variant / "emodb", items, dtype="float32", recipe=store.recipe)
        return train(project, name, out, features=out / "features")

    before = answers(trained(name))
    assert np.array_equal(answers(changed(["validation", "test"], tmp_path / "held_out")), before)
    assert not np.allclose(answers(changed(["train"], tmp_path / "train")), before, atol=1e-3)


def test_principal_components_and_range_are_those_of_the_training_rows(project, trained, rows):
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import MinMaxScaler

    values = stored(project, rows[rows["split"] == "train"], "r0")
    model = load_model(trained("dnn_pca"))
    scale, components = model.get_layer("scale"), model.get_layer("principal_components")
    np.testing.assert_allclose(scale.mean, values.min(axis=0))
    kept = np.ptp(values, axis=0) > 1e-6  # what hardly varies is left at zero
    scaled = np.where(kept, MinMaxScaler().fit_transform(values), values - values.min(axis=0))
    expected = PCA(0.95, svd_solver="full").fit(scaled)
    assert components.units == expected.n_components_ < len(values) - 1
    found = np.asarray(components(scale(values)))
    np.testing.assert_allclose(np.abs(found), np.abs(expected.transform(scaled)), atol=2e-3)
    assert not components.trainable and len(components.trainable_variables) == 0


def test_the_columns_kept_are_those_that_tell_the_emotions_apart(rows):
    random = np.random.default_rng(2)
    labels = random.integers(0, 3, 200)
    values = random.normal(size=(200, 30)).astype(np.float32)
    values[:, [4, 17]] += labels[:, np.newaxis]
    architecture = load_architecture("ann_select")
    fitted = architecture.fit(values, labels, architecture.Params(2, 20, (4,), (0.0,)), seed=1)
    assert fitted["columns"].tolist() == [4, 17]


def test_an_emotion_that_is_never_heard_gets_nothing(project, rows, tmp_path):
    folder = train(project, "random_forest", tmp_path, emotions=("angry", *EMOTIONS))
    answers = load_model(folder).predict_on_batch({"r2_mfcc_mean": stored(project, rows, "r2_mfcc_mean")})
    assert answers.shape == (len(rows), 4) and (answers[:, 0] == 0).all()


def test_what_scikit_learn_cannot_fit_is_one_sentence(project, rows, tmp_path):
    few = rows[(rows["split"] != "train") | rows["id"].str.endswith("_0")]
    write_csv(tmp_path / "cleaned.csv", few)
    with pytest.raises(FitError, match="scikit-learn cannot fit 5 rows of r2_mfcc_mean"):
        train(tmp_path, "svm", tmp_path, features=project / "features")


def test_a_damaged_graph_is_named_with_the_way_out(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(TrainedModelError, match=r"model.onnx: no readable ONNX graph \(InvalidProtobuf\); run `dvc repro`"):
        load_model(tmp_path)


@pytest.mark.parametrize("name", SIZES)
def test_the_projects_own_sizes_build(project, name):
    """At full width: only that the sections of params.yaml fit the classes and the shapes fit each other."""
    architecture = load_architecture(name)
    sizes = load_params(f"models.{name}.architecture", architecture.Params, tiny.PARAMS)
    load_params(f"models.{name}.batches", BatchParams, tiny.PARAMS)
    load_params(f"models.{name}.training", FitParams if name in CLASSICAL else TrainParams, tiny.PARAMS)
    (kind,) = architecture.INPUTS
    found = load_params(kind, Descriptors, tiny.PARAMS)
    if name in CLASSICAL:
        assert hasattr(architecture.estimator(sizes, 1), "fit") and not found.n_frames
        return
    width = len(found.names)
    shape = (found.n_frames, width) if found.n_frames else (width,)
    random = np.random.default_rng(1)
    extra = {}
    if hasattr(architecture, "fit"):
        values = random.normal(size=(40, width)).astype(np.float32)
        extra["fitted"] = architecture.fit(values, random.integers(0, 3, 40), sizes, 1)
    model = architecture.build({kind: shape}, 7, sizes, **extra)
    assert model.name == name and model.output_shape == (None, 7)
    assert model.get_layer("embedding") is not None
