"""Every usable clip of all corpora with its recorded emotion, and for each corpus the list of clips to make copies of."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from ser.files import read_csv, replacing, write_csv
from ser.folds import every_clip
from ser.params import load_params
from ser.sources import CorporaParams
from stages.running import run


def main() -> None:
    """Join the collected tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collected", type=Path)
    parser.add_argument("clips_csv", type=Path)
    parser.add_argument("parents", type=Path, help="folder of one table a corpus, as the augment stage takes it")
    args = parser.parse_args()
    corpora = load_params("corpora", CorporaParams).use

    clips = every_clip(pd.concat([read_csv(args.collected / f"{name}.csv") for name in corpora], ignore_index=True))
    write_csv(args.clips_csv, clips)
    with replacing(args.parents) as folder:
        for name in corpora:
            own = clips[clips["corpus"] == name]
            write_csv(folder / f"{name}.csv", own[["id", "speaker"]].assign(part="train"))
    logging.info("benchmark: %d clips of %d speakers in %d corpora", len(clips), clips["speaker"].nunique(), len(corpora))


if __name__ == "__main__":
    run(main)
