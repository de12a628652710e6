"""The trainer: a complete folder, the same bytes each time, and nothing learned from clips held out."""

import json
import logging
import shutil
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow

from ser.architectures import load_architecture
from ser.arrays import Arrays, write_arrays
from ser.batches import Batches, BatchParams
from ser.features import Clip
from ser.files import read_csv, write_csv
from ser.heads import HeadError
from ser.inference import Scorer
from ser.soft_targets import write_soft
from ser.trained import load_description, load_model, save_model
from ser.trainer import Trainer, TrainerError, split_hash
from ser.training import TrainParams

EMOTIONS = ("neutral", "happy", "sad")
SIZES = {
    "cnn": {"stem_filters": 2, "filters": (2,), "attention_units": 2, "embedding": 4, "dropout": 0.2, "level_free": True},
    "prosody": {"units": (4,), "dropout": 0.2},
    "hybrid": {"dropout": 0.2, "fused_units": 4, "train_bases": True},
}
BATCHES = BatchParams(
    batch_size=4, n_frames=12, augmented_share=0.5, corpus_balance=0.5, emotion_balance=1.0, minimum_tempo=0.9, maximum_tempo=1.1,
    gain_db=1.0, tilt_db=1.0, band_shift=1.0, time_masks=1, maximum_time_mask=3, band_masks=1, maximum_band_mask=2,
    mixup=0.5, noise=0.1, column_dropout=0.1, known_share=0.5, minimum_enrolled_clips=1, maximum_enrolled_clips=3,
)  # fmt: skip
FILES = ["history.csv", "model.json", "model.keras", "params.json"]


class Killed(BaseException):
    pass


@pytest.fixture(autouse=True)
def live(monkeypatch):
    """MLflow's place taken by a list; `kill_at` ends the process in mid-training, as it were (0: before it)."""
    live = SimpleNamespace(epochs=[], kill_at=None, finished=False, fingerprint=None)

    def start(name, fingerprint, settings):
        live.fingerprint = fingerprint
        if live.kill_at == 0:
            raise Killed
        return live

    def log(epoch, values):
        live.epochs.append(epoch)
        if epoch == live.kill_at:
            raise Killed

    live.log, live.finish = log, lambda train_s: setattr(live, "finished", True)
    monkeypatch.setattr("ser.trainer.LiveRun", SimpleNamespace(start=start))
    tensorflow.config.run_functions_eagerly(True)  # few steps: building graphs would take most of the time
    yield live
    tensorflow.config.run_functions_eagerly(False)
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def project(tmp_path):
    """Two corpora of four speakers each, three emotions, as the stages before leave them."""
    random = np.random.default_rng(1)
    rows = [
        {
            "id": f"{corpus}_{speaker}_{emotion}",
            "corpus": corpus,
            "speaker": f"{corpus}_{speaker}",
            "emotion": emotion,
            "split": ("train", "train", "validation", "test")[speaker],
        }
        for corpus in ("emodb", "ravdess")
        for speaker in range(4)
        for emotion in EMOTIONS
    ]
    write_csv(tmp_path / "cleaned.csv", pd.DataFrame(rows))
    for corpus in ("emodb", "ravdess"):
        clean = [row for row in rows if row["corpus"] == corpus]
        copies = [{**row, "id": f"{row['id']}#1"} for row in clean if row["split"] == "train"]
        for variant, members in [("clean", clean), ("augmented", copies)]:
            spectrograms, columns = [], []
            for row in members:
                shift = EMOTIONS.index(row["emotion"])
                spectrograms.append((row["id"], random.normal(-40 + shift, 5, (random.integers(6, 30), 6))))
                columns.append((row["id"], np.where(random.random((1, 3)) < 0.2, np.nan, random.normal(shift, 1, (1, 3)))))
            heard, measured = (tmp_path / "features" / kind / variant / corpus for kind in ("spectrogram", "prosody"))
            write_arrays(heard, spectrograms, dtype="float16", recipe={"name": "Spectrogram"})
            write_arrays(measured, columns, dtype="float32", recipe={"name": "Prosody"}, columns="abc")
    return tmp_path


