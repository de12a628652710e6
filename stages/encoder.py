"""Stage `encoder`: a pretrained encoder found, or fetched from its hub, and what it is by its content.

It runs with every `dvc repro`, since a file may change under its name; what follows runs again only if the content did.
"""

import argparse
import logging
from pathlib import Path

from ser.files import write_json
from ser.params import load_params
from ser.pretrained import Pretrained
from stages.running import run


def main() -> None:
    """Write the recipe of the rows that the encoder will give."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", help="name of the feature set, a section of params.yaml")
    parser.add_argument("out", type=Path, help="file to write, such as data/encoders/pretrained.json")
    args = parser.parse_args()
    front_end = load_params(args.set, Pretrained).pinned()
    write_json(args.out, front_end.recipe)
    logging.info("%s: %s, %d columns, sha256 %s", args.set, front_end.source, len(front_end.names), front_end.sha256)


if __name__ == "__main__":
    run(main)
