"""Synthesise one demo corpus."""

import argparse
import logging
from pathlib import Path

from ser.demo import DemoParams, make_demo
from ser.params import load_params
from stages.running import run


def main() -> None:
    """Write a corpus of synthetic voices in its official layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    count = make_demo(args.corpus, args.folder, load_params("demo", DemoParams))
    logging.info("demo %s: %d audio files of synthetic demo voices, planted faults included", args.corpus, count)


if __name__ == "__main__":
    run(main)
