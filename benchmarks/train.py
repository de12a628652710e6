"""One model on one fold: trained, and asked about the fold's held-out clips."""

import argparse
import logging
import os
from pathlib import Path

from ser.architectures import load_architecture
from ser.errors import SerError
from ser.files import replacing, write_csv, write_json
from ser.fold_training import answer_fold, train_fold
from ser.inference import Enrolment
from ser.params import load_params
from ser.recipes import load_recipe
from ser.trained import load_description
from ser.views import Views
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


def main() -> None:
    """Train and answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("recipe")
    parser.add_argument("seed", type=int)
    for name in ("fold_csv", "clean_features", "augmented_features", "start", "trained", "predictions", "resume"):
        parser.add_argument(name, type=Path)
    parser.add_argument(
        "--soft", type=Path, help="target distributions for recipes with a soft_share, or a folder of them by fold"
    )
    parser.add_argument("--variants", type=Path, help="folder of the features that a recipe may ask for by name")
    parser.add_argument("--clips", type=Path, help="table of all clips, for recipes with a head that asks for the intensity")
    args = parser.parse_args()
    os.environ.setdefault("MLFLOW_EXPERIMENT_NAME", "ser-benchmarks")  # hundreds of runs, apart from the pipeline's own
    enrolment = load_params("enrolment", Enrolment, PARAMS)
    architecture = load_architecture(args.model)
    recipe = load_recipe(args.recipe, args.model, architecture, args.seed, PARAMS)
    if (recipe.clean or recipe.copies) and args.variants is None:
        raise SerError(f"recipe {args.recipe} asks for other features: say with --variants in which folder they are")
    clean, copies = [args.clean_features], [args.augmented_features]
    if recipe.clean:
        clean.insert(0, _variant(args.variants / recipe.clean))
    if recipe.copies:
        copies.insert(0, _variant(args.variants / recipe.copies))
    stores = (clean, copies)
    soft = args.soft / args.fold_csv.name if args.soft and args.soft.is_dir() else args.soft

    more = {"soft": soft, "clips": args.clips}
    report = train_fold(args.model, architecture, recipe, args.fold_csv, stores, args.start, args.trained, args.resume, **more)
    views = Views(recipe.views, recipe.batches, args.seed)
    table, rate = answer_fold(args.trained, args.fold_csv, stores, enrolment, choose=recipe.choose, views=views)
    description = load_description(args.trained)
    report |= {
        "answered_utterances_a_s": round(rate, 1),
        "n_parameters": description["n_parameters"],
        "epoch_kept": int(description["validation"]["epoch"]),
        "pool": int(recipe.pool),
        "start": int(recipe.start),
        "choose": int(recipe.choose),
    }
    with replacing(args.predictions) as folder:
        folder.mkdir()
        write_csv(folder / "answers.csv", table)
        write_json(folder / "report.json", report)
    logging.info("%s: trained in %.0f s, %.0f utterances a second", args.model, report["took_s"], report["train_utterances_a_s"])


def _variant(folder: Path) -> Path:
    """A folder of features that must be there: it stands in for some of the pipeline's, and without it all would be those."""
    if not folder.is_dir():
        raise SerError(f"{folder}: no such folder of features, which the recipe asks for")
    return folder


if __name__ == "__main__":
    run(main)
