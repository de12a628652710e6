"""The evaluation report and its stage: finite, complete, honest about what it rests on."""

import json
import math
import sys

import numpy as np
import pandas as pd
import pytest

from ser.bootstrap import SpeakerBootstrap
from ser.calibration import Calibration, CalibrationParams
from ser.evaluation import (
    EvaluationError,
    calibration_scores,
    enrolled_scores,
    evaluate,
    plot_tables,
    predictions_table,
    rounded,
)
from ser.files import read_csv, write_csv
from ser.inference import Enrolment

EMOTIONS = ("neutral", "happy", "sad", "surprised")
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=200, seed=1)


@pytest.fixture
def clips() -> pd.DataFrame:
    """Corpus `wide` has four emotions and six speakers; `narrow` has three emotions and one test speaker."""
    rows = []
    for corpus, emotions, speakers in (("wide", EMOTIONS, "abcdef"), ("narrow", EMOTIONS[:3], "xyz")):
        for speaker in speakers:
            split = {"a": "train", "x": "train", "b": "validation", "y": "validation"}.get(speaker, "test")
            for emotion in emotions:
                for take in "1234":
                    rows.append(
                        {
                            "id": f"{corpus}_{speaker}_{emotion}_{take}",
                            "corpus": corpus,
                            "speaker": f"{corpus}_{speaker}",
                            "sex": {"f": "unknown"}.get(speaker, "female" if speaker in "ace" else "male"),
                            "emotion": emotion,
                            "intensity": "strong" if take == "1" else "",
                            "split": split,
                        }
                    )
    return pd.DataFrame(rows)


def guess(clips: pd.DataFrame, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(len(clips), len(EMOTIONS)))
    logits[np.arange(len(clips)), clips["emotion"].map(EMOTIONS.index)] += 1.0
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def held_out(clips: pd.DataFrame) -> pd.DataFrame:
    return clips[clips["split"] != "train"]


def report(clips: pd.DataFrame, synthetic: bool = False, seed: int = 0) -> tuple[dict, pd.DataFrame]:
    predictions = predictions_table(held_out(clips), guess(held_out(clips), seed), EMOTIONS)
    return evaluate(clips, predictions, EMOTIONS, bootstrap=BOOTSTRAP, synthetic=synthetic), predictions


def leaves(node):
    for value in node.values():
        yield from leaves(value) if isinstance(value, dict) else [value]


def test_every_metric_is_a_plain_finite_number_with_six_decimals(clips):
    metrics, _ = report(clips)
    values = list(leaves(metrics))
    assert {type(value) for value in values} == {int, float}
    assert all(math.isfinite(value) and round(value, 6) == value for value in values)


def test_metrics_agree_with_sklearn_on_the_stored_predictions(clips):
    from sklearn.metrics import log_loss, recall_score

    metrics, predictions = report(clips)
    test = predictions[predictions["split"] == "test"]
    wide = test[test["corpus"] == "wide"]
    scores = metrics["test"]["corpora"]["wide"]
    assert scores["uar"] == pytest.approx(recall_score(wide["emotion"], wide["predicted"], average="macro"), abs=1e-6)
    assert scores["n"] == len(wide)
    assert scores["n_speakers"] == 4
    probabilities = test[[f"p_{emotion}" for emotion in sorted(EMOTIONS)]].to_numpy()
    expected = log_loss(test["emotion"], probabilities / probabilities.sum(axis=1, keepdims=True))
    assert metrics["test"]["overall"]["log_loss"] == pytest.approx(expected, abs=1e-4)


def test_macro_over_corpora_gives_each_corpus_the_same_weight(clips):
    test = report(clips)[0]["test"]
    for name in ("uar", "uar_closed"):
        mean = (test["corpora"]["wide"][name] + test["corpora"]["narrow"][name]) / 2
        assert test["macro_over_corpora"][name] == pytest.approx(mean, abs=1e-6)
    assert test["macro_over_corpora"]["uar_low"] < test["macro_over_corpora"]["uar"] < test["macro_over_corpora"]["uar_high"]


