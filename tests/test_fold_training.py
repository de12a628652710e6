"""One fold's training: which clips and copies it may draw, and what its answers hold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser.arrays import write_arrays
from ser.batches import Batches, BatchParams
from ser.features import Clip, Features
from ser.fold_training import answer_fold, both_variants, emotions_of, training_rows
from ser.inference import Enrolment
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
    return table, (tmp_path / "clean", tmp_path / "copies")


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


def test_emotions_keep_the_order_of_all_label_arrays():
    assert emotions_of(pd.DataFrame({"emotion": ["calm", "happy", "neutral", "happy"]})) == ("neutral", "happy", "calm")


def test_each_variant_is_read_from_its_own_place(fold):
    _, stores = fold
    with both_variants(*stores, ("prosody",)) as folder:
        features = Features(folder)
        assert features.get("prosody", Clip("iesc/0_neutral", "iesc"))[0] == 1
        assert features.get("prosody", Clip("iesc/0_neutral#1", "iesc"))[0] == 101
    assert not Path(folder).exists()
    assert (stores[0] / "prosody/clean/iesc/values.npy").exists(), "the links go, not what they point to"


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
