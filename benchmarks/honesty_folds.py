"""Who trains, validates and tests under the protocols of the honesty report: one table a fold, and what crosses in each."""

import argparse
import logging
from pathlib import Path

from ser.augment import AugmentParams
from ser.crossings import crossings, refuse_others
from ser.files import read_csv, replacing, write_csv, write_json
from ser.honesty import HONESTY, honesty_fold
from ser.honesty_plan import HonestyPlan
from ser.honesty_splits import SplitParams, honesty_table
from ser.params import load_params
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


def main() -> None:
    """Write the tables; fails where one leaks anything but what it is there to show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips_csv", type=Path)
    parser.add_argument("out", type=Path, help="folder of one table a fold, and crossings.json")
    args = parser.parse_args()
    plan = load_params("honesty", HonestyPlan, PARAMS)
    params = load_params("honesty_folds", SplitParams, PARAMS)
    copies = load_params("augment", AugmentParams, PARAMS).copies

    clips = read_csv(args.clips_csv)
    counts = {}
    with replacing(args.out) as folder:
        for name in plan.every_fold:
            fold = honesty_fold(name)
            table = honesty_table(clips, fold, params, copies)
            counts[name] = crossings(table)
            refuse_others(fold, HONESTY[fold.protocol], counts[name])
            write_csv(folder / f"{name}.csv", table)
            parts = ", ".join(f"{n} {part}" for part, n in table["split"].value_counts().items())
            logging.info("%s: %s; of the test clips cross %s", name, parts, counts[name])
        write_json(folder / "crossings.json", counts)


if __name__ == "__main__":
    run(main)