def test_closed_uar_forgives_only_emotions_the_corpus_lacks(clips):
    rows = held_out(clips)
    probabilities = np.tile([0.3, 0.1, 0.1, 0.5], (len(rows), 1))  # always surprised, then neutral
    metrics = evaluate(clips, predictions_table(rows, probabilities, EMOTIONS), EMOTIONS, bootstrap=BOOTSTRAP, synthetic=False)
    wide, narrow = (metrics["test"]["corpora"][name] for name in ("wide", "narrow"))
    assert wide["uar"] == wide["uar_closed"] == 0.25
    assert narrow["uar"] == 0.0
    assert narrow["uar_closed"] == pytest.approx(1 / 3, abs=1e-6)
    assert "surprised" not in narrow["emotions"]


def test_a_corpus_with_one_test_speaker_is_flagged(clips):
    test = report(clips)[0]["test"]
    assert test["corpora"]["narrow"]["interval_over_clips"] == 1
    assert test["corpora"]["wide"]["interval_over_clips"] == 0
    assert test["overall"]["interval_over_clips"] == 1


def test_sex_and_intensity_are_reported_where_known(clips):
    test = report(clips)[0]["test"]
    assert set(test["by_sex"]) == {"female", "male"}  # speaker f is unknown
    assert test["by_sex"]["female"]["n"] == 2 * 16
    assert set(test["by_intensity"]) == {"strong"}


def test_speakers_heard_in_training_are_counted(clips):
    assert report(clips)[0]["test_speakers_heard_in_training"] == 0
    leaked = clips.copy()
    leaked.loc[(clips["speaker"] == "wide_c") & (clips["emotion"] == "sad"), "split"] = "train"
    assert report(leaked)[0]["test_speakers_heard_in_training"] == 1


def test_synthetic_voices_are_flagged(clips):
    assert report(clips, synthetic=True)[0]["synthetic_demo_voices"] == 1


def test_validation_is_left_out_when_there_is_none(clips):
    metrics, _ = report(clips[clips["split"] != "validation"])
    assert "validation" not in metrics


def test_validation_does_not_change_test_scores(clips):
    assert report(clips)[0]["validation"]["macro_over_corpora"].keys() == {"uar"}
    predictions = report(clips)[1]
    fewer = predictions[predictions["split"] == "test"].reset_index(drop=True)
    with_test_alone = evaluate(clips, fewer, EMOTIONS, bootstrap=BOOTSTRAP, synthetic=False)
    assert with_test_alone["test"] == report(clips)[0]["test"]


def test_rounding_hides_the_last_bits_and_drops_what_is_undefined():
    assert rounded({"a": 0.1 + 0.2, "b": float("nan"), "c": {"d": float("nan")}, "e": np.int64(2)}) == {"a": 0.3, "e": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows, p: (rows[rows["split"] != "test"], p), "no test clip"),
        (lambda rows, p: (rows.assign(emotion="bored"), p), "'bored'"),
        (lambda rows, p: (rows, p[:-1]), "shape"),
        (lambda rows, p: (rows, p * np.nan), "finite"),
    ],
)
def test_what_does_not_fit_together_is_refused(clips, change, message):
    rows, probabilities = change(held_out(clips), guess(held_out(clips)))
    with pytest.raises(EvaluationError, match=message):
        predictions_table(rows, probabilities, EMOTIONS)


def test_plot_tables(clips):
    _, predictions = report(clips)
    tables = plot_tables(predictions, EMOTIONS)
    n_test = (predictions["split"] == "test").sum()
    assert len(tables["confusion"]) == n_test
    assert tables["confusion_matrix"][list(EMOTIONS)].sum(axis=1).to_numpy() == pytest.approx(np.ones(4), abs=1e-5)
    for _, curve in tables["roc"].groupby("emotion"):
        assert (curve["fpr"].diff().dropna() >= 0).all()
        assert tuple(curve.iloc[0][["fpr", "tpr"]]) == (0, 0)
        assert tuple(curve.iloc[-1][["fpr", "tpr"]]) == (1, 1)
    assert tables["reliability"]["n"].sum() == n_test
    kept = tables["risk_coverage"]
    assert (kept["coverage"].diff().dropna() > 0).all() and kept["coverage"].iloc[-1] == 1
    wrong = (predictions["predicted"] != predictions["emotion"])[predictions["split"] == "test"]
    assert kept["error_share"].iloc[-1] == pytest.approx(wrong.mean(), abs=1e-6)
    assert len(tables["per_emotion_recall"]) == 4 + 3
    assert not any(table.isna().any(axis=None) for table in tables.values())


