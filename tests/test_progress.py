"""An estimate of the time left, from the most alike pieces of work that have ended."""

import pytest

from ser.progress import Progress, in_words


def test_nothing_is_known_at_first():
    assert Progress().left_s([("cnn", "iesc")]) is None
    assert in_words(None) == "time left unknown"


def test_the_most_alike_pieces_count():
    progress = Progress()
    for group, took_s in [(("cnn", "iesc"), 100), (("cnn", "iesc"), 120), (("cnn", "tess"), 10), (("prosody", "iesc"), 20)]:
        progress.add(group, took_s)
    assert progress.left_s([("cnn", "iesc")]) == 110
    assert progress.left_s([("cnn", "emodb")]) == pytest.approx(230 / 3), "the same model on other protocols"
    assert progress.left_s([("hybrid", "iesc")]) == pytest.approx(250 / 4), "any"
    assert progress.left_s([("cnn", "iesc"), ("prosody", "iesc")]) == 130
    assert progress.left_s([]) == 0


@pytest.mark.parametrize("seconds, words", [
    (5, "less than a minute left"), (600, "about 10 min left"), (7200, "about 2.0 h left"),
])  # fmt: skip
def test_in_words(seconds, words):
    assert in_words(seconds) == words
