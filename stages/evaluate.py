"""Score one trained model on the validation and test parts."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from ser.bootstrap import SpeakerBootstrap
from ser.calibration import CalibrationParams
from ser.evaluation import HELD_OUT, calibration_scores, enrolled_scores, evaluate, plot_tables, predictions_table, scores_table
from ser.features import Clip
from ser.files import read_csv, replacing, write_csv, write_json
from ser.inference import Enrolment, Scorer
from ser.params import load_params
from ser.sources import CorporaParams
from stages.running import run


def main() -> None:
    """Write the predictions, the metrics and the tables of the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name, for the log")
    for name in ("cleaned_csv", "features_dir", "model_dir", "metrics_json", "plots_dir", "predictions_csv"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()

    bootstrap = load_params("evaluate", SpeakerBootstrap)
    synthetic = load_params("corpora", CorporaParams).synthetic
    calibration = load_params("calibration", CalibrationParams)
    enrolment = load_params("enrolment", Enrolment)
    scorer = Scorer(args.model_dir, args.features_dir)
    emotions = scorer.description["emotions"]
    clips = read_csv(args.cleaned_csv)
    held_out = clips[clips["split"].isin(HELD_OUT)]
    predictions = predictions_table(held_out, scorer.probabilities(_clips(held_out)), emotions)
    metrics = evaluate(clips, predictions, emotions, bootstrap=bootstrap, synthetic=synthetic)
    metrics["calibration"] = calibration_scores(predictions, emotions, calibration)
    metrics["model"] = scorer.size
    if scorer.can_enrol:
        test = held_out[held_out["split"] == "test"]
        known = scorer.probabilities(_clips(test), test["speaker"].tolist(), enrolment)
        metrics["test"]["enrolled"] = enrolled_scores(test, known, emotions)

    with replacing(args.plots_dir) as folder:
        tables = plot_tables(predictions, emotions) | {"scores": scores_table(metrics)}
        for name, table in tables.items():
            write_csv(folder / f"{name}.csv", table)
    write_json(args.metrics_json, metrics)
    write_csv(args.predictions_csv, predictions)
    test = metrics["test"]["overall"]
    logging.info(
        "%s: %d test clips, %d speakers, UAR %.3f (%.3f to %.3f)%s",
        *(args.model, test["n"], test["n_speakers"], test["uar"], test["uar_low"], test["uar_high"]),
        ", synthetic demo voices" if synthetic else "",
    )


def _clips(rows: pd.DataFrame) -> list[Clip]:
    return [Clip(*row) for row in zip(rows["id"], rows["corpus"], strict=True)]


if __name__ == "__main__":
    run(main)
