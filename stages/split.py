"""Collected table of one corpus to the part of each clip."""

import argparse
import logging
from pathlib import Path

from ser.files import read_csv, write_csv
from ser.params import load_params
from ser.split import SplitParams, describe, read_protocols, split_corpus
from stages.running import run


def main() -> None:
    """Split one corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("collected_csv", type=Path)
    parser.add_argument("protocols", type=Path, help="folder of published speaker lists")
    parser.add_argument("out_csv", type=Path)
    args = parser.parse_args()
    params = load_params("split", SplitParams)

    protocols = read_protocols(args.protocols, params.files)
    table = split_corpus(read_csv(args.collected_csv), args.corpus, params, protocols)
    write_csv(args.out_csv, table)
    logging.info("%s (%s): %s", args.corpus, params.policy, describe(table))


if __name__ == "__main__":
    run(main)