def train(project, name, folder="trained", epochs=2, start=None, soft=None, heads=None, batches=BATCHES, **settings):
    """Train as a new process would: Keras counts the layers of a process into their names."""
    keras.backend.clear_session()
    architecture = load_architecture(name)
    training = TrainParams(
        seed=1, epochs=epochs, patience=9, learning_rate=0.01, weight_decay=0.01, warmup_share=0.1, label_smoothing=0.1,
        average=0.9, precision="float32", heads=heads or {},
    )  # fmt: skip
    sizes = architecture.Params(**{**SIZES[name], **settings})
    trainer = Trainer(name, architecture, sizes, training, batches, EMOTIONS, start=start, soft=soft)
    out = project / folder / name
    trainer.run(project / "cleaned.csv", project / "features", out, project / "resume")
    return out


def edit(project, change):
    table = read_csv(project / "cleaned.csv")
    change(table)
    write_csv(project / "cleaned.csv", table)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_run_leaves_a_complete_folder_and_nothing_else(project, live, caplog):
    caplog.set_level(logging.INFO)
    out = train(project, "prosody")
    assert sorted(contents(out)) == FILES
    assert sorted(path.name for path in project.iterdir()) == ["cleaned.csv", "features", "resume", "trained"]
    assert list((project / "resume").iterdir()) == [] and [path.name for path in out.parent.iterdir()] == ["prosody"]
    description = load_description(out)
    assert description["emotions"] == list(EMOTIONS) and description["model"] == "prosody"
    assert description["inputs"] == {"prosody": {"name": "Prosody", "columns": ["a", "b", "c"]}}
    assert description["corpora"] == ["emodb", "ravdess"] and description["n_frames"] == 12
    assert description["n_parameters"] == load_model(out).count_params()
    assert description["split_sha256"] == split_hash(project / "cleaned.csv")
    history = pd.read_csv(out / "history.csv")
    assert list(history["epoch"]) == live.epochs == [1, 2] and live.finished
    assert description["validation"]["validation_uar"] == pytest.approx(history["validation_uar"].max(), abs=1e-6)
    params = json.loads((out / "params.json").read_text())
    assert params["architecture"] == {"units": [4], "dropout": 0.2, "discriminant": 0.0} and params["training"]["epochs"] == 2
    assert "train prosody: 12 utterances of 4 speakers, validated on 6 of 2" in caplog.text
    assert "prosody epoch 2/2: loss" in caplog.text


@pytest.mark.slow  # several trainings
def test_two_trainings_are_equal_bytes_even_if_one_was_killed(project, live):
    once = contents(train(project, "cnn", epochs=1))
    live.kill_at = 1
    with pytest.raises(Killed):
        train(project, "cnn", "again", epochs=1)
    assert not (project / "again").exists()
    assert len(list((project / "resume/cnn").iterdir())) == 1
    live.kill_at, live.epochs[:] = None, []
    assert contents(train(project, "cnn", "again", epochs=1)) == once
    assert live.epochs == [1]


@pytest.mark.slow  # several trainings
def test_a_state_left_by_other_settings_is_not_taken_up(project, live):
    once = contents(train(project, "prosody", epochs=1))
    live.kill_at = 1
    with pytest.raises(Killed):
        train(project, "prosody", "again", epochs=1, dropout=0.7)
    live.kill_at = None
    assert contents(train(project, "prosody", "again", epochs=1)) == once
    assert not (project / "resume/prosody").exists()


@pytest.mark.slow  # several trainings
def test_the_statistics_are_of_the_training_clips_alone(project):
    before = load_model(train(project, "prosody", epochs=1)).get_layer("standardise_prosody")
    rows = read_csv(project / "cleaned.csv").query("split == 'train'")
    values = np.concatenate([_stored(project, row.corpus)[row.id] for row in rows.itertuples()])
    np.testing.assert_allclose(before.mean, np.nanmean(values, axis=0), rtol=1e-5)
    np.testing.assert_allclose(before.deviation, np.nanstd(values, axis=0), rtol=1e-5)
    held_out = set(read_csv(project / "cleaned.csv").query("split != 'train'")["id"])
    for corpus in ("emodb", "ravdess"):
        items = [(name, value * 100 if name in held_out else value) for name, value in _stored(project, corpus).items()]
        write_arrays(project / "features/prosody/clean" / corpus, items, dtype="float32", recipe={})
    after = load_model(train(project, "prosody", epochs=1)).get_layer("standardise_prosody")
    assert np.array_equal(after.mean, before.mean) and np.array_equal(after.deviation, before.deviation)


