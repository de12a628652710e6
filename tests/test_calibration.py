"""Calibration: a temperature that never changes the verdict, and a threshold that keeps what it promises."""

import numpy as np
import pytest

from ser.calibration import Calibration, CalibrationParams, calibrate, committed, risk_coverage

N_EMOTIONS = 4
AIM = CalibrationParams(sure_accuracy=0.8, minimum_coverage=0.3)


def judged(n=4000, sharpness=1.0, seed=1):
    """Truths drawn from the probabilities themselves, which are then sharpened: calibrated where `sharpness` is 1."""
    random = np.random.default_rng(seed)
    honest = random.dirichlet(np.full(N_EMOTIONS, 0.6), n)
    truth = np.array([random.choice(N_EMOTIONS, p=row) for row in honest])
    sharp = np.maximum(honest, 1e-6) ** sharpness
    return truth, sharp / sharp.sum(axis=1, keepdims=True)


def test_the_verdict_stays_and_probabilities_sum_to_one():
    _, probabilities = judged(200)
    for temperature in (0.25, 1.0, 4.0):
        found = Calibration(temperature)(probabilities)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-12)
        assert np.array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(Calibration()(probabilities), probabilities, atol=1e-5)
    assert (Calibration(2.0)(probabilities).max(axis=1) <= probabilities.max(axis=1) + 1e-5).all()


def test_one_clip_is_calibrated_as_it_is_among_others():
    _, probabilities = judged(5)
    assert np.array_equal(Calibration(1.7)(probabilities[2]), Calibration(1.7)(probabilities)[2])


def test_certainty_stays_finite():
    found = Calibration(0.25)(np.array([1.0, 0.0, 0.0, 0.0]))
    assert np.isfinite(found).all() and found[0] > 0.999


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0, 3.0])
def test_the_temperature_undoes_over_and_underconfidence(sharpness):
    truth, probabilities = judged(sharpness=sharpness)
    assert calibrate(truth, probabilities, AIM).temperature == pytest.approx(sharpness, rel=0.1)


def test_the_threshold_is_the_lowest_that_is_right_as_often_as_asked():
    truth, probabilities = judged()
    aim = CalibrationParams(sure_accuracy=0.72, minimum_coverage=0.3)
    calibration = calibrate(truth, probabilities, aim)
    coverage, accuracy = committed(truth, probabilities, calibration)
    assert aim.minimum_coverage < coverage < 1
    assert accuracy == pytest.approx(aim.sure_accuracy, abs=0.005)
    lower = Calibration(calibration.temperature, calibration.unsure_below - 0.05)
    assert committed(truth, probabilities, lower)[1] < aim.sure_accuracy


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("minimum_coverage", [0.2, 0.5, 0.9, 1.0])
def test_what_cannot_be_reached_still_leaves_the_least_coverage(seed, minimum_coverage):
    truth, probabilities = judged(n=101, seed=seed)
    calibration = calibrate(truth, probabilities, CalibrationParams(sure_accuracy=1.1, minimum_coverage=minimum_coverage))
    coverage, _ = committed(truth, probabilities, calibration)
    assert minimum_coverage <= coverage < minimum_coverage + 0.05


def test_a_model_that_is_always_right_is_always_sure():
    truth = np.arange(40) % N_EMOTIONS
    calibration = calibrate(truth, np.eye(N_EMOTIONS)[truth] * 0.8 + 0.05, AIM)
    assert calibration.unsure_below == 0.0
    assert committed(truth, np.eye(N_EMOTIONS)[truth], calibration) == (1.0, 1.0)


def test_without_clips_nothing_is_changed():
    assert calibrate(np.zeros(0, int), np.zeros((0, N_EMOTIONS)), AIM) == Calibration(1.0, 0.0)


def test_nothing_sure_has_no_accuracy():
    truth, probabilities = judged(20)
    coverage, accuracy = committed(truth, probabilities, Calibration(1.0, 1.1))
    assert coverage == 0.0 and np.isnan(accuracy)


def test_the_risk_curve_keeps_the_most_confident_first():
    truth = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])  # the second most confident is wrong
    assert risk_coverage(truth, probabilities, 4) == [(0.25, 0.0), (0.5, 0.5), (0.75, pytest.approx(1 / 3)), (1.0, 0.25)]
    assert len(risk_coverage(*judged(7))) == 7, "no more points than clips"
    curve = risk_coverage(*judged())
    assert len(curve) == 20 and curve[0][1] < curve[-1][1]
