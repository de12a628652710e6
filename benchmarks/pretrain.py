"""A start without labels, for the ablation: the CNN learns from the clips of the other corpora which views are of one clip."""

import argparse
import json
import logging
import os
from pathlib import Path

import numpy as np

from ser.architectures import load_architecture
from ser.batches import BatchParams
from ser.contrastive import ContrastiveParams, learn_views
from ser.emotions import CANONICAL
from ser.features import Clip, Features
from ser.files import read_csv, replacing
from ser.params import load_params
from ser.statistics import column_statistics
from ser.trained import NETWORK, save_model
from ser.training import reproducible
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")
_MODEL = "cnn"


def main() -> None:
    """Learn, and write a model that others can start from; it knows no emotion."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("left_out", help="corpus of the protocol, no clip of which is heard here")
    for name in ("clips_csv", "features", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    params = load_params("pretrain", ContrastiveParams, PARAMS)
    batches = load_params(f"models.{_MODEL}.batches", BatchParams)
    architecture = load_architecture(_MODEL)
    clips = [Clip(row.id, row.corpus) for row in read_csv(args.clips_csv).itertuples() if row.corpus != args.left_out]
    features = Features(args.features)

    reproducible(params.seed)
    n_bands = features.get("spectrogram", clips[0]).shape[1]
    sizes = load_params(f"models.{_MODEL}.architecture", architecture.Params)
    model = architecture.build({"spectrogram": (batches.n_frames, n_bands)}, len(CANONICAL), sizes)
    scale = model.get_layer("standardise_spectrogram")
    arrays = (features.get("spectrogram", clip) for clip in clips)
    statistics = column_statistics(arrays, level_free=scale.level_free)
    scale.set_statistics(*(values.astype(np.float32) for values in statistics))
    learn_views(model, clips, features, batches, params)
    with replacing(args.out) as folder:
        folder.mkdir()
        save_model(model, folder / NETWORK)
        (folder / "model.json").write_text(json.dumps({"model": _MODEL, "emotions": []}, indent=2) + "\n", encoding="utf-8")
    logging.info("%s: learned views of %d clips", args.out, len(clips))


if __name__ == "__main__":
    run(main)