@pytest.mark.slow  # several trainings
def test_a_training_that_starts_from_another_is_another_and_keeps_the_statistics_it_started_with(project):
    base = train(project, "prosody", epochs=1)
    edit(project, lambda table: table.__setitem__("split", table["split"].mask(table["corpus"] == "ravdess", "test")))
    scratch = train(project, "prosody", "scratch", epochs=1)
    onward = train(project, "prosody", "onward", epochs=1, start=base)
    assert len({load_description(folder)["fingerprint"] for folder in (base, scratch, onward)}) == 3
    means = [np.array(load_model(folder).get_layer("standardise_prosody").mean) for folder in (base, scratch, onward)]
    assert np.array_equal(means[0], means[2]) and not np.array_equal(means[0], means[1])
    assert contents(train(project, "prosody", "again", epochs=1, start=base)) == contents(onward)


def _stored(project, corpus):
    store = Arrays(project / "features/prosody/clean" / corpus)
    return {name: store[name] for name in store.ids}


@pytest.fixture
def bases(project):
    """A CNN and a prosodic network as their trainings leave them, weights and statistics unlike those of a new one."""
    keras.utils.set_random_seed(2)
    cnn, prosody = (load_architecture(name) for name in ("cnn", "prosody"))
    models = {
        "cnn": cnn.build({"spectrogram": (12, 6)}, 3, cnn.Params(**SIZES["cnn"])),
        "prosody": prosody.build({"prosody": (3,), "speaker": (3,)}, 3, prosody.Params(**SIZES["prosody"])),
    }
    models["cnn"].get_layer("standardise_spectrogram").set_statistics(np.arange(6.0), np.arange(1.0, 7.0))
    models["prosody"].get_layer("standardise_prosody").set_statistics(np.arange(3.0), np.arange(1.0, 4.0))
    for name, model in models.items():
        (project / "trained" / name).mkdir(parents=True)
        save_model(model, project / "trained" / name / "model.keras")
    return models


@pytest.mark.slow  # several trainings
def test_the_hybrid_builds_on_the_trained_models_beside_it(project, bases):
    out = train(project, "hybrid", epochs=1, train_bases=False)
    hybrid = load_model(out)
    taken_over = [
        ("cnn", "embedding"), ("cnn", "emotion"), ("cnn", "standardise_spectrogram"),
        ("prosody", "emotion"), ("prosody", "standardise_prosody"),
    ]  # fmt: skip
    for name, layer in taken_over:
        found, given = hybrid.get_layer(f"{name}_network").get_layer(layer).weights, bases[name].get_layer(layer).weights
        pairs = zip(found, given, strict=True)
        assert all(np.allclose(one, other, rtol=1e-5) for one, other in pairs), "but for the rounding of the average"
    assert set(load_description(out)["inputs"]) == {"spectrogram", "prosody"}
    row = read_csv(project / "cleaned.csv").iloc[-1]
    scorer = Scorer(out, project / "features")
    assert scorer.can_enrol
    assert scorer.probabilities([Clip(row["id"], row["corpus"])]).sum() == pytest.approx(1.0)


@pytest.mark.slow  # several trainings
def test_another_base_is_another_training(project, bases, live):
    live.kill_at = 0

    def fingerprint():
        with pytest.raises(Killed):
            train(project, "hybrid")
        return live.fingerprint

    before = fingerprint()
    assert fingerprint() == before
    bases["prosody"].get_layer("standardise_prosody").set_statistics(np.zeros(3), np.ones(3))
    save_model(bases["prosody"], project / "trained/prosody/model.keras")
    assert fingerprint() != before


