"""All answers under the protocols of the honesty report to one JSON."""

import argparse
import json
from pathlib import Path

from ser.bootstrap import SpeakerBootstrap
from ser.errors import SerError
from ser.files import read_csv, write_json
from ser.honesty import honesty_fold
from ser.honesty_plan import NAME, HonestyPlan, HonestyTraining, honesty_trainings
from ser.honesty_scores import honesty_scores
from ser.params import load_params
from ser.runs import Runs, load_runs
from ser.sources import CorporaParams
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


def main() -> None:
    """Score what has run; a protocol of which a model lacks a fold or a seed is left out for that model."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("folds", "predictions", "out_json"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    plan = load_params("honesty", HonestyPlan, PARAMS)
    bootstrap = load_params("evaluate", SpeakerBootstrap, PARAMS)
    synthetic = load_params("corpora", CorporaParams).synthetic

    by_label: dict[str, list[HonestyTraining]] = {}
    for training in honesty_trainings(plan):
        by_label.setdefault(training.label, []).append(training)
    runs = {label: _complete(wanted, args.predictions.parent) for label, wanted in by_label.items()}
    if not any(runs.values()):
        raise SerError(f"no model has run on all folds of a protocol; run `python -m benchmarks.run {NAME}`")
    folds = {name: read_csv(args.folds / f"{name}.csv") for name in plan.every_fold}
    crossings = json.loads((args.folds / "crossings.json").read_text(encoding="utf-8"))
    write_json(args.out_json, honesty_scores(folds, crossings, runs, bootstrap, synthetic=synthetic))


def _complete(wanted: list[HonestyTraining], predictions: Path) -> Runs:
    """Runs of one model under each protocol of which it has them all."""
    by_protocol: dict[str, list[HonestyTraining]] = {}
    for training in wanted:
        by_protocol.setdefault(honesty_fold(training.fold).protocol, []).append(training)
    return {key: run for trainings in by_protocol.values() for key, run in load_runs(trainings, predictions).items()}


if __name__ == "__main__":
    run(main)
