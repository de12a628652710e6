"""Quick summaries equal NumPy's to the bit."""

import numpy as np
import pytest

from ser import tracks

PERCENTS = (0, 5, 20, 25, 50, 75, 80, 95, 100)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 100, 299])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_numbers_are_those_of_numpy(n, scale):
    x = scale * np.random.default_rng(n).normal(3, 1, n)
    assert tracks.mean(x) == x.mean()
    assert tracks.percentiles(x, PERCENTS) == np.percentile(x, PERCENTS).tolist()
    assert tracks.median(x) == np.median(x)
    if n > 1:
        assert tracks.sd(x) == x.std(ddof=1)
    if n > 2:
        t = np.arange(n) * 0.01
        assert tracks.slope(t, x) == pytest.approx(np.polyfit(t, x, 1)[0], rel=1e-9)


def test_flags_have_a_share():
    assert tracks.mean(np.array([True, False, False, True])) == 0.5


def test_what_is_not_there_is_nan():
    nothing, one, two = np.zeros(0), np.zeros(1), np.zeros(2)
    for value in (tracks.mean(nothing), tracks.median(nothing), tracks.sd(one), tracks.slope(two, two)):
        assert np.isnan(value)
