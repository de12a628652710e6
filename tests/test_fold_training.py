"""One fold's training: which clips and copies it may draw, and what its answers hold."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ser.arrays import ArraysError, write_arrays
from ser.batches import Batches, BatchParams
from ser.features import Clip, Features
from ser.files import read_csv
from ser.fold_training import answer_fold, both_variants, emotions_of, train_fold, training_rows
from ser.inference import Enrolment
from ser.recipes import Recipe
from tests.test_trainer import BATCHES

EMOTIONS = ("neutral", "happy")


@pytest.fixture
def fold(tmp_path):
    """Two corpora's clips with a copy of every one, the test speaker's too; features count the clips."""
    rows = [
        {
            "id": f"{corpus}/{speaker}_{emotion}", "corpus": corpus, "speaker": f"{corpus}_{speaker}", "sex": "female",
            "emotion": emotion, "sentence": "", "audio_sha256": f"{corpus}{speaker}{emotion}", "split": split,
        }
        for corpus, parts in [("iesc", ("train", "train", "validation", "test")), ("tess", ("pool", "pool"))]
        for speaker, split in enumerate(parts)
        for emotion in EMOTIONS
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    for corpus in ("iesc", "tess"):
        ids = list(table.loc[table["corpus"] == corpus, "id"])
        clean = [(name, np.full((1, 2), n + 1)) for n, name in enumerate(ids)]
        copies = [(f"{name}#1", value + 100) for name, value in clean]
        write_arrays(tmp_path / "clean/prosody/clean" / corpus, clean, dtype="float32", recipe={})
        write_arrays(tmp_path / "copies/prosody/augmented" / corpus, copies, dtype="float32", recipe={})
    return table, ([tmp_path / "clean"], [tmp_path / "copies"])


def drawn(table, stores, monkeypatch, n_epochs=40):
    """Ids of everything that an architecture with these rows ever reads while training."""
    read = set()
    get = Features.get
    monkeypatch.setattr(Features, "get", lambda self, kind, clip: (read.add(clip.id), get(self, kind, clip))[1])
    train = table[table["split"] == "train"].reset_index(drop=True)
    with both_variants(*stores, ("prosody", "speaker")) as folder:
        batches = Batches(train, Features(folder), ("prosody", "speaker"), EMOTIONS, BatchParams(**vars(BATCHES)), seed=1)
        for epoch in range(n_epochs):
            list(batches.epoch(epoch))
    return read


def test_no_copy_of_a_held_out_clip_is_ever_drawn(fold, monkeypatch):
    table, stores = fold
    rows = training_rows(table, pool=False)
    trained = set(rows.loc[rows["split"] == "train", "id"])
    assert drawn(rows, stores, monkeypatch) == trained | {f"{name}#1" for name in trained}


def test_pooling_adds_the_other_corpora_and_their_copies_to_training_alone(fold, monkeypatch):
    table, stores = fold
    rows = training_rows(table, pool=True)
    assert (rows["split"] == "train").sum() == 8
    for part in ("validation", "test"):
        assert rows[rows["split"] == part].equals(table[table["split"] == part])
    trained = set(rows.loc[rows["split"] == "train", "id"])
    assert drawn(rows, stores, monkeypatch) == trained | {f"{name}#1" for name in trained}


def test_who_does_not_choose_the_epoch_trains_and_nobody_else_is_added(fold):
    table, _ = fold
    chosen, all_heard = (training_rows(table, pool=False, choose=choose) for choose in (True, False))
    assert set(chosen["split"]) == {"train", "validation", "test"} and set(all_heard["split"]) == {"train", "test"}
    assert all_heard[all_heard["split"] == "test"].equals(chosen[chosen["split"] == "test"])


def test_emotions_keep_the_order_of_all_label_arrays():
    assert emotions_of(pd.DataFrame({"emotion": ["calm", "happy", "neutral", "happy"]})) == ("neutral", "happy", "calm")


def test_each_variant_is_read_from_its_own_place(fold):
    _, stores = fold
    with both_variants(*stores, ("prosody",)) as folder:
        features = Features(folder)
        assert features.get("prosody", Clip("iesc/0_neutral", "iesc"))[0] == 1
        assert features.get("prosody", Clip("iesc/0_neutral#1", "iesc"))[0] == 101
    assert not Path(folder).exists()
    assert (stores[0][0] / "prosody/clean/iesc/values.npy").exists(), "the links go, not what they point to"


def test_a_kind_comes_from_the_first_folder_that_holds_it(fold, tmp_path):
    _, (clean, copies) = fold
    write_arrays(tmp_path / "finer/spectrogram/clean/iesc", [("iesc/0_neutral", np.full((1, 4), 7))], dtype="float32", recipe={})
    write_arrays(tmp_path / "other/prosody/clean/iesc", [("iesc/0_neutral", np.full((1, 2), 9))], dtype="float32", recipe={})
    clip = Clip("iesc/0_neutral", "iesc")
    with both_variants([tmp_path / "finer", *clean], copies, ("prosody",)) as folder:
        assert Features(folder).get("prosody", clip)[0] == 1, "the first has spectrograms alone"
    with both_variants([tmp_path / "other", *clean], copies, ("prosody",)) as folder:
        assert Features(folder).get("prosody", clip)[0] == 9
        assert Features(folder).get("prosody", Clip("iesc/0_neutral#1", "iesc"))[0] == 101


def copies_seen(table, stores, tmp_path, monkeypatch, *, augmented_share):
    """How many clips have a copy in the stores that a training with this share is given."""
    seen = []

    class Reader:
        def __init__(self, *_, start, soft):
            assert start is None and soft is None

        def run(self, cleaned, features, out, resume):
            seen.append(len(Features(features).copies("prosody", "iesc")))
            out.mkdir()
            (out / "history.csv").write_text("epoch\n1\n")

    monkeypatch.setattr("ser.fold_training.Trainer", Reader)
    table.to_csv(tmp_path / "fold.csv", index=False)
    recipe = Recipe(False, False, None, None, replace(BATCHES, augmented_share=augmented_share))
    architecture = SimpleNamespace(INPUTS=("prosody", "speaker"))
    places = [tmp_path / name for name in ("start", "out", "resume")]
    train_fold("prosody", architecture, recipe, tmp_path / "fold.csv", stores, *places)
    return seen.pop()


def test_a_training_that_asks_for_no_copy_does_without_their_store(fold, tmp_path, monkeypatch):
    table, (clean, _) = fold
    assert copies_seen(table, (clean, [tmp_path / "none"]), tmp_path, monkeypatch, augmented_share=0.0) == 0


def test_a_training_that_asks_for_copies_must_have_their_store(fold, tmp_path, monkeypatch):
    table, (clean, copies) = fold
    with pytest.raises(ArraysError, match="no such file"):
        copies_seen(table, (clean, [tmp_path / "none"]), tmp_path, monkeypatch, augmented_share=0.5)
    assert copies_seen(table, (clean, copies), tmp_path, monkeypatch, augmented_share=0.5) == 8


def test_copies_that_are_rows_are_read_though_none_is_drawn(fold, tmp_path, monkeypatch):
    table, stores = fold
    pooled = pd.concat([table, table[table["split"] == "train"].assign(id=lambda rows: rows["id"] + "#1")], ignore_index=True)
    assert copies_seen(pooled, stores, tmp_path, monkeypatch, augmented_share=0.0) == 8


def table_trained_on(table, stores, tmp_path, monkeypatch, **more):
    """The rows, and the soft targets, that the trainer is given."""
    seen = {}

    class Reader:
        def __init__(self, *_, start, soft):
            seen["soft"] = soft

        def run(self, cleaned, features, out, resume):
            seen["rows"] = read_csv(cleaned)
            out.mkdir()
            (out / "history.csv").write_text("epoch\n1\n")

    monkeypatch.setattr("ser.fold_training.Trainer", Reader)
    table.to_csv(tmp_path / "fold.csv", index=False)
    recipe = Recipe(False, False, None, None, replace(BATCHES, augmented_share=0.0))
    places = [tmp_path / name for name in ("start", "out", "resume")]
    train_fold("prosody", SimpleNamespace(INPUTS=("prosody",)), recipe, tmp_path / "fold.csv", stores, *places, **more)
    return seen


def test_what_else_is_known_of_the_clips_is_joined_where_asked(fold, tmp_path, monkeypatch):
    table, stores = fold
    known = table[["id"]][::-1].assign(intensity="strong", sentence="dogs")[2:]
    known.loc[known["id"] == "iesc/1_happy", "intensity"] = ""
    known.to_csv(tmp_path / "clips.csv", index=False)
    rows = table_trained_on(table, stores, tmp_path, monkeypatch, clips=tmp_path / "clips.csv")["rows"]
    assert list(rows["id"]) == list(table.loc[table["split"] != "pool", "id"]) and (rows["sentence"] == "").all()
    assert {"", "strong"} == set(rows["intensity"]) and rows.set_index("id").loc["iesc/1_happy", "intensity"] == ""
    with_copy = pd.concat([table, table[:1].assign(id="iesc/0_neutral#1")], ignore_index=True)
    (tmp_path / "out/history.csv").unlink()
    (tmp_path / "out").rmdir()
    rows = table_trained_on(with_copy, stores, tmp_path, monkeypatch, clips=tmp_path / "clips.csv")["rows"]
    assert rows.set_index("id").loc["iesc/0_neutral#1", "intensity"] == "", "not in the table, so not known"


def test_soft_targets_reach_the_trainer_and_no_column_comes_unasked(fold, tmp_path, monkeypatch):
    table, stores = fold
    seen = table_trained_on(table, stores, tmp_path, monkeypatch, soft=tmp_path / "soft.csv")
    assert seen["soft"] == tmp_path / "soft.csv" and list(seen["rows"].columns) == list(table.columns)


class ModelOfSpeaker:
    """In the place of a trained model: how surely a clip is happy tells what is known of its speaker."""

    can_enrol = True
    description = {"emotions": list(EMOTIONS)}

    def __init__(self, model_dir, features_dir):
        assert [path.name for path in features_dir.iterdir()] == ["prosody"], "what the model reads, and nothing else"

    def probabilities(self, clips, speakers=(), enrolment=None):
        known = 0 if enrolment is None else min(enrolment.clips, len(clips) - 1)
        return np.tile([1 - known / 10, known / 10], (len(clips), 1))


def test_answers_are_given_under_each_knowledge_of_the_speaker(fold, tmp_path, monkeypatch):
    table, stores = fold
    more = pd.concat([table, table[table["split"] == "test"].assign(id=lambda rows: rows["id"] + "2")], ignore_index=True)
    more.to_csv(tmp_path / "fold.csv", index=False)
    (tmp_path / "model.json").write_text('{"inputs": {"prosody": {}}}')
    monkeypatch.setattr("ser.fold_training.Scorer", ModelOfSpeaker)
    answers, rate = answer_fold(tmp_path, tmp_path / "fold.csv", stores, Enrolment(clips=2, seed=1))
    assert rate > 0
    by_condition = answers.groupby("condition")
    assert by_condition["split"].unique().map(set).to_dict() == {
        "none": {"validation", "test"}, "enrolled": {"test"}, "transductive": {"test"},
    }  # fmt: skip
    assert by_condition["p_happy"].max().to_dict() == {"none": 0.0, "enrolled": 0.2, "transductive": 0.3}
    monkeypatch.setattr(ModelOfSpeaker, "can_enrol", False)
    answers, _ = answer_fold(tmp_path, tmp_path / "fold.csv", stores, Enrolment(clips=2, seed=1))
    assert set(answers["condition"]) == {"none"} and set(answers["split"]) == {"validation", "test"}


def test_a_clip_that_was_trained_on_is_not_answered(fold, tmp_path, monkeypatch):
    table, stores = fold
    table.to_csv(tmp_path / "fold.csv", index=False)
    (tmp_path / "model.json").write_text('{"inputs": {"prosody": {}}}')
    monkeypatch.setattr("ser.fold_training.Scorer", ModelOfSpeaker)
    answers, _ = answer_fold(tmp_path, tmp_path / "fold.csv", stores, Enrolment(clips=2, seed=1), choose=False)
    assert set(answers["split"]) == {"test"} and set(answers["id"]) == set(table.loc[table["split"] == "test", "id"])


@pytest.mark.parametrize("n, p_happy", [(0, 0.0), (2, 0.5)])
def test_a_single_clip_is_heard_in_views_and_a_known_speaker_is_not(fold, tmp_path, monkeypatch, n, p_happy):
    class Halves:
        def average(self, scorer, clips, own):
            assert isinstance(scorer, ModelOfSpeaker) and len(clips) == len(own) == 4
            return np.full_like(own, 0.5)

    views = Halves()
    views.n = n
    table, stores = fold
    table.to_csv(tmp_path / "fold.csv", index=False)
    (tmp_path / "model.json").write_text('{"inputs": {"prosody": {}}}')
    monkeypatch.setattr("ser.fold_training.Scorer", ModelOfSpeaker)
    answers, _ = answer_fold(tmp_path, tmp_path / "fold.csv", stores, Enrolment(clips=1, seed=1), views=views)
    found = answers.groupby("condition")["p_happy"].unique().map(list).to_dict()
    assert found == {"none": [p_happy], "enrolled": [0.1], "transductive": [0.1]}
