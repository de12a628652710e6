"""Scores against sklearn on random cases, by hand on small ones; intervals behave as intervals."""

import time

import numpy as np
import pytest

from ser import scoring
from ser.bootstrap import SpeakerBootstrap, interval, over_clips, two_sided_p

BOOTSTRAP = SpeakerBootstrap(n_bootstrap=1000, seed=1)


def random_case(seed: int, *, n_clips: int = 300, n_emotions: int = 7, absent: int | None = None):
    rng = np.random.default_rng(seed)
    present = [code for code in range(n_emotions) if code != absent]
    truth = rng.choice(present, n_clips)
    logits = rng.normal(size=(n_clips, n_emotions))
    logits[np.arange(n_clips), truth] += 1.0
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, probabilities


@pytest.mark.parametrize("absent", [None, 0, 6])
@pytest.mark.parametrize("seed", range(3))
def test_scores_agree_with_sklearn(seed, absent):
    from sklearn import metrics

    truth, probabilities = random_case(seed, absent=absent)
    predicted = probabilities.argmax(axis=1)
    present = np.unique(truth)
    counts = scoring.confusion(truth, predicted, 7)
    among_present = {"labels": present, "zero_division": 0}
    rest = [metrics.roc_auc_score(truth == code, probabilities[:, code]) for code in present]

    assert (counts == metrics.confusion_matrix(truth, predicted, labels=range(7))).all()
    assert scoring.accuracy(counts) == pytest.approx(metrics.accuracy_score(truth, predicted))
    assert scoring.uar(counts) == pytest.approx(metrics.recall_score(truth, predicted, average="macro", **among_present))
    assert scoring.macro_f1(counts) == pytest.approx(metrics.f1_score(truth, predicted, average="macro", **among_present))
    assert scoring.weighted_f1(counts) == pytest.approx(metrics.f1_score(truth, predicted, average="weighted"))
    assert scoring.roc_auc(truth, probabilities) == pytest.approx(np.mean(rest))
    assert scoring.log_loss(truth, probabilities) == pytest.approx(metrics.log_loss(truth, probabilities, labels=range(7)))


def test_scores_of_a_case_done_by_hand():
    counts = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])
    assert scoring.recalls(counts)[:2] == pytest.approx([0.75, 0.5])
    assert np.isnan(scoring.recalls(counts)[2])
    assert scoring.uar(counts) == pytest.approx(0.625)
    assert scoring.accuracy(counts) == pytest.approx(5 / 8)
    assert scoring.f1_scores(counts)[:2] == pytest.approx([6 / 9, 4 / 7])


def test_predicting_an_absent_emotion_costs_recall_but_adds_no_class():
    truth = np.array([0, 0, 1, 1])
    counts = scoring.confusion(truth, np.array([0, 2, 1, 1]), 3)
    assert scoring.uar(counts) == pytest.approx(0.75)


def test_rows_of_the_confusion_matrix_sum_to_one_or_are_undefined():
    truth, probabilities = random_case(5, absent=3)
    shares = scoring.row_shares(scoring.confusion(truth, probabilities.argmax(axis=1), 7))
    assert np.delete(shares, 3, axis=0).sum(axis=1) == pytest.approx(np.ones(6))
    assert np.isnan(shares[3]).all()


@pytest.mark.parametrize("decimals", [1, 6])  # one decimal: many ties
def test_roc_points_agree_with_sklearn(decimals):
    from sklearn import metrics

    truth, probabilities = random_case(3)
    score = probabilities[:, 0].round(decimals)
    false_rate, true_rate = scoring.roc_points(truth == 0, score)
    expected_false, expected_true, _ = metrics.roc_curve(truth == 0, score, drop_intermediate=False)
    assert false_rate == pytest.approx(expected_false)
    assert true_rate == pytest.approx(expected_true)


def test_roc_auc_is_undefined_with_one_emotion():
    assert np.isnan(scoring.roc_auc(np.zeros(4, int), np.full((4, 2), 0.5)))


def test_log_loss_of_a_certain_mistake_is_finite():
    assert scoring.log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(-np.log(1e-6))


def test_ece_agrees_with_a_loop_over_bins():
    truth, probabilities = random_case(7)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert scoring.ece(truth, probabilities) == pytest.approx(expected)


def test_ece_is_zero_when_confidence_is_deserved_and_large_when_not():
    truth = np.array([0] * 8 + [1] * 2)
    assert scoring.ece(truth, np.tile([0.8, 0.2], (10, 1))) == pytest.approx(0.0)
    assert scoring.ece(truth, np.tile([1.0, 0.0], (10, 1))) == pytest.approx(0.2)


def test_closed_scores_never_predict_what_the_corpus_lacks():
    probabilities = np.array([[0.2, 0.7, 0.1], [0.0, 1.0, 0.0]])
    closed = scoring.closed(probabilities, np.array([True, False, True]))
    assert closed[0] == pytest.approx([2 / 3, 0.0, 1 / 3])
    assert closed[1] == pytest.approx([0.5, 0.0, 0.5])  # nothing left to renormalise


