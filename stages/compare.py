"""Choose the best model on validation and compare all on test."""

import argparse
import json
import logging
from pathlib import Path

from ser.bootstrap import SpeakerBootstrap
from ser.chosen import Chosen
from ser.comparison import as_markdown, as_table, compare
from ser.files import read_csv, replacing, write_csv, write_json
from ser.params import load_params
from stages.running import run


def main() -> None:
    """Write the comparison as JSON, as a table for machines and as tables for people."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("predictions_dir", "metrics_dir", "comparison_json", "comparison_csv", "comparison_md"):
        parser.add_argument(name, type=Path)
    parser.add_argument("models", nargs="*", help="names, such as: cnn hybrid; those of params.yaml by default")
    args = parser.parse_args()

    bootstrap = load_params("evaluate", SpeakerBootstrap)
    models = args.models or list(load_params("pipeline", Chosen).models)
    predictions = {model: read_csv(args.predictions_dir / f"{model}.csv") for model in models}
    metrics = {model: json.loads((args.metrics_dir / f"{model}.json").read_text(encoding="utf-8")) for model in models}
    comparison = compare(predictions, metrics, bootstrap)

    write_json(args.comparison_json, comparison)
    write_csv(args.comparison_csv, as_table(comparison))
    with replacing(args.comparison_md) as temporary:
        temporary.write_text(as_markdown(comparison), encoding="utf-8")
    best = comparison["best"]
    uars = comparison["validation"][best]["uar"], comparison["test"][best]["macro_over_corpora"]["uar"]
    logging.info("best of %d models: %s, UAR %.3f on validation, %.3f on test", len(models), best, *uars)


if __name__ == "__main__":
    run(main)
