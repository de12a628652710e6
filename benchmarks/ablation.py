"""The answers of changed recipes, beside those they depart from, to one JSON and docs/ablation.md."""

import argparse
from pathlib import Path

from ser.ablation import change_scores, knowledge_scores
from ser.ablation_document import as_markdown
from ser.ablation_plan import NAME, AblationPlan
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
