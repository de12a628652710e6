"""All answers of a protocol to its report."""

import argparse
import logging
from pathlib import Path

from ser.bootstrap import SpeakerBootstrap
from ser.errors import SerError
from ser.files import read_csv, write_json
from ser.params import load_params
from ser.plan import MODELS, Plan, trainings
from ser.protocol_report import report
from ser.protocols import BENCHMARKS
from ser.runs import Runs, load_runs
from ser.sources import CorporaParams
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


def main() -> None:
    """Score one protocol; models that have not run on all folds and seeds are left out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol")
    for name in ("folds", "predictions", "out_json"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    plan = load_params("run", Plan, PARAMS)
    bootstrap = load_params("evaluate", SpeakerBootstrap, PARAMS)
    synthetic = load_params("corpora", CorporaParams).synthetic

    recipes = {recipe: _complete(plan, recipe, args.protocol, args.predictions.parent) for recipe in plan.recipes[args.protocol]}
    if not any(recipes.values()):
        way_out = f"run `python -m benchmarks.run {args.protocol}`"
        raise SerError(f"{args.protocol}: no model has run on all folds and seeds; {way_out}")
    folds = {name: read_csv(args.folds / f"{name}.csv") for name in plan.folds[args.protocol]}
    content = report(BENCHMARKS[args.protocol], folds, recipes, bootstrap, synthetic=synthetic)
    write_json(args.out_json, content)
    for recipe, models in content["recipes"].items():
        for model, scores in models["models"].items():
            value = scores["none"][content["headline"]]
            logging.info(
                "%s, %s %s: %s %.3f (%.3f to %.3f)%s",
                *(args.protocol, recipe, model, content["headline"], value["mean"], value["low"], value["high"]),
                ", synthetic demo voices" if synthetic else "",
            )


def _complete(plan: Plan, recipe: str, protocol: str, predictions: Path) -> dict[str, Runs]:
    """Runs of each model that has them all."""
    wanted = {model: [t for t in trainings(plan, protocol, (model,)) if t.recipe == recipe] for model in MODELS}
    found = {model: load_runs(own, predictions) for model, own in wanted.items()}
    return {model: runs for model, runs in found.items() if runs}


if __name__ == "__main__":
    run(main)
