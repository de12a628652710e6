"""Who trains, validates and tests: one table for each fold of a protocol."""

import argparse
import logging
from pathlib import Path

from ser.audit import audit
from ser.files import read_csv, replacing, write_csv
from ser.folds import POOL, FoldParams, fold_table
from ser.params import load_params
from ser.plan import Plan
from ser.protocols import BENCHMARKS
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


def main() -> None:
    """Write the tables of one protocol; fails where a tested voice or recording is also learned from."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol")
    parser.add_argument("clips_csv", type=Path)
    parser.add_argument("lists", type=Path, help="folder of published speaker lists")
    parser.add_argument("out", type=Path, help="folder of one table a fold")
    args = parser.parse_args()
    params = load_params("folds", FoldParams, PARAMS)
    benchmark = BENCHMARKS[args.protocol]

    clips = read_csv(args.clips_csv)
    with replacing(args.out) as folder:
        for name in load_params("run", Plan, PARAMS).folds[args.protocol]:
            table = fold_table(clips, benchmark, benchmark.fold(name), args.lists, params)
            learned_from = table.assign(split=table["split"].replace({POOL: "train", "validation": "train"}))
            audit(learned_from, {}, policy="speaker")
            write_csv(folder / f"{name}.csv", table)
            parts = table.groupby("split")["speaker"].agg(["size", "nunique"])
            counts = "; ".join(f"{part} {row['size']} clips, {row['nunique']} speakers" for part, row in parts.iterrows())
            logging.info("%s, %s: %s", args.protocol, name, counts)


if __name__ == "__main__":
    run(main)
