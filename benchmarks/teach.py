"""What a trained model answers for the clips it was trained on, as soft targets for a smaller model (distillation).

After Hinton, Vinyals & Dean (2015): at a temperature above 1 the answers tell what resembles what. In the ablation the hybrid,
which heard the prosody too, teaches the CNN.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from ser.features import Clip
from ser.files import read_csv
from ser.fold_training import both_variants
from ser.inference import Scorer
from ser.soft_targets import write_soft
from ser.trained import load_description
from stages.running import run

_TEMPERATURE = 2.0


def main() -> None:
    """Answer for a fold's training clips, and for no other."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("trained", "fold_csv", "clean_features", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    table = read_csv(args.fold_csv)
    train = table[table["split"] == "train"]
    clips = [Clip(row.id, row.corpus) for row in train.itertuples()]
    with both_variants([args.clean_features], None, list(load_description(args.trained)["inputs"])) as features:
        scorer = Scorer(args.trained, features)
        answers = scorer.probabilities(clips)
    softened = np.maximum(answers.astype(np.float64), 1e-6) ** (1 / _TEMPERATURE)
    write_soft(args.out, list(train["id"]), softened / softened.sum(axis=1, keepdims=True), scorer.description["emotions"])
    logging.info("%s answered for %d training clips", args.trained, len(clips))


if __name__ == "__main__":
    run(main)