def test_roc_has_at_most_200_points_a_curve(clips):
    many = pd.concat([clips.assign(id=clips["id"] + str(n)) for n in range(20)], ignore_index=True)
    roc = plot_tables(report(many)[1], EMOTIONS)["roc"]
    assert roc.groupby("emotion").size().max() == 200


AIM = CalibrationParams(sure_accuracy=0.8, minimum_coverage=0.3)


def test_calibration_is_fitted_on_validation_and_judged_on_test(clips):
    predictions = predictions_table(held_out(clips), guess(held_out(clips)), EMOTIONS)
    found = calibration_scores(predictions, EMOTIONS, AIM)
    assert set(found["test"]) == {"ece", "log_loss", "coverage", "accuracy_when_sure"}
    assert 0 < found["test"]["coverage"] < 1, "the threshold keeps some clips and drops some"
    is_test = predictions["split"] == "test"
    other_test = predictions.assign(emotion=predictions["emotion"].where(~is_test, "sad"))
    again = calibration_scores(other_test, EMOTIONS, AIM)
    assert (again["temperature"], again["unsure_below"]) == (found["temperature"], found["unsure_below"])
    assert again["test"] != found["test"]
    calibrated = Calibration(found["temperature"])(predictions.loc[is_test, [f"p_{e}" for e in EMOTIONS]].to_numpy())
    sure = calibrated.max(axis=1) >= found["unsure_below"]
    assert found["test"]["coverage"] == pytest.approx(sure.mean(), abs=1e-6)
    hit = (predictions["emotion"] == predictions["predicted"])[is_test].to_numpy()
    assert found["test"]["accuracy_when_sure"] == pytest.approx(hit[sure].mean(), abs=1e-6)


def test_without_validation_probabilities_stay_as_they_are(clips):
    rows = held_out(clips)[lambda table: table["split"] == "test"]
    found = calibration_scores(predictions_table(rows, guess(rows), EMOTIONS), EMOTIONS, AIM)
    assert found["temperature"] == 1.0 and found["unsure_below"] == 0.0 and found["test"]["coverage"] == 1.0
    scored = report(pd.concat([clips[clips["split"] == "train"], rows]))[0]["test"]["overall"]
    assert found["test"]["accuracy_when_sure"] == scored["accuracy"]
    assert found["test"]["ece"] == pytest.approx(scored["ece"], abs=1e-5)


def test_enrolled_scores_are_by_corpus_and_their_mean(clips):
    test = held_out(clips)[lambda table: table["split"] == "test"]
    found = enrolled_scores(test, guess(test), EMOTIONS)
    rows = pd.concat([clips[clips["split"] == "train"], test])
    table = predictions_table(test, guess(test), EMOTIONS)
    headline = evaluate(rows, table, EMOTIONS, bootstrap=BOOTSTRAP, synthetic=False)["test"]
    for corpus in ("wide", "narrow"):
        assert found["corpora"][corpus] == {name: headline["corpora"][corpus][name] for name in ("uar", "accuracy", "n")}
    assert found["macro_over_corpora"]["uar"] == headline["macro_over_corpora"]["uar"]


class Guesser:
    """Stands for a trained network: guesses by id, and closer to the truth where it knows the speakers."""

    can_enrol, asked, size = True, None, {"parameters": 7, "size_bytes": 28}

    def __init__(self, model_dir, features_dir):
        self.description = {"emotions": list(EMOTIONS)}

    def probabilities(self, clips, speakers=(), enrolment=None):
        Guesser.asked.append((len(clips), len(speakers), enrolment))
        plain = np.array([self.by_id[clip.id] for clip in clips])
        return plain if enrolment is None else plain**3 / (plain**3).sum(axis=1, keepdims=True)


