"""Prosody in units of its own corpus: every column less the corpus' mean, over its deviation. Labels are not looked at.

For the ablation. A corpus that is held out is standardised by its own unlabelled clips too, which one clip alone does not allow.
"""

import argparse
import logging
from pathlib import Path

import numpy as np

from ser.arrays import Arrays, write_arrays
from ser.statistics import column_statistics
from stages.running import run


def main() -> None:
    """Write the standardised clips and copies of one corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clean", type=Path, help="store of the corpus' original clips, whose statistics count")
    parser.add_argument("augmented", type=Path)
    parser.add_argument("out_clean", type=Path)
    parser.add_argument("out_augmented", type=Path)
    args = parser.parse_args()
    clean = Arrays(args.clean)
    mean, deviation = column_statistics(clean[name] for name in clean.ids)
    scale = np.where(deviation > 1e-6, deviation, 1.0)
    for source, out in ((clean, args.out_clean), (Arrays(args.augmented), args.out_augmented)):
        recipe = {key: value for key, value in source.recipe.items() if key != "columns"} | {"units": "deviations in its corpus"}
        items = ((name, (source[name] - mean) / scale) for name in source.ids)  # noqa: B023 - read before the loop goes on
        n = write_arrays(out, items, dtype="float32", recipe=recipe, columns=source.recipe.get("columns"))
        logging.info("%s: %d utterances in units of their corpus", out, n)


if __name__ == "__main__":
    run(main)
