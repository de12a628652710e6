"""The answers of changed recipes, beside those they depart from, to one JSON and docs/ablation.md."""

import argparse
import json
import logging
from collections.abc import Collection
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
    plan = load_params("ablation", AblationPlan, PARAMS)
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("predictions", "out_json", "document"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--groups", nargs="+", choices=plan.groups, help="score these, and leave the rest of out_json as it is")
    args = parser.parse_args()
    score(plan, args.predictions, args.out_json, args.document, args.groups)


def score(plan: AblationPlan, predictions: Path, out_json: Path, document: Path, only: Collection[str] | None = None) -> None:
    """Write the report and its document.

    Args:
        plan: what is compared.
        predictions: answers of trainings, by their folders.
        out_json: the report; read too, where only some groups are scored.
        document: the report as Markdown.
        only: groups to score; the others stay as they stand in `out_json`, and so do models of these groups that have not run
            here on the same folds and seeds, and what knowing the speaker is worth for protocols that have not run here. Real
            and demo voices do not meet: a report of the other kind is replaced.

    Raises:
        SerError: no change has run.
    """
    protocols = load_params("run", Plan, PARAMS)
    bootstrap = load_params("evaluate", SpeakerBootstrap, PARAMS)
    synthetic = int(load_params("corpora", CorporaParams).synthetic)
    before = json.loads(out_json.read_text(encoding="utf-8")) if only and out_json.exists() else None
    if before and before["synthetic_demo_voices"] != synthetic:
        logging.warning("%s was of %s voices, and none of it stays", out_json, "real" if synthetic else "demo")
        before = None

    groups = {
        name: _group(name, group, predictions, bootstrap) for name, group in plan.groups.items() if not only or name in only
    }
    groups = {name: found for name, found in groups.items() if found["changes"]}
    if not groups:
        raise SerError(f"no change has run on all its folds; run `python -m benchmarks.run {NAME}`")
    reported = before["groups"] if before else {}
    content = {
        "synthetic_demo_voices": synthetic,
        "groups": {**reported, **{name: _with_other_models(found, reported.get(name)) for name, found in groups.items()}},
        "knowledge": {**(before["knowledge"] if before else {}), **_knowledge(protocols, predictions, bootstrap)},
    }
    write_json(out_json, content)
    with replacing(document) as temporary:
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


def _with_other_models(found: dict[str, Any], reported: dict[str, Any] | None) -> dict[str, Any]:
    """A group's scores with those that an earlier report has of models not scored now, if it measured them alike."""
    if reported is None or any(reported[key] != found[key] for key in ("protocol", "folds", "seeds", "against")):
        return found
    return {**found, "changes": {**reported["changes"], **found["changes"]}}


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