@pytest.fixture
def stage(tmp_path, monkeypatch, clips):
    """Runs the stage in a folder, with a model that guesses; returns that folder."""
    import stages.evaluate

    (tmp_path / "params.yaml").write_text(
        "evaluate: {n_bootstrap: 200, seed: 1}\ncorpora: {root: data/demo, use: [wide, narrow], channels: [speech]}\n"
        "calibration: {sure_accuracy: 0.8, minimum_coverage: 0.3}\nenrolment: {clips: 3, seed: 1}\n"
    )
    write_csv(tmp_path / "cleaned.csv", clips)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SER_PARAMS", raising=False)
    monkeypatch.setattr(Guesser, "by_id", dict(zip(clips["id"], guess(clips), strict=True)), raising=False)
    monkeypatch.setattr(Guesser, "asked", [])
    monkeypatch.setattr(stages.evaluate, "Scorer", Guesser)
    arguments = ["cnn", "cleaned.csv", "features", "model", "metrics/cnn.json", "metrics/plots/cnn", "predictions/cnn.csv"]
    monkeypatch.setattr(sys, "argv", ["evaluate", *arguments])
    stages.evaluate.main()
    return tmp_path


def test_stage_writes_metrics_predictions_and_plots(stage, clips):
    metrics = json.loads((stage / "metrics" / "cnn.json").read_text())
    assert metrics["synthetic_demo_voices"] == 1 and metrics["model"] == Guesser.size
    predictions = read_csv(stage / "predictions" / "cnn.csv")
    assert list(predictions) == ["id", "corpus", "speaker", "split", "emotion", "predicted", *(f"p_{e}" for e in EMOTIONS)]
    assert set(predictions["split"]) == {"validation", "test"}
    assert predictions["p_sad"].map(lambda text: len(f"{float(text):.9f}".rstrip("0"))).max() <= len("0.123456")
    assert {path.name for path in (stage / "metrics" / "plots" / "cnn").iterdir()} == {
        "confusion.csv",
        "confusion_matrix.csv",
        "per_emotion_recall.csv",
        "reliability.csv",
        "risk_coverage.csv",
        "roc.csv",
        "scores.csv",
    }
    scores = read_csv(stage / "metrics" / "plots" / "cnn" / "scores.csv").set_index("name")["value"]
    assert float(scores["test.macro_over_corpora.uar"]) == metrics["test"]["macro_over_corpora"]["uar"]

    def leaves(node):
        return sum(map(leaves, node.values())) if isinstance(node, dict) else 1

    assert len(scores) == leaves(metrics), "all that the comparison reads is in a folder that it depends on"


def test_stage_reports_calibration_and_enrolment_beside_the_headline(stage, clips):
    metrics = json.loads((stage / "metrics" / "cnn.json").read_text())
    assert set(metrics["calibration"]) == {"temperature", "unsure_below", "test"}
    n_test, n_held_out = (clips["split"] == "test").sum(), (clips["split"] != "train").sum()
    assert Guesser.asked == [(n_held_out, 0, None), (n_test, n_test, Enrolment(clips=3, seed=1))]
    assert set(metrics["test"]["enrolled"]["corpora"]) == {"wide", "narrow"}


def test_stage_reports_no_enrolment_for_a_model_that_knows_nobody(stage, monkeypatch):
    import stages.evaluate

    monkeypatch.setattr(Guesser, "can_enrol", False)
    stages.evaluate.main()
    assert "enrolled" not in json.loads((stage / "metrics" / "cnn.json").read_text())["test"]


def test_stage_gives_the_same_bytes_twice(stage):
    import stages.evaluate

    files = [path for path in stage.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    stages.evaluate.main()
    assert {path: path.read_bytes() for path in files} == before
