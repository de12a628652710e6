"""The answers of changed recipes, beside those they depart from, to one JSON and docs/ablation.md."""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path

from ser.ablation import change_scores, knowledge_scores
from ser.ablation_document import as_markdown
from ser.ablation_plan import NAME, AblationPlan
from ser.bootstrap import SpeakerBootstrap
from ser.errors import SerError
from ser.files import read_csv, replacing, write_json
from ser.params import load_params
from ser.plan import MODELS, Plan, Training, trainings
from ser.protocol_report import Runs
from ser.protocols import BENCHMARKS
from ser.sources import CorporaParams
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


def main() -> None:
    """Score what has run; a change that lacks a fold or a seed is left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("predictions", "out_json", "document"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    plan = load_params("ablation", AblationPlan, PARAMS)
    protocols = load_params("run", Plan, PARAMS)
    bootstrap = load_params("evaluate", SpeakerBootstrap, PARAMS)
    synthetic = load_params("corpora", CorporaParams).synthetic

    changes = {model: _changes(plan, model, args.predictions, bootstrap) for model in plan.changes}
    if not any(changes.values()):
        raise SerError(f"no change has run on all its folds; run `python -m benchmarks.run {NAME}`")
    content = {
        "protocol": plan.protocol,
        "title": BENCHMARKS[plan.protocol].title,
        "folds": list(plan.folds),
        "seeds": list(plan.seeds),
        "against": plan.against,
        "synthetic_demo_voices": int(synthetic),
        "changes": {model: scores for model, scores in changes.items() if scores},
        "knowledge": _knowledge(protocols, args.predictions, bootstrap),
    }
    write_json(args.out_json, content)
    with replacing(args.document) as temporary:
        temporary.write_text(as_markdown(content, plan.titles), encoding="utf-8")


def _changes(plan: AblationPlan, model: str, predictions: Path, bootstrap: SpeakerBootstrap) -> dict[str, dict[str, float]]:
    runs = {recipe: _runs(plan, model, recipe, predictions) for recipe in (plan.against, *plan.changes[model])}
    before = runs.pop(plan.against)
    benchmark = BENCHMARKS[plan.protocol]
    return {recipe: change_scores(benchmark, before, after, bootstrap) for recipe, after in runs.items() if before and after}


def _runs(plan: AblationPlan, model: str, recipe: str, predictions: Path) -> Runs:
    wanted = [Training(plan.protocol, fold, recipe, seed, model) for fold in plan.folds for seed in plan.seeds]
    return _complete(wanted, predictions)


def _knowledge(plan: Plan, predictions: Path, bootstrap: SpeakerBootstrap) -> dict[str, dict]:
    """By protocol and model, of the first recipe of each protocol."""
    found = {}
    for protocol in plan.folds:
        first = plan.recipes[protocol][0]
        models = {}
        for model in MODELS:
            runs = _complete([t for t in trainings(plan, protocol, (model,)) if t.recipe == first], predictions)
            if runs and (scores := knowledge_scores(BENCHMARKS[protocol], runs, bootstrap)):
                models[model] = scores
        if models:
            found[protocol] = {"title": BENCHMARKS[protocol].title, "recipe": first, "models": models}
    return found


def _complete(wanted: Sequence[Training], predictions: Path) -> Runs:
    """Answers and report of each training by fold and seed; empty if one is missing."""
    folders = {(training.fold, training.seed): predictions / training.folder for training in wanted}
    there = [folder for folder in folders.values() if (folder / "report.json").exists()]
    if len(there) < len(folders):
        if there:
            first = wanted[0]
            counts = (first.protocol, first.model, first.recipe, len(there), len(folders))
            logging.warning("%s, %s %s: %d of %d trainings have run; left out", *counts)
        return {}
    return {
        key: (read_csv(folder / "answers.csv"), json.loads((folder / "report.json").read_text(encoding="utf-8")))
        for key, folder in folders.items()
    }


if __name__ == "__main__":
    run(main)
