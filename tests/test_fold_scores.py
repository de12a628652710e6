"""A protocol's figure: mean over folds and seeds, intervals over the right units, and models compared on the same draws."""

import numpy as np
import pandas as pd
import pytest

from ser.bootstrap import SpeakerBootstrap, interval
from ser.fold_scores import answers, by_fold, draws, mean_of, pairs, summary

EMOTIONS = ("neutral", "happy")
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=400, seed=1)


def answered(*rows, emotions=EMOTIONS):
    """(speaker, truth, chosen emotion) to a table of answers."""
    table = pd.DataFrame(
        [
            {"id": f"{n:03}", "corpus": "c", "speaker": speaker, "split": "test", "emotion": truth}
            | {f"p_{name}": 0.8 if name == chosen else 0.1 for name in emotions}
            for n, (speaker, truth, chosen) in enumerate(rows)
        ]
    )
    return table.astype(str)  # as read from a file


def speaker_right(name, n_right, n=10):
    """`n` clips of each emotion, of the neutral ones `n_right` right, all happy ones right."""
    return [(name, "neutral", "neutral" if k < n_right else "happy") for k in range(n)] + [(name, "happy", "happy")] * n


def test_the_mean_is_over_folds_not_over_clips():
    folds = {"a": answered(*speaker_right("s1", 0, n=2)), "b": answered(*speaker_right("s2", 30, n=30))}
    given = answers(folds, EMOTIONS)
    assert by_fold(given, "uar") == {"a": 0.5, "b": 1.0}
    assert summary({1: given}, BOOTSTRAP)["uar"]["mean"] == pytest.approx(0.75)


def test_an_emotion_without_test_clips_in_a_fold_does_not_count_there():
    given = answers({"a": answered(("s", "happy", "happy"), ("s", "happy", "neutral"))}, EMOTIONS)
    assert by_fold(given, "uar") == {"a": 0.5}


def test_validation_rows_are_not_scored():
    table = answered(("s", "happy", "happy"), ("s", "neutral", "happy"))
    table.loc[1, "split"] = "validation"
    assert by_fold(answers({"a": table}, EMOTIONS), "accuracy") == {"a": 1.0}


def test_a_model_that_knows_more_may_only_answer_with_the_protocols_emotions():
    table = answered(("s", "happy", "calm"), ("s", "neutral", "calm"), emotions=(*EMOTIONS, "calm"))
    table["p_happy"] = ["0.15", "0.05"]
    assert by_fold(answers({"a": table}, EMOTIONS), "accuracy") == {"a": 1.0}


def test_order_of_rows_and_of_columns_does_not_matter():
    table = answered(*speaker_right("s1", 3), *speaker_right("s2", 8))
    shuffled = table.sample(frac=1, random_state=1)[[*reversed(table.columns)]]
    assert by_fold(answers({"a": shuffled}, EMOTIONS), "uar") == by_fold(answers({"a": table}, EMOTIONS), "uar")


def test_where_each_fold_is_a_speaker_the_folds_are_redrawn():
    folds = {name: answered(*speaker_right(name, n_right)) for name, n_right in zip("abcd", (0, 2, 8, 10), strict=True)}
    given = answers(folds, EMOTIONS)
    assert given.one_speaker_a_fold and not given.over_clips
    drawn = draws(given, "uar", BOOTSTRAP)
    assert drawn.mean() == pytest.approx(0.75, abs=0.02)
    values = np.array([0.5, 0.6, 0.9, 1.0])
    assert drawn.std() == pytest.approx(values.std() / 2, rel=0.15), "standard error of a mean of four"


