"""Describe every file of one corpus and store its usable audio."""

import argparse
import logging
from pathlib import Path

from ser.audio import AudioParams
from ser.collecting import collect, kinds
from ser.corpus import load_corpus
from ser.files import write_csv
from ser.params import load_params
from stages.running import run


def main() -> None:
    """Read a corpus folder, write its table and its audio store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("folder", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("audio", type=Path)
    args = parser.parse_args()
    table = collect(load_corpus(args.corpus), args.folder, args.audio, load_params("audio", AudioParams))
    write_csv(args.table, table)
    rejected = table["rejected"]
    accepted = table[rejected == ""]
    logging.info(
        "collect %s: %d files, %d accepted (%d speakers, %.0f minutes); rejected: %s",
        args.corpus,
        len(table),
        len(accepted),
        accepted["speaker"].nunique(),
        accepted["duration_s"].sum() / 60,
        kinds(rejected),
    )


if __name__ == "__main__":
    run(main)
