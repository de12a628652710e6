"""The ablation: differences on the same speakers, what knowing the speaker is worth, and a document that says which way."""

import json

import pandas as pd
import pytest

from ser.ablation import change_scores, knowledge_scores
from ser.ablation_document import as_markdown
from ser.ablation_plan import AblationPlan, ablation_trainings
from ser.bootstrap import SpeakerBootstrap
from ser.protocols import BENCHMARKS

BENCHMARK = BENCHMARKS["iesc_loso"]
EMOTIONS = BENCHMARK.emotions
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=200, seed=1)
TITLES = {"mixup": "mixup of half the examples"}


def runs(right, *, seeds=(1,), seconds=10.0, **conditions):
    """Answers for one clip of each emotion by three speakers; `right[n]` of speaker n's five are right, `conditions` likewise."""
    found = {}
    for seed in seeds:
        for n, speaker in enumerate("123"):
            parts = []
            for condition, rights in {"none": right, **conditions}.items():
                rows = pd.DataFrame({"id": [f"{speaker}{e}" for e in EMOTIONS], "speaker": speaker, "emotion": EMOTIONS})
                chosen = [truth if code < rights[n] else EMOTIONS[code - 1] for code, truth in enumerate(EMOTIONS)]
                for emotion in EMOTIONS:
                    rows[f"p_{emotion}"] = [float(emotion == name) for name in chosen]
                parts.append(rows.assign(condition=condition, corpus="iesc", split="test"))
            found[f"iesc_{speaker}", seed] = (pd.concat(parts, ignore_index=True), {"took_s": seconds})
    return found


def test_a_change_is_compared_speaker_by_speaker():
    scores = change_scores(BENCHMARK, runs([2, 3, 4]), runs([3, 4, 5], seconds=25.0), BOOTSTRAP)
    assert scores["before"] == 0.6 and scores["after"] == 0.8
    assert scores["delta"] == scores["delta_low"] == scores["delta_high"] == 0.2, "every speaker gains as much: no doubt is left"
    assert scores["before_s"] == 30 and scores["after_s"] == 75
    mixed = change_scores(BENCHMARK, runs([2, 3, 4]), runs([5, 3, 2]), BOOTSTRAP)
    assert mixed["delta_low"] < 0 < mixed["delta_high"] and mixed["p"] > 0.2


def test_what_is_known_of_the_speaker_is_measured_against_the_single_clip():
    found = knowledge_scores(BENCHMARK, runs([2, 3, 4], seeds=(1, 2), enrolled=[3, 4, 5], transductive=[5, 5, 5]), BOOTSTRAP)
    assert {name: scores["delta"] for name, scores in found.items()} == {
        "enrolled": 0.2, "transductive": 0.4, "ensemble_of_seeds": 0.0,
    }  # fmt: skip
    assert knowledge_scores(BENCHMARK, runs([2, 3, 4]), BOOTSTRAP) == {}


def test_the_document_names_each_change_its_difference_and_its_cost():
    scores = change_scores(BENCHMARK, runs([2, 3, 4]), runs([3, 4, 5], seconds=25.0), BOOTSTRAP)
    known = knowledge_scores(BENCHMARK, runs([2, 3, 4], enrolled=[3, 4, 5]), BOOTSTRAP)
    report = {
        "protocol": "iesc_loso", "title": BENCHMARK.title, "folds": ["iesc_1"], "seeds": [1], "against": "transfer",
        "synthetic_demo_voices": 0, "changes": {"cnn": {"mixup": scores}},
        "knowledge": {"iesc_loso": {"title": BENCHMARK.title, "recipe": "transfer", "models": {"prosody": known}}},
    }  # fmt: skip
    text = as_markdown(json.loads(json.dumps(report)), TITLES)
    assert "| cnn | mixup of half the examples | 80.0 (before 60.0) | +20.0 (+20.0 to +20.0) | 0.0" in text and "| 2.5 |" in text
    assert f"| {BENCHMARK.title} | prosody | +20.0 (+20.0 to +20.0) | - | - |" in text
    assert "synthetic" not in text and "synthetic demo voices" in as_markdown({**report, "synthetic_demo_voices": 1}, TITLES)
    assert "python -m benchmarks.run ablation" in as_markdown(None, TITLES)


def test_a_plan_names_its_changes_in_words():
    plan = AblationPlan("iesc_loso", ("iesc_1", "iesc_2"), (1,), "transfer", {"cnn": ("mixup",), "prosody": ("mixup",)}, TITLES)
    assert [training.stage for training in ablation_trainings(plan, ["prosody"])] == [
        "ablation_prosody@iesc_1-mixup-1",
        "ablation_prosody@iesc_2-mixup-1",
    ]
    with pytest.raises(ValueError, match="what noise changes"):
        AblationPlan("iesc_loso", ("iesc_1",), (1,), "transfer", {"cnn": ("noise",)}, TITLES)
    with pytest.raises(ValueError, match="at least one"):
        AblationPlan("iesc_loso", ("iesc_1",), (1,), "transfer", {"cnn": ()}, TITLES)
