"""What single changes are worth: differences to the recipe they depart from, on the same test speakers."""

from typing import Any

import numpy as np

from ser.bootstrap import SpeakerBootstrap
from ser.evaluation import rounded
from ser.fold_scores import by_fold, pairs
from ser.protocol_report import by_seed, ensemble
from ser.protocols import Benchmark
from ser.runs import Runs

_SINGLE, _OTHER = "single", "other"


def change_scores(benchmark: Benchmark, before: Runs, after: Runs, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """UAR of both, their difference with its interval and p, and the seconds of training; floats rounded.

    Args:
        benchmark: the protocol.
        before: complete runs of the recipe departed from.
        after: of the changed one, on the same folds and seeds.
        bootstrap: of the intervals.
    """
    models = {name: by_seed(runs, "none", benchmark) for name, runs in (("before", before), ("after", after))}
    found = pairs(models, "uar", bootstrap)["after_minus_before"]
    for name, runs in (("before", before), ("after", after)):
        figures = [np.mean(list(by_fold(given, "uar").values())) for given in models[name].values()]
        found |= {name: float(np.mean(figures)), f"{name}_s": sum(about["took_s"] for _, about in runs.values())}
    return rounded(found)


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
