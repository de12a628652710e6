"""The figures of the honesty report: over all test clips of a protocol, a speaker of several folds drawn as one."""

import json

import pytest

from ser.bootstrap import SpeakerBootstrap
from ser.honesty import HONESTY, HonestyError, honesty_fold
from ser.honesty_plan import HonestyPlan, honesty_trainings
from ser.honesty_scores import honesty_scores
from tests.test_honesty_splits import EMOTIONS, counted, table

BOOTSTRAP = SpeakerBootstrap(n_bootstrap=100, seed=1)
FOLDS = (
    *("files_twice_1", "copies_1", "random_1", "random_2", "chosen_on_test_1"),
    *(f"speakers_{n}" for n in range(1, 6)),
    *("sentences_1a", "sentences_1b", "corpora_1"),
)


def answered(name, right):
    """Answers for a fold: `right` for the first so many emotions, 'calm' (or else 'neutral') for the rest."""
    held_out = table(name).query("split != 'train'").assign(condition="none").astype(str)
    for emotion in EMOTIONS:
        truth_known = held_out["emotion"].isin(EMOTIONS[:right])
        chosen = held_out["emotion"].where(truth_known, "calm")
        held_out[f"p_{emotion}"] = (0.8 * (chosen == emotion) + (0.1 if emotion == "neutral" else 0.0)).astype(str)
    return held_out


def scored(right=None, *, names=FOLDS, seeds=(1,), synthetic=False):
    """A report of models by how many emotions each recognises under each protocol."""
    right = right or {"hybrid": dict.fromkeys(HONESTY, 6)}
    folds = {name: table(name) for name in names}
    runs = {
        model: {
            (name, seed): (answered(name, known[honesty_fold(name).protocol]), {"took_s": 60.0})
            for name in names
            for seed in seeds
            if honesty_fold(name).protocol in known
        }
        for model, known in right.items()
    }
    counts = {name: counted(name) for name in folds}
    return honesty_scores(folds, counts, runs, BOOTSTRAP, synthetic=synthetic)


REPORT = scored({
    "hybrid": {**dict.fromkeys(HONESTY, 6), "files_twice": 8, "random": 7, "speakers": 5},
    "dnn_pca": {"random": 6, "speakers": 3},
})  # fmt: skip


def figures(protocol, model="hybrid", corpus="ravdess", measure="accuracy"):
    return REPORT["protocols"][protocol]["tested"][corpus]["models"][model][measure]


def test_each_protocol_has_its_figures():
    # an emotion that is not known is answered with calm, the last of the eight, which is right for calm itself
    expected = {"files_twice": 1, "copies": 7 / 8, "random": 1, "chosen_on_test": 7 / 8, "speakers": 6 / 8, "sentences": 7 / 8}
    assert {name: figures(name)["mean"] for name in expected} == pytest.approx(expected)
    assert figures("speakers", "dnn_pca")["mean"] == pytest.approx(4 / 8)
    assert json.loads(json.dumps(REPORT)) == REPORT, "plain numbers"


def test_a_model_is_in_the_protocols_it_ran_under():
    tested = {name: list(content["tested"].values()) for name, content in REPORT["protocols"].items()}
    having = {name for name, parts in tested.items() if any("dnn_pca" in part["models"] for part in parts)}
    assert having == {"random", "speakers"}
    assert REPORT["cost"] == {"hybrid": {"trainings": 13, "took_s": 780.0}, "dnn_pca": {"trainings": 7, "took_s": 420.0}}


def test_speakers_of_all_folds_are_the_sample():
    tested = REPORT["protocols"]["speakers"]["tested"]["ravdess"]
    assert (tested["n"], tested["n_speakers"], REPORT["protocols"]["speakers"]["folds"]) == (768, 24, 5)
    assert tested["models"]["hybrid"]["interval_over_clips"] == 0
    assert REPORT["protocols"]["random"]["tested"]["ravdess"]["n"] == 2 * 152, "two draws"


def test_another_corpus_is_asked_for_the_emotions_it_shares():
    tested = REPORT["protocols"]["corpora"]["tested"]
    assert {corpus: of_corpus["n_emotions"] for corpus, of_corpus in tested.items()} == {"crema_d": 6, "emodb": 6, "tess": 7}
    assert figures("corpora", corpus="crema_d")["mean"] == 1, "all six are known"
    # surprised is not, and calm, which TESS has not, may not be the answer: neutral comes next
    assert figures("corpora", corpus="tess")["mean"] == pytest.approx(6 / 7)


def test_models_are_compared_on_the_same_speakers():
    pair = REPORT["protocols"]["speakers"]["tested"]["ravdess"]["pairs"]["dnn_pca_minus_hybrid"]
    assert pair["delta"] == pytest.approx(-2 / 8)


def test_crossings_are_counted_over_the_folds():
    counts = {name: content["crossings"] for name, content in REPORT["protocols"].items()}
    assert counts["random"]["test"] == counts["random"]["speaker"] == 304
    assert counts["speakers"]["speaker"] == 0 and counts["speakers"]["sentence"] == 768
    assert sum(REPORT["protocols"]["files_twice"]["sizes"].values()) == 2 * 768


def test_seeds_are_averaged():
    two = scored({"hybrid": {"random": 6}}, names=("random_1",), seeds=(1, 2))
    assert set(two["protocols"]["random"]["tested"]["ravdess"]["models"]["hybrid"]["accuracy"]["seeds"]) == {"1", "2"}


PLAN = HonestyPlan(
    seeds=(1,),
    folds={"cnn": ("random_1", "speakers_1"), "hybrid": ("random_1",)},
    copies={"cnn": ("copies_1",)},
    longer={"hybrid": ("random_1",)},
)


def test_another_recipe_has_another_stage():
    stages = {training.stage: training.folder.as_posix() for training in honesty_trainings(PLAN)}
    assert stages == {
        "honesty_cnn@random_1-alone-1": "honesty/random_1/alone/1/cnn",
        "honesty_cnn@speakers_1-alone-1": "honesty/speakers_1/alone/1/cnn",
        "honesty_hybrid@random_1-alone-1": "honesty/random_1/alone/1/hybrid",
        "honesty_copies_cnn@copies_1-copies_as_rows-1": "honesty/copies_1/copies_as_rows/1/cnn",
        "honesty_longer_hybrid@random_1-longer-1": "honesty/random_1/longer/1/hybrid",
    }
    assert [training.label for training in honesty_trainings(PLAN, ["hybrid"])] == ["hybrid", "hybrid_longer"]
    assert [training.label for training in honesty_trainings(PLAN, ["cnn"])] == ["cnn", "cnn", "cnn"]
    assert PLAN.every_fold == ["random_1", "speakers_1", "copies_1"]


def test_a_plan_that_would_train_otherwise_than_meant_is_refused():
    with pytest.raises(HonestyError, match="copies_1 stands in the wrong list"):
        HonestyPlan(seeds=(1,), folds={"cnn": ("copies_1",)}, copies={}, longer={})
    with pytest.raises(HonestyError, match="random_1 stands in the wrong list"):
        HonestyPlan(seeds=(1,), folds={"cnn": ("random_1",)}, copies={"cnn": ("random_1",)}, longer={})
    with pytest.raises(ValueError, match="at least one"):
        HonestyPlan(seeds=(), folds={"cnn": ("random_1",)}, copies={}, longer={})
    with pytest.raises(ValueError, match="at least one"):
        HonestyPlan(seeds=(1,), folds={"cnn": ()}, copies={"cnn": ()}, longer={})
