"""Stage `train`: one model on the training rows, its epoch chosen on the validation rows."""

import argparse
from pathlib import Path

from ser.architectures import load_architecture
from ser.batches import BatchParams
from ser.classical import FitParams
from ser.emotions import Policy
from ser.params import load_params
from ser.trainer import Trainer
from ser.training import TrainParams
from stages.running import run


def main() -> None:
    """Train and write one bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("cleaned", type=Path)
    parser.add_argument("features", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("resume", type=Path)
    args = parser.parse_args()
    architecture = load_architecture(args.model)
    classical = hasattr(architecture, "estimator")
    Trainer(
        name=args.model,
        architecture=architecture,
        sizes=load_params(f"models.{args.model}.architecture", architecture.Params),
        training=load_params(f"models.{args.model}.training", FitParams if classical else TrainParams),
        batches=load_params(f"models.{args.model}.batches", BatchParams),
        emotions=load_params("emotions", Policy).emotions,
    ).run(args.cleaned, args.features, args.out, args.resume)


if __name__ == "__main__":
    run(main)
