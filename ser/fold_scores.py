"""Scores of a protocol: mean over its folds and seeds, with intervals, and models compared on the same redrawn speakers.

The figure of a protocol is the mean over folds of each fold's UAR (or accuracy), averaged over seeds. Its interval redraws the
test speakers: within each fold where folds test several, and the folds themselves where each tests one speaker. Fewer than
three speakers say nothing about others: then clips are redrawn, and `interval_over_clips` says that it is too narrow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ser import scoring
from ser.bootstrap import SpeakerBootstrap, interval, two_sided_p

MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {"uar": scoring.uar, "accuracy": scoring.accuracy}


@dataclass(frozen=True)
class Answers:
    """Test clips of all folds as answered by one model: arrays over (n_clips,), and how many emotions there are."""

    fold: np.ndarray
    speaker: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    n_emotions: int

    def counts(self, fold: str) -> np.ndarray:
        """Count matrix of one fold, truth in rows."""
        rows = self.fold == fold
        return scoring.confusion(self.truth[rows], self.predicted[rows], self.n_emotions)

    @property
    def folds(self) -> list[str]:
        """Names in order."""
        return sorted(set(self.fold))

    @property
    def one_speaker_a_fold(self) -> bool:
        """Whether the folds are the speakers, three or more of them."""
        pairs = set(zip(self.fold, self.speaker, strict=True))
        return len(pairs) == len(self.folds) >= 3

    @property
    def over_clips(self) -> bool:
        """Whether some fold has a single speaker whose clips are redrawn in place of speakers."""
        if self.one_speaker_a_fold:
            return False
        return any(len(set(self.speaker[self.fold == fold])) == 1 for fold in self.folds)


def answers(tables: Mapping[str, pd.DataFrame], emotions: Sequence[str]) -> Answers:
    """Join the test answers of the folds; a model that knows more emotions than the protocol may not answer with them.

    Args:
        tables: by fold, rows of `ser.fold_training.answer_fold` of one condition, with p_<emotion> columns.
        emotions: of the protocol.
    """
    parts = []
    for fold, table in tables.items():
        rows = table[table["split"] == "test"].sort_values("id", ignore_index=True)
        known = [name.removeprefix("p_") for name in rows if name.startswith("p_")]
        probabilities = rows[[f"p_{name}" for name in known]].to_numpy(dtype=float)
        choice = scoring.closed(probabilities, np.isin(known, emotions)).argmax(axis=1)
        codes = {emotion: code for code, emotion in enumerate(emotions)}
        truth, predicted = rows["emotion"].map(codes), [codes[known[n]] for n in choice]
        parts.append(pd.DataFrame({"fold": fold, "speaker": rows["speaker"], "truth": truth, "predicted": predicted}))
    joined = pd.concat(parts, ignore_index=True)
    objects = (joined[name].to_numpy(dtype=object) for name in ("fold", "speaker"))
    return Answers(*objects, *(joined[name].to_numpy(dtype=int) for name in ("truth", "predicted")), len(emotions))


def mean_of(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The ensemble of seeds: the same clips with the mean of their probabilities."""
    ordered = [table.sort_values("id", ignore_index=True) for table in tables]
    columns = [name for name in ordered[0] if name.startswith("p_")]
    mean = np.mean([table[columns].to_numpy(dtype=float) for table in ordered], axis=0)
    return ordered[0].assign(**dict(zip(columns, mean.T, strict=True)))


def by_fold(given: Answers, measure: str) -> dict[str, float]:
    """The measure in each fold."""
    return {fold: float(MEASURES[measure](given.counts(fold))) for fold in given.folds}


def draws(given: Answers, measure: str, bootstrap: SpeakerBootstrap) -> np.ndarray:
    """The mean over folds in every draw, (n_bootstrap,); the same speakers are drawn for every model and seed."""
    if given.one_speaker_a_fold:
        values = np.array(list(by_fold(given, measure).values()))
        random = np.random.default_rng([bootstrap.seed, len(values)])
        times_drawn = random.multinomial(len(values), np.full(len(values), 1 / len(values)), size=bootstrap.n_bootstrap)
        return times_drawn @ values / len(values)
    drawn = bootstrap(given.truth, given.predicted, given.n_emotions, corpus=given.fold, speaker=given.speaker)
    return np.mean([MEASURES[measure](drawn[fold]) for fold in given.folds], axis=0)


def summary(seeds: Mapping[int, Answers], bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """Both measures: mean over seeds of the mean over folds, its interval, each seed's figure, and each fold's."""
    found: dict[str, Any] = {"interval_over_clips": int(next(iter(seeds.values())).over_clips)}
    for measure in MEASURES:
        folds = {seed: by_fold(given, measure) for seed, given in seeds.items()}
        of_seeds = {str(seed): float(np.mean(list(values.values()))) for seed, values in folds.items()}
        low, high = interval(np.mean([draws(given, measure, bootstrap) for given in seeds.values()], axis=0))
        found[measure] = {
            "mean": float(np.mean(list(of_seeds.values()))),
            "low": low,
            "high": high,
            "seeds": of_seeds,
            "seeds_deviation": float(np.std(list(of_seeds.values()), ddof=1)) if len(seeds) > 1 else float("nan"),
            "folds": {fold: float(np.mean([values[fold] for values in folds.values()])) for fold in next(iter(folds.values()))},
        }
    return found


def pairs(models: Mapping[str, Mapping[int, Answers]], measure: str, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """`<second>_minus_<first>`: difference of the protocol's figure, its interval and p, both models on the same draws."""
    found = {}
    for first, second in combinations(models, 2):
        runs = [models[name].values() for name in (first, second)]
        figures = [[np.mean(list(by_fold(given, measure).values())) for given in seeds] for seeds in runs]
        drawn = [np.mean([draws(given, measure, bootstrap) for given in seeds], axis=0) for seeds in runs]
        difference = drawn[1] - drawn[0]
        low, high = interval(difference)
        found[f"{second}_minus_{first}"] = {
            "delta": float(np.mean(figures[1]) - np.mean(figures[0])),
            "delta_low": low,
            "delta_high": high,
            "p": two_sided_p(difference),
        }
    return found