def test_a_missing_base_or_store_is_named_with_the_way_out(project, bases):
    shutil.rmtree(project / "trained/prosody")
    with pytest.raises(TrainerError, match="trained/prosody/model.keras: no such file; run `dvc repro`"):
        train(project, "hybrid")
    shutil.rmtree(project / "features/prosody/augmented/ravdess")
    with pytest.raises(TrainerError, match="prosody/augmented/ravdess/index.csv: no such file; run `dvc repro`"):
        train(project, "prosody")


def test_a_table_without_training_rows_is_refused(project):
    edit(project, lambda table: table.__setitem__("split", "test"))
    with pytest.raises(TrainerError, match="cleaned.csv: no row has split 'train'"):
        train(project, "prosody")


def test_without_validation_rows_the_last_epoch_is_described(project):
    edit(project, lambda table: table.__setitem__("split", table["split"].replace("validation", "test")))
    assert load_description(train(project, "prosody"))["validation"]["epoch"] == 2


def test_the_split_hash_follows_who_is_in_which_part_and_nothing_else(project):
    path = project / "cleaned.csv"
    before = split_hash(path)
    write_csv(path, read_csv(path)[::-1].assign(sentence="dogs"))
    assert split_hash(path) == before
    edit(project, lambda table: table.__setitem__("split", table["split"].replace("validation", "test")))
    assert split_hash(path) != before


UNMIXED = replace(BATCHES, mixup=0.0)


def test_heads_are_forgotten_when_the_model_is_stored(project):
    alone = train(project, "prosody", "alone", epochs=1, batches=UNMIXED)
    headed = train(project, "prosody", "headed", epochs=1, batches=UNMIXED, heads={"corpus": -0.5, "arousal": 0.5})
    kept, known = load_model(alone), load_model(headed)
    assert [layer.name for layer in known.layers] == [
        layer.name for layer in kept.layers
    ] and known.output_names == kept.output_names
    assert not all(np.array_equal(one, other) for one, other in zip(known.get_weights(), kept.get_weights(), strict=True))
    assert load_description(headed)["n_parameters"] == load_description(alone)["n_parameters"]
    assert json.loads((headed / "params.json").read_text())["training"]["heads"] == {"corpus": -0.5, "arousal": 0.5}


def test_a_head_that_the_clips_know_nothing_of_is_refused_before_anything_is_trained(project, live):
    with pytest.raises(HeadError, match="training.heads: the table of clips has no column 'sex'"):
        train(project, "prosody", batches=UNMIXED, heads={"sex": 0.2})
    assert live.fingerprint is None and not (project / "trained").exists()


def test_soft_targets_make_another_training_and_are_named_if_missing(project, live):
    live.kill_at = 0
    ids = list(read_csv(project / "cleaned.csv").query("split == 'train'")["id"])

    def fingerprint(**more):
        with pytest.raises(Killed):
            train(project, "prosody", **more)
        return live.fingerprint

    found = [fingerprint()]
    for share in (0.2, 0.3):
        write_soft(project / "soft.csv", ids, np.tile([share, 1 - share, 0], (len(ids), 1)), EMOTIONS)
        found.append(fingerprint(soft=project / "soft.csv"))
    assert len(set(found)) == 3 and fingerprint(soft=project / "soft.csv") == found[-1]
    with pytest.raises(TrainerError, match="none.csv: no such file"):
        train(project, "prosody", soft=project / "none.csv")


def test_soft_targets_are_mixed_in_as_far_as_the_batches_say(project, live, monkeypatch):
    live.kill_at, made = 0, []
    monkeypatch.setattr("ser.trainer.Batches", lambda *args: made.append(Batches(*args)) or made[-1])
    rows = read_csv(project / "cleaned.csv").query("split == 'train'")
    write_soft(project / "soft.csv", list(rows["id"]), np.tile([0, 0, 1], (len(rows), 1)), EMOTIONS)
    for share in (0.0, 0.25):
        with pytest.raises(Killed):
            train(project, "prosody", batches=replace(BATCHES, soft_share=share), soft=project / "soft.csv")
    labels, mixed = (batches.targets for batches in made)
    assert np.array_equal(labels, [[emotion == name for name in EMOTIONS] for emotion in rows["emotion"]])
    np.testing.assert_allclose(mixed, 0.75 * labels + [0, 0, 0.25])