def voices(n_speakers: int, *, clips_each: int = 40, spread: float = 0.2, seed: int = 0):
    """Speakers on whom the model does well or badly: accuracy 0.6, spread between speakers as given."""
    rng = np.random.default_rng(seed)
    speaker = np.repeat([f"s{n}" for n in range(n_speakers)], clips_each)
    skill = np.repeat(np.clip(rng.normal(0.6, spread, n_speakers), 0, 1), clips_each)
    truth = np.tile(np.arange(4), len(speaker) // 4)
    predicted = np.where(rng.random(len(speaker)) < skill, truth, (truth + 1) % 4)
    return truth, predicted, np.full(len(speaker), "c"), speaker


def uar_interval(truth, predicted, corpus, speaker):
    draws = BOOTSTRAP(truth, predicted, 4, corpus=corpus, speaker=speaker)
    return interval(scoring.uar(draws["c"]))


def test_interval_is_wider_for_fewer_speakers_and_holds_the_score():
    def mean_width(n_speakers: int) -> float:
        widths = []
        for seed in range(10):  # few speakers can be alike by luck
            case = voices(n_speakers, seed=seed)
            low, high = uar_interval(*case)
            assert low < scoring.uar(scoring.confusion(case[0], case[1], 4)) < high
            widths.append(high - low)
        return float(np.mean(widths))

    # four times the speakers, half the width
    assert mean_width(6) > 1.5 * mean_width(24) > 1.5 * 1.5 * mean_width(96)


def test_interval_over_speakers_is_wider_than_one_that_takes_clips_as_independent():
    truth, predicted, corpus, speaker = voices(20, spread=0.25)
    low, high = uar_interval(truth, predicted, corpus, speaker)
    clip_low, clip_high = uar_interval(truth, predicted, corpus, np.arange(len(truth)))
    assert high - low > 1.3 * (clip_high - clip_low)


def test_interval_covers_the_population_about_as_often_as_it_says():
    hits = 0
    for seed in range(100):
        low, high = uar_interval(*voices(30, spread=0.1, seed=seed))
        hits += low <= 0.6 <= high
    assert 86 <= hits <= 100


def test_bootstrap_equals_redrawing_speakers_one_by_one():
    truth, predicted, corpus, speaker = voices(5)
    draws = BOOTSTRAP(truth, predicted, 4, corpus=corpus, speaker=speaker)["c"]
    by_speaker = [scoring.confusion(truth[speaker == s], predicted[speaker == s], 4) for s in np.unique(speaker)]
    rng = np.random.default_rng(9)
    slow = np.array([sum(by_speaker[n] for n in rng.integers(0, 5, 5)) for _ in range(1000)])
    assert (draws.sum(axis=(1, 2)) == 200).all()
    assert np.percentile(scoring.uar(draws), [5, 50, 95]) == pytest.approx(
        np.percentile(scoring.uar(slow), [5, 50, 95]), abs=0.03
    )


def test_single_speaker_has_clips_redrawn_and_says_so():
    truth, predicted, corpus, speaker = voices(1)
    low, high = uar_interval(truth, predicted, corpus, speaker)
    assert low < high
    assert over_clips(corpus, speaker)
    assert not over_clips(*voices(2)[2:])


def test_a_draw_without_an_emotion_is_scored_on_the_others():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0])
    draws = BOOTSTRAP(truth, predicted, 2, corpus=np.full(4, "c"), speaker=np.array(["a", "a", "b", "b"]))["c"]
    assert set(np.unique(scoring.uar(draws))) == {0.5, 0.75, 1.0}  # b alone, both, a alone


def test_draws_of_a_corpus_do_not_depend_on_other_corpora():
    truth, predicted, corpus, speaker = voices(8)
    alone = BOOTSTRAP(truth, predicted, 4, corpus=corpus, speaker=speaker)["c"]
    both = BOOTSTRAP(
        np.tile(truth, 2), np.tile(predicted, 2), 4, corpus=np.repeat(["a", "c"], len(truth)), speaker=np.tile(speaker, 2)
    )
    assert (both["c"] == alone).all()
    assert (both["a"] != alone).any()


def test_p_is_small_for_a_steady_difference_and_one_for_none():
    assert two_sided_p(np.full(999, 0.1)) == pytest.approx(0.002)
    assert two_sided_p(np.zeros(999)) == 1.0
    assert two_sided_p(np.linspace(-1, 1, 1000)) > 0.9


def test_too_few_draws_are_refused():
    with pytest.raises(ValueError, match="n_bootstrap"):
        SpeakerBootstrap(n_bootstrap=10, seed=0)


def test_a_thousand_draws_of_a_real_sized_test_part_take_under_a_second():
    truth, probabilities = random_case(0, n_clips=1500)
    corpus = np.repeat(["a", "b", "c", "d", "e", "f"], 250)
    speaker = np.where(corpus == "a", "one", np.char.add(corpus, (np.arange(1500) % 20).astype(str)))
    start = time.perf_counter()
    BOOTSTRAP(truth, probabilities.argmax(axis=1), 7, corpus=corpus, speaker=speaker)
    assert time.perf_counter() - start < 1
