"""Complete this pipeline state's runs in MLflow; without MLflow the pipeline still ends well, and says how to log later."""

import argparse
import logging
from pathlib import Path

from ser.chosen import Chosen
from ser.files import write_json
from ser.mlflow_connection import TrackingError
from ser.params import load_params
from ser.tracking import log_state, read_state
from stages.running import run


def main() -> None:
    """Log to MLflow and write what was to be logged: by content, without run ids, so that it never differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("models_dir", "metrics_dir", "predictions_dir", "cleaned_csv", "out_json"):
        parser.add_argument(name, type=Path)
    parser.add_argument("models", nargs="*", help="names, such as: cnn hybrid; those of params.yaml by default")
    args = parser.parse_args()

    models = args.models or list(load_params("pipeline", Chosen).models)
    state = read_state(args.models_dir, args.metrics_dir, args.predictions_dir, args.cleaned_csv, models)
    names = [model.name for model in state.models]
    try:
        n_runs = log_state(state)
        logging.info("state %s, %d models: %d MLflow runs created or completed", state.sha256[:8], len(names), n_runs)
    except TrackingError as error:
        logging.warning("%s", error)
    write_json(args.out_json, {"state": state.sha256, "models": names})


if __name__ == "__main__":
    run(main)
