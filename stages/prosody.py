"""Measure prosody and functionals of every stored clip of a corpus."""

import argparse
import logging
from functools import partial
from pathlib import Path

import numpy as np

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float
from ser.functionals import Functionals
from ser.parallel import each
from ser.params import load_params
from ser.prosodic_frontend import ProsodicFrontEnd
from ser.prosody import Prosody
from stages.running import run

log = logging.getLogger(__name__)


def measure(front_end: ProsodicFrontEnd, item: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """The row of one clip, with its id."""
    name, samples = item
    return name, front_end(to_float(samples))


def main() -> None:
    """Read the audio store, measure in parallel, write one row a clip."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", type=Path, help="audio store, such as data/audio/clean/ravdess")
    parser.add_argument("features", type=Path, help="folder to write, such as data/features/prosody/clean/ravdess")
    args = parser.parse_args()

    front_end = ProsodicFrontEnd(load_params("prosody", Prosody), load_params("functionals", Functionals))
    store = Arrays(args.audio)
    front_end.require_rate(store.recipe["sampling_rate_hz"], str(args.audio))
    items = ((name, store[name]) for name in store.ids)
    rows = each(partial(measure, front_end), items, total=len(store), name=f"prosody {args.audio.name}")
    written = write_arrays(args.features, rows, dtype="float32", recipe=front_end.recipe, columns=front_end.names)
    log.info("%s: %d clips, %d columns", args.features, written, len(front_end.names))


if __name__ == "__main__":
    run(main)