def test_where_a_fold_has_several_speakers_they_are_redrawn_within_it():
    same = {fold: answered(*speaker_right(f"{fold}1", 5), *speaker_right(f"{fold}2", 5)) for fold in "ab"}
    given = answers(same, EMOTIONS)
    assert not given.one_speaker_a_fold and not given.over_clips
    assert draws(given, "uar", BOOTSTRAP).std() == pytest.approx(0), "equal speakers: nothing to vary but the folds"
    unlike = {fold: answered(*speaker_right(f"{fold}1", 0), *speaker_right(f"{fold}2", 10)) for fold in "ab"}
    assert draws(answers(unlike, EMOTIONS), "uar", BOOTSTRAP).std() > 0.05


def test_two_speakers_have_their_clips_redrawn_and_it_is_said():
    given = answers({name: answered(*speaker_right(name, 5)) for name in "ab"}, EMOTIONS)
    assert given.over_clips and summary({1: given}, BOOTSTRAP)["interval_over_clips"] == 1
    assert 0 < draws(given, "uar", BOOTSTRAP).std() < 0.1


def test_seeds_are_averaged_and_their_spread_is_told():
    def fold(right):
        return {"a": answered(*speaker_right("s1", right), *speaker_right("s2", right))}

    seeds = {seed: answers(fold(right), EMOTIONS) for seed, right in [(1, 4), (2, 8)]}
    found = summary(seeds, BOOTSTRAP)["uar"]
    assert found["seeds"] == {"1": pytest.approx(0.7), "2": pytest.approx(0.9)}
    assert found["mean"] == pytest.approx(0.8) and found["seeds_deviation"] == pytest.approx(0.2 / np.sqrt(2))
    assert found["folds"] == {"a": pytest.approx(0.8)}
    assert found["low"] == found["high"] == pytest.approx(0.8), "equal speakers: the interval is over them, not over seeds"
    assert np.isnan(summary({1: seeds[1]}, BOOTSTRAP)["uar"]["seeds_deviation"])


def test_the_ensemble_is_of_probabilities_clip_by_clip():
    first = answered(("s", "happy", "happy"), ("s", "neutral", "happy"))
    second = answered(("s", "happy", "happy"), ("s", "neutral", "neutral"))
    second["p_neutral"] = ["0.0", "1.0"]
    joined = mean_of([first, second[::-1]])
    assert joined["p_neutral"].tolist() == pytest.approx([0.05, 0.55])
    assert by_fold(answers({"a": joined}, EMOTIONS), "accuracy") == {"a": 1.0}


def test_a_pair_is_compared_on_the_same_draws():
    names = "abcdef"
    weak = {n: answered(*speaker_right(n, right)) for n, right in zip(names, (0, 2, 4, 5, 7, 9), strict=True)}
    strong = {n: answered(*speaker_right(n, right)) for n, right in zip(names, (1, 3, 5, 6, 8, 10), strict=True)}
    models = {name: {1: answers(folds, EMOTIONS)} for name, folds in [("weak", weak), ("strong", strong), ("again", weak)]}
    found = pairs(models, "uar", BOOTSTRAP)
    assert set(found) == {"strong_minus_weak", "again_minus_weak", "again_minus_strong"}
    better = found["strong_minus_weak"]
    assert [better["delta"], better["delta_low"], better["delta_high"]] == pytest.approx([0.05, 0.05, 0.05])
    assert better["p"] < 0.01, "better on every speaker, though the speakers differ by far more"
    assert found["again_minus_weak"]["delta"] == 0 and found["again_minus_weak"]["p"] == 1


def test_an_interval_holds_its_figure():
    random = np.random.default_rng(1)
    folds = {f"s{n}": answered(*speaker_right(f"s{n}", random.integers(0, 11))) for n in range(8)}
    found = summary({1: answers(folds, EMOTIONS)}, BOOTSTRAP)
    for measure in ("uar", "accuracy"):
        assert found[measure]["low"] < found[measure]["mean"] < found[measure]["high"]
    assert interval(draws(answers(folds, EMOTIONS), "uar", BOOTSTRAP)) == (found["uar"]["low"], found["uar"]["high"])
