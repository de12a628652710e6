"""Comparison of models: paired on speakers, chosen on validation, honest in its title."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from ser.bootstrap import SpeakerBootstrap
from ser.comparison import ComparisonError, as_markdown, compare
from ser.evaluation import evaluate, predictions_table
from ser.files import write_csv, write_json

EMOTIONS = ("neutral", "happy", "sad")
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=500, seed=1)


def corpus(n_speakers: int = 12) -> pd.DataFrame:
    rows = [
        {
            "id": f"{name}_{speaker}_{emotion}_{take}",
            "corpus": name,
            "speaker": f"{name}_{speaker}",
            "sex": "female",
            "intensity": "",
            "emotion": emotion,
            "split": "validation" if speaker < 3 else "test",
        }
        for name in ("one", "two")
        for speaker in range(n_speakers)
        for emotion in EMOTIONS
        for take in range(5)
    ]
    return pd.DataFrame(rows)


CLIPS = corpus()


def scored(strength: float, *, validation_strength: float | None = None, noise: int = 0, synthetic: bool = False):
    """A model that hears the truth `strength` standard deviations above noise that is shared between models."""
    rng = np.random.default_rng(noise)
    logits = rng.normal(size=(len(CLIPS), len(EMOTIONS)))
    on_validation = strength if validation_strength is None else validation_strength
    strengths = np.where(CLIPS["split"] == "validation", on_validation, strength)
    logits[np.arange(len(CLIPS)), CLIPS["emotion"].map(EMOTIONS.index)] += strengths
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predictions = predictions_table(CLIPS, probabilities, EMOTIONS)
    metrics = evaluate(CLIPS, predictions, EMOTIONS, bootstrap=BOOTSTRAP, synthetic=synthetic)
    return predictions, metrics | {"model": {"parameters": 1234567, "size_bytes": 5_000_000}}


def comparison(**models):
    return compare(
        {name: predictions for name, (predictions, _) in models.items()},
        {name: metrics for name, (_, metrics) in models.items()},
        BOOTSTRAP,
    )


def test_delta_is_the_difference_of_the_reported_scores():
    result = comparison(cnn=scored(0.5), hybrid=scored(1.5))
    for part, scores in result["pairs"]["hybrid_minus_cnn"].items():
        difference = result["test"]["hybrid"][part]["uar"] - result["test"]["cnn"][part]["uar"]
        assert scores["delta"] == pytest.approx(difference, abs=2e-6)
        assert scores["delta_low"] <= scores["delta"] <= scores["delta_high"]
    assert set(result["pairs"]["hybrid_minus_cnn"]) == {"macro_over_corpora", "overall", "one", "two"}


def test_a_clear_difference_has_a_small_p_and_luck_has_not():
    clear = comparison(cnn=scored(0.3), hybrid=scored(1.5))["pairs"]["hybrid_minus_cnn"]["overall"]
    luck = comparison(cnn=scored(0.5, noise=1), hybrid=scored(0.5, noise=2))["pairs"]["hybrid_minus_cnn"]["overall"]
    assert clear["p"] < 0.01
    assert clear["delta_low"] > 0
    assert luck["p"] > 0.05
    assert luck["delta_low"] < 0 < luck["delta_high"]


def test_a_model_does_not_differ_from_itself():
    same = comparison(cnn=scored(0.5), again=scored(0.5))["pairs"]["again_minus_cnn"]["overall"]
    assert same == {"delta": 0.0, "delta_low": 0.0, "delta_high": 0.0, "p": 1.0}


def test_pairing_makes_the_difference_surer_than_the_scores():
    result = comparison(cnn=scored(0.8), hybrid=scored(1.0))  # both err on the same clips
    pair, single = result["pairs"]["hybrid_minus_cnn"]["overall"], result["test"]["cnn"]["overall"]
    assert pair["delta_high"] - pair["delta_low"] < single["uar_high"] - single["uar_low"]


def test_the_winner_is_chosen_on_validation_even_when_test_says_otherwise():
    result = comparison(cnn=scored(2.0, validation_strength=0.2), hybrid=scored(0.2, validation_strength=2.0))
    assert result["best"] == "hybrid"
    assert result["test"]["hybrid"]["overall"]["uar"] < result["test"]["cnn"]["overall"]["uar"]


def test_row_order_of_the_predictions_does_not_matter():
    predictions, metrics = scored(0.5)
    other = scored(1.0)
    shuffled = predictions.sample(frac=1, random_state=3)
    assert comparison(cnn=(shuffled, metrics), hybrid=other) == comparison(cnn=(predictions, metrics), hybrid=other)


def test_models_scored_on_other_clips_are_refused():
    predictions, metrics = scored(0.5)
    with pytest.raises(ComparisonError, match="same test clips"):
        comparison(cnn=scored(1.0), hybrid=(predictions.iloc[:-1], metrics))


def test_a_model_without_validation_is_refused():
    predictions, metrics = scored(0.5)
    del metrics["validation"]
    with pytest.raises(ComparisonError, match="cnn has no validation UAR"):
        comparison(cnn=(predictions, metrics))


def test_one_model_alone_is_the_best_without_pairs():
    result = comparison(cnn=scored(0.5))
    assert result["best"] == "cnn"
    assert "pairs" not in result
    assert "minus" not in as_markdown(result)


def test_markdown_names_the_split_and_the_choice():
    text = as_markdown(comparison(cnn=scored(0.3), hybrid=scored(1.0)))
    assert text.startswith("# Test UAR, speaker-disjoint\n")
    assert "Test speakers heard in training: 0." in text
    assert "Chosen on validation: hybrid." in text
    assert "hybrid minus cnn" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in tables[:4]}) == 1


def test_markdown_title_says_synthetic_demo_voices():
    text = as_markdown(comparison(cnn=scored(0.3, synthetic=True)))
    assert "synthetic demo voices" in text.splitlines()[0]


def test_markdown_title_does_not_claim_a_disjoint_split_when_speakers_were_heard():
    predictions, metrics = scored(0.3)
    text = as_markdown(comparison(cnn=(predictions, metrics | {"test_speakers_heard_in_training": 4})))
    assert text.startswith("# Test UAR, not speaker-disjoint")
    assert "heard in training: 4." in text


def test_stage_writes_the_comparison_in_three_forms(tmp_path, monkeypatch):
    import stages.compare

    models = {"cnn": scored(0.5), "hybrid": scored(1.0), "prosody": scored(0.2)}
    for name, (predictions, metrics) in models.items():
        write_csv(tmp_path / "predictions" / f"{name}.csv", predictions)
        write_json(tmp_path / "metrics" / f"{name}.json", metrics)
    chosen = f"pipeline: {{feature_sets: [], models: {json.dumps({name: {} for name in models})}}}\n"
    (tmp_path / "params.yaml").write_text("evaluate: {n_bootstrap: 500, seed: 1}\n" + chosen)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SER_PARAMS", raising=False)
    monkeypatch.setattr(sys, "argv", ["compare", "predictions", "metrics", "c.json", "c.csv", "c.md"])
    stages.compare.main()
    written = json.loads((tmp_path / "c.json").read_text())
    assert written == comparison(**models)
    assert set(written["pairs"]) == {"hybrid_minus_cnn", "prosody_minus_cnn", "prosody_minus_hybrid"}
    assert "| prosody | 1,234,567 | 5.00 |" in (tmp_path / "c.md").read_text()
    table = pd.read_csv(tmp_path / "c.csv").set_index(["model", "corpus"])
    assert table.loc[("prosody", "one"), "uar"] == written["test"]["prosody"]["one"]["uar"]
    assert table.loc[("hybrid", "all clips"), "macro_f1"] == written["test"]["hybrid"]["overall"]["macro_f1"]
    assert set(table.index.get_level_values("model")[table["chosen"] == 1]) == {written["best"]}
    assert (table["parameters"] == 1234567).all()
