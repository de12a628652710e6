"""How much of a long list of trainings is done, and how long the rest will take."""

from collections.abc import Sequence

import numpy as np


class Progress:
    """Durations of finished pieces of work, and from them an estimate for those to come.

    A piece is known by its group, most telling part first, such as (model, protocol): the mean over its own group is taken
    where there is one, else over all that share its first part, else over all.
    """

    def __init__(self) -> None:
        self._took: list[tuple[tuple[str, ...], float]] = []

    def add(self, group: tuple[str, ...], took_s: float) -> None:
        """Note a finished piece."""
        self._took.append((group, took_s))

    def left_s(self, groups: Sequence[tuple[str, ...]]) -> float | None:
        """Seconds for the pieces to come, one group each; None while nothing is known."""
        if not self._took:
            return None
        return float(sum(self._expected_s(group) for group in groups))

    def _expected_s(self, group: tuple[str, ...]) -> float:
        for depth in range(len(group), -1, -1):
            if known := [took_s for other, took_s in self._took if other[:depth] == group[:depth]]:
                return float(np.mean(known))
        raise AssertionError("the empty group matches everything")


def in_words(seconds: float | None) -> str:
    """A duration for a line of log."""
    if seconds is None:
        return "time left unknown"
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute left"
    return f"about {minutes} min left" if minutes < 100 else f"about {seconds / 3600:.1f} h left"
