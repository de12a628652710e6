"""What single changes are worth: differences to the recipe they depart from, on the same speakers."""

from typing import Any

import numpy as np
import pandas as pd

from ser import scoring
from ser.bootstrap import SpeakerBootstrap
from ser.evaluation import rounded
from ser.fold_scores import by_fold, pairs
from ser.protocol_report import by_seed, ensemble
from ser.protocols import Benchmark
from ser.runs import Runs

_SINGLE, _OTHER = "single", "other"


def change_scores(benchmark: Benchmark, before: Runs, after: Runs, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """What a change does to the protocol's headline measure and to the UAR on validation clips; floats rounded.

    Args:
        benchmark: the protocol.
        before: complete runs of the recipe departed from.
        after: of the changed one, on the same folds and seeds.
        bootstrap: of the intervals.

    Returns:
        Test figures `before` and `after`, their difference `delta` with its interval and p, the seconds of training, and
        `validation_before` and `validation_after`, each of which is absent if the recipe holds no validation clips out.
    """
    models = {name: by_seed(runs, "none", benchmark) for name, runs in (("before", before), ("after", after))}
    found = pairs(models, benchmark.headline, bootstrap)["after_minus_before"]
    for name, runs in (("before", before), ("after", after)):
        figures = [np.mean(list(by_fold(given, benchmark.headline).values())) for given in models[name].values()]
        found |= {
            name: float(np.mean(figures)),
            f"validation_{name}": float(np.mean([_validation_uar(table) for table, _ in runs.values()])),
            f"{name}_s": sum(about["took_s"] for _, about in runs.values()),
        }
    return rounded(found)


def _validation_uar(table: pd.DataFrame) -> float:
    """UAR on the validation clips of one training; NaN, which no mean survives, where it holds none out.

    Unlike a test clip, one of an emotion that the protocol learns but does not test counts too: it chose the epoch as well.
    """
    rows = table[(table["condition"] == "none") & (table["split"] == "validation")]
    if rows.empty:
        return float("nan")
    columns = [name for name in rows if name.startswith("p_")]
    codes = {name.removeprefix("p_"): code for code, name in enumerate(columns)}
    truth = rows["emotion"].map(codes).to_numpy(dtype=int)
    predicted = rows[columns].to_numpy(dtype=float).argmax(axis=1)
    return float(scoring.uar(scoring.confusion(truth, predicted, len(codes))))


def knowledge_scores(benchmark: Benchmark, runs: Runs, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """What is gained over a single clip of an unknown voice: by some clips of the speaker, by all others, by averaging seeds."""
    single = by_seed(runs, "none", benchmark)
    others = {condition: by_seed(runs, condition, benchmark) for condition in ("enrolled", "transductive")}
    others["ensemble_of_seeds"] = ensemble(runs, benchmark)
    found = {}
    for name, given in others.items():
        if given:
            pair = pairs({_SINGLE: single, _OTHER: given}, benchmark.headline, bootstrap)
            found[name] = pair[f"{_OTHER}_minus_{_SINGLE}"]
    return rounded(found)
