"""What bounds training: how fast batches are made, how fast the network takes ready ones, and both together.

    python -m benchmarks.training_speed ravdess_19_to_24 actors_19_to_24 transfer

For the models that the benchmark has trained on that fold. It trains them on for some epochs and keeps nothing. What plain matrix
products reach in the same run is the mark that the network's own arithmetic is held against.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser.architectures import load_architecture
from ser.batches import Batches
from ser.errors import SerError
from ser.features import Features
from ser.files import read_csv, write_json
from ser.fold_training import both_variants, emotions_of, training_rows
from ser.plan import MODELS
from ser.processor import processor_name
from ser.recipes import load_recipe
from ser.trained import load_model
from ser.training import TrainParams, Validation, fit, reproducible
from stages.running import run

if TYPE_CHECKING:
    import keras

PARAMS = Path("benchmarks/params.yaml")
DATA, FEATURES = Path("benchmarks/data"), Path("data/features")
OUT = Path("benchmarks/results/training_speed.json")
EPOCHS, SEED = 4, 1  # the first traces the graph and is not counted
BACKWARD = 2  # a step's gradients, by input and by weight, cost what two more forward passes do
SIDE, PRODUCTS = 2048, 30  # of the plain matrix products


class Ready:
    """Batches made before: the same few in every epoch."""

    def __init__(self, batches: Batches, n: int = 8) -> None:
        self.params = batches.params
        self.made = [item for item, _ in zip(batches.epoch(1), range(n), strict=False)]
        self.n = len(batches)

    def __len__(self) -> int:
        """As many as an epoch of those that are made on the way has."""
        return self.n

    def epoch(self, number: int) -> Iterator[Any]:  # noqa: ARG002 - all epochs are the same
        """The batches over and over."""
        for n in range(self.n):
            yield self.made[n % len(self.made)]


def main() -> None:
    """Measure the models of one fold, one after the other, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("protocol", "fold", "recipe"):
        parser.add_argument(name)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    folder = DATA / "trained" / args.protocol / args.fold / args.recipe / str(SEED)
    if missing := [name for name in MODELS if not (folder / name).is_dir()]:
        raise SerError(f"{folder / missing[0]}: not trained yet; run `python -m benchmarks.run {args.protocol}`")
    table = read_csv(DATA / "folds" / args.protocol / f"{args.fold}.csv")
    products = _products()
    content = {
        "protocol": args.protocol,
        "fold": args.fold,
        "recipe": args.recipe,
        "cores": os.cpu_count(),
        "processor": processor_name(),
        "matrix_products_gflop_a_s": round(products, 1),
        "models": {name: _measure(name, args.recipe, table, folder / name) for name in MODELS},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    write_json(OUT, content)
    print(OUT.read_text(encoding="utf-8"), end="")


def _measure(name: str, recipe_name: str, table: pd.DataFrame, trained: Path) -> dict[str, float]:
    """Clips a second of one model."""
    architecture = load_architecture(name)
    recipe = load_recipe(recipe_name, name, architecture, SEED, PARAMS)
    rows = training_rows(table, pool=recipe.pool, choose=recipe.choose)
    train = rows[rows["split"] == "train"].reset_index(drop=True)
    emotions = emotions_of(rows)
    reproducible(SEED)
    with both_variants([FEATURES], [DATA / "features"], architecture.INPUTS) as folder:
        features = Features(folder)
        batches = Batches(train, features, architecture.INPUTS, emotions, recipe.batches, SEED)
        n_clips = len(batches) * recipe.batches.batch_size
        made_s = _median_s(lambda epoch: sum(1 for _ in batches.epoch(epoch)))
        nobody = Validation(rows[:0], features, architecture.INPUTS, emotions, recipe.batches.n_frames)
        ready = Ready(batches)
        taken_s = _fit_s(load_model(trained), ready, nobody, recipe.training)
        both_s = _fit_s(load_model(trained), batches, nobody, recipe.training)
        gflop = _gflop(load_model(trained), ready.made[0][0])
    rates = {"batches_alone": made_s, "network_alone": taken_s, "both": both_s}
    return {f"{what}_clips_a_s": round(n_clips / seconds, 1) for what, seconds in rates.items()} | {
        "forward_gflop_a_clip": round(gflop, 4),
        "network_gflop_a_s": round((1 + BACKWARD) * gflop * n_clips / taken_s, 1),
    }


def _median_s(one: Callable[[int], object]) -> float:
    took = []
    for epoch in range(1, EPOCHS + 1):
        since = time.perf_counter()
        one(epoch)
        took.append(time.perf_counter() - since)
    return float(np.median(took[1:]))


def _fit_s(model: "keras.Model", batches: "Batches | Ready", nobody: Validation, training: TrainParams) -> float:
    """Median seconds of an epoch after the first, with all that training does in one but validation."""
    ends: list[float] = []
    params = TrainParams(**{**vars(training), "epochs": EPOCHS, "patience": EPOCHS})
    with TemporaryDirectory() as folder:
        fit(model, batches, nobody, params, Path(folder, "state.npz"), lambda *_: ends.append(time.perf_counter()))
    return float(np.median(np.diff(ends)))


def _gflop(model: "keras.Model", inputs: dict[str, np.ndarray]) -> float:
    """Floating-point operations of a forward pass of one clip, as TensorFlow counts them in the graph."""
    import tensorflow as tf

    specs = {kind: tf.TensorSpec((1, *values.shape[1:]), values.dtype) for kind, values in inputs.items()}
    graph = tf.function(lambda given: model(given, training=False)).get_concrete_function(specs).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
    counted = tf.compat.v1.profiler.profile(graph, options=options.with_empty_output().build())
    return counted.total_float_ops / 1e9


def _products() -> float:
    """Billions of operations a second of plain matrix products, of the same type and with the same threads."""
    import tensorflow as tf

    matrix = tf.random.normal((SIDE, SIDE))
    tf.linalg.matmul(matrix, matrix).numpy()
    since = time.perf_counter()
    for _ in range(PRODUCTS):
        last = tf.linalg.matmul(matrix, matrix)
    last.numpy()
    return PRODUCTS * 2 * SIDE**3 / (time.perf_counter() - since) / 1e9


if __name__ == "__main__":
    run(main)
