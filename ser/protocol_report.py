"""From the answers of all folds and seeds to the one report of a protocol."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ser.bootstrap import SpeakerBootstrap
from ser.evaluation import rounded
from ser.fold_scores import Answers, answers, mean_of, pairs, summary
from ser.protocols import Benchmark
from ser.runs import Runs

CONDITIONS = ("none", "enrolled", "transductive")


def report(
    benchmark: Benchmark,
    folds: Mapping[str, pd.DataFrame],
    recipes: Mapping[str, Mapping[str, Runs]],
    bootstrap: SpeakerBootstrap,
    *,
    synthetic: bool,
) -> dict[str, Any]:
    """Everything that the table shows, as plain numbers; floats rounded.

    Args:
        benchmark: the protocol.
        folds: tables of `ser.folds` by fold, those that ran.
        recipes: by recipe and model, complete runs; the headline is the first recipe's that has any.
        bootstrap: of the intervals.
        synthetic: whether the voices are the built-in demo corpora.
    """
    return rounded(
        {
            "title": benchmark.title,
            "headline": benchmark.headline,
            "headline_recipe": next(name for name, models in recipes.items() if models),
            "emotions": list(benchmark.emotions),
            "synthetic_demo_voices": int(synthetic),
            "folds_of_protocol": len(benchmark.folds),
            "folds": {name: _members(table) for name, table in folds.items()},
            "recipes": {name: _recipe(benchmark, models, bootstrap) for name, models in recipes.items() if models},
        }
    )


def _recipe(benchmark: Benchmark, models: Mapping[str, Runs], bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    singles = {model: by_seed(runs, "none", benchmark) for model, runs in models.items()}
    return {
        "models": {model: _model(benchmark, runs, bootstrap) for model, runs in models.items()},
        "pairs": pairs(singles, benchmark.headline, bootstrap),
    }


def _model(benchmark: Benchmark, runs: Runs, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for condition in CONDITIONS:
        if seeds := by_seed(runs, condition, benchmark):
            found[condition] = summary(seeds, bootstrap)
    if averaged := ensemble(runs, benchmark):
        found["ensemble_of_seeds"] = summary(averaged, bootstrap)
    return found | {"cost": _cost(runs)}


def ensemble(runs: Runs, benchmark: Benchmark) -> dict[int, Answers]:
    """Answers of the mean over seeds, a single clip of an unknown voice, as if of seed 0; empty if there is one seed."""
    seeds = sorted({seed for _, seed in runs})
    if len(seeds) < 2:
        return {}
    tables = {fold: mean_of([_condition(runs[fold, seed][0], "none") for seed in seeds]) for fold, _ in runs}
    return {0: answers(tables, benchmark.emotions)}


def by_seed(runs: Runs, condition: str, benchmark: Benchmark) -> dict[int, Answers]:
    """Answers by seed under one of CONDITIONS, without seeds that have none."""
    found = {}
    for seed in sorted({seed for _, seed in runs}):
        tables = {fold: _condition(table, condition) for (fold, own), (table, _) in runs.items() if own == seed}
        if not any(table.empty for table in tables.values()):
            found[seed] = answers(tables, benchmark.emotions)
    return found


def _condition(table: pd.DataFrame, condition: str) -> pd.DataFrame:
    return table[table["condition"] == condition]


def _cost(runs: Runs) -> dict[str, float]:
    reports = [about for _, about in runs.values()]
    return {
        "trainings": len(reports),
        "took_s": sum(about["took_s"] for about in reports),
        "longest_s": max(about["took_s"] for about in reports),
        "train_utterances_a_s": float(np.median([about["train_utterances_a_s"] for about in reports])),
        "answered_utterances_a_s": float(np.median([about["answered_utterances_a_s"] for about in reports])),
        "n_parameters": max(about["n_parameters"] for about in reports),
        "epochs_kept": float(np.median([about["epoch_kept"] for about in reports])),
    }


def _members(table: pd.DataFrame) -> dict[str, Any]:
    """Clips and speakers of each part, and the names of those tested."""
    parts = {part: {"n": len(rows), "n_speakers": rows["speaker"].nunique()} for part, rows in table.groupby("split", sort=True)}
    speakers = {part: set(table.loc[table["split"] == part, "speaker"]) for part in ("train", "validation", "test")}
    return parts | {
        "tested": sorted(speakers["test"]),
        "validated_on_training_speakers": int(bool(speakers["validation"] & speakers["train"])),
    }
