"""From the answers under all protocols of the honesty report to its one JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ser.bootstrap import SpeakerBootstrap
from ser.emotions import CANONICAL
from ser.evaluation import rounded
from ser.fold_scores import Answers, answers, pairs, summary
from ser.honesty import HOME, HONESTY, honesty_fold
from ser.runs import Runs

# pairs of protocols between which one thing changes, the more forgiving one first
STEPS = (
    ("files_twice", "random"),
    ("copies", "random"),
    ("chosen_on_test", "random"),
    ("random", "speakers"),
    ("speakers", "sentences"),
)


def honesty_scores(
    folds: Mapping[str, pd.DataFrame],
    crossings: Mapping[str, Mapping[str, int]],
    runs: Mapping[str, Runs],
    bootstrap: SpeakerBootstrap,
    *,
    synthetic: bool,
) -> dict[str, Any]:
    """Plain numbers, floats rounded: for each protocol what crosses and, by tested corpus, the models' figures.

    A figure is over all test clips of a protocol's folds together, its mean over seeds; the interval redraws their speakers.

    Args:
        folds: tables of `ser.honesty_splits` by name.
        crossings: of `ser.crossings` by fold.
        runs: by model; a protocol of which a fold or a seed is missing is left out by whoever gives them.
        bootstrap: of the intervals.
        synthetic: whether the voices are the built-in demo corpora.
    """
    protocols = {}
    for protocol in HONESTY:
        names = [name for name in folds if honesty_fold(name).protocol == protocol]
        if names:
            own = {model: some for model, found in runs.items() if (some := _under(protocol, found))}
            protocols[protocol] = {
                "folds": len(names),
                "crossings": pd.DataFrame([crossings[name] for name in names]).sum().to_dict(),
                "sizes": _sizes([folds[name] for name in names]),
                "tested": _tested([folds[name] for name in names], own, bootstrap),
            }
    steps = {model: _steps(found, bootstrap) for model, found in runs.items()}
    return rounded(
        {"synthetic_demo_voices": int(synthetic), "protocols": protocols, "steps": steps, "cost": _cost(runs)},
    )


def _under(protocol: str, runs: Runs) -> Runs:
    """Of one model's runs those under a protocol."""
    return {key: run for key, run in runs.items() if honesty_fold(key[0]).protocol == protocol}


def _steps(runs: Runs, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """`<protocol>_minus_<harder one>`: what a step is worth to one model, where both were tested on the same speakers."""
    found: dict[str, Any] = {}
    for easier, harder in STEPS:
        own = {name: _under(name, runs) for name in (harder, easier)}
        if all(own.values()):
            answered = {name: _by_seed(some, HOME, _emotions(some)) for name, some in own.items()}
            speakers = [set(next(iter(seeds.values())).speaker) for seeds in answered.values()]
            if speakers[0] == speakers[1]:
                found |= pairs(answered, "accuracy", bootstrap)
    return found


def _sizes(tables: Sequence[pd.DataFrame]) -> dict[str, float]:
    """Mean number of rows of each part of a fold."""
    return pd.DataFrame([table["split"].value_counts() for table in tables]).fillna(0).mean().to_dict()


def _tested(tables: Sequence[pd.DataFrame], models: Mapping[str, Runs], bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """Figures by tested corpus; answers are among the emotions that it shares with the training."""
    rows = pd.concat(tables, ignore_index=True)
    found = {}
    for corpus, test in rows[rows["split"] == "test"].groupby("corpus", sort=True):
        known = set(rows.loc[rows["corpus"] == corpus, "emotion"])
        emotions = [emotion for emotion in CANONICAL if emotion in known]
        answered = {model: _by_seed(runs, corpus, emotions) for model, runs in models.items()}
        found[corpus] = {
            "n": len(test),
            "n_speakers": test["speaker"].nunique(),
            "n_emotions": len(emotions),
            "models": {model: summary(seeds, bootstrap) for model, seeds in answered.items()},
            "pairs": pairs(answered, "accuracy", bootstrap),
        }
    return found


def _emotions(runs: Runs) -> list[str]:
    """All that a model of these runs tells apart."""
    table, _ = next(iter(runs.values()))
    return [emotion for emotion in CANONICAL if f"p_{emotion}" in table]


def _by_seed(runs: Runs, corpus: str, emotions: Sequence[str]) -> dict[int, Answers]:
    seeds = {}
    for seed in sorted({seed for _, seed in runs}):
        tables = [table for (_, own), (table, _) in runs.items() if own == seed]
        joined = pd.concat(tables, ignore_index=True)
        single = joined[(joined["condition"] == "none") & (joined["corpus"] == corpus)]
        seeds[seed] = answers({corpus: single}, emotions)  # as one fold, so that a speaker of several is drawn as one
    return seeds


def _cost(runs: Mapping[str, Runs]) -> dict[str, dict[str, float]]:
    reports = {model: [about for _, about in found.values()] for model, found in runs.items()}
    return {
        model: {"trainings": len(found), "took_s": float(sum(about["took_s"] for about in found))}
        for model, found in reports.items()
        if found
    }
