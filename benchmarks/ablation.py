"""The answers of changed recipes, beside those they depart from, to one JSON and docs/ablation.md."""

import argparse
import logging
from pathlib import Path
from typing import Any

from ser.ablation import change_scores, knowledge_scores
from ser.ablation_document import as_markdown
from ser.ablation_plan import NAME, AblationGroup, AblationPlan
from ser.bootstrap import SpeakerBootstrap
from ser.errors import SerError
from ser.files import replacing, write_json
from ser.params import load_params
from ser.plan import MODELS, Plan, Training, trainings
from ser.protocols import BENCHMARKS
from ser.runs import Runs, load_runs
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

    groups = {name: _group(name, group, args.predictions, bootstrap) for name, group in plan.groups.items()}
    groups = {name: found for name, found in groups.items() if found["changes"]}
    if not groups:
        raise SerError(f"no change has run on all its folds; run `python -m benchmarks.run {NAME}`")
    content = {
        "synthetic_demo_voices": int(synthetic),
        "groups": groups,
        "knowledge": _knowledge(protocols, args.predictions, bootstrap),
    }
    write_json(args.out_json, content)
    with replacing(args.document) as temporary:
        temporary.write_text(as_markdown(content, plan, protocols.folds), encoding="utf-8")


def _group(name: str, group: AblationGroup, predictions: Path, bootstrap: SpeakerBootstrap) -> dict[str, Any]:
    """What was compared, and the scores of each model's changes, of those that have run."""
    benchmark = BENCHMARKS[group.protocol]
    changes = {model: _changes(name, group, model, predictions, bootstrap) for model in group.changes}
    return {
        "title": group.title,
        "protocol": group.protocol,
        "protocol_title": benchmark.title,
        "headline": benchmark.headline,
        "folds": list(group.folds),
        "seeds": list(group.seeds),
        "against": group.against,
        "changes": {model: scores for model, scores in changes.items() if scores},
    }


def _changes(
    name: str, group: AblationGroup, model: str, predictions: Path, bootstrap: SpeakerBootstrap
) -> dict[str, dict[str, float]]:
    before = _runs(group, model, group.against, predictions)
    runs = {recipe: found for recipe in group.compared(model) if (found := _runs(group, model, recipe, predictions))}
    if runs and not before:  # it may be the protocol's own: then running the ablation again would not help
        logging.warning("%s: %s %s has not run on all folds; its changes are left out", name, group.against, model)
        return {}
    return {recipe: change_scores(BENCHMARKS[group.protocol], before, after, bootstrap) for recipe, after in runs.items()}


def _runs(group: AblationGroup, model: str, recipe: str, predictions: Path) -> Runs:
    wanted = [Training(group.protocol, fold, recipe, seed, model) for fold in group.folds for seed in group.seeds]
    return load_runs(wanted, predictions)


def _knowledge(plan: Plan, predictions: Path, bootstrap: SpeakerBootstrap) -> dict[str, dict]:
    """By protocol and model, of the first recipe of each protocol."""
    found = {}
    for protocol in plan.folds:
        first = plan.recipes[protocol][0]
        models = {}
        for model in MODELS:
            runs = load_runs([t for t in trainings(plan, protocol, (model,)) if t.recipe == first], predictions)
            if runs and (scores := knowledge_scores(BENCHMARKS[protocol], runs, bootstrap)):
                models[model] = scores
        if models:
            found[protocol] = {"title": BENCHMARKS[protocol].title, "recipe": first, "models": models}
    return found


if __name__ == "__main__":
    run(main)
