"""Merge the listed corpora into the one table of utterances with their labels and parts."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from ser.emotions import Policy
from ser.files import read_csv, write_csv
from ser.params import load_params
from ser.sources import CorporaParams
from ser.unifying import unify
from stages.running import run


def main() -> None:
    """Read the collected tables and the splits, write the cleaned and the rejected table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("collected", "splits", "cleaned_csv", "rejected_csv"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    corpora = load_params("corpora", CorporaParams)
    cleaned, rejected = unify(
        pd.concat([read_csv(args.collected / f"{name}.csv") for name in corpora.use], ignore_index=True),
        pd.concat([read_csv(args.splits / f"{name}.csv") for name in corpora.use], ignore_index=True),
        policy=load_params("emotions", Policy),
        channels=corpora.channels,
    )
    write_csv(args.cleaned_csv, cleaned)
    write_csv(args.rejected_csv, rejected)
    logging.info(
        "unify: %d utterances, %d speakers, %d emotions (%s); %d files rejected",
        len(cleaned),
        cleaned["speaker"].nunique(),
        cleaned["emotion"].nunique(),
        ", ".join(f"{part} {count}" for part, count in cleaned["split"].value_counts(sort=False).items()),
        len(rejected),
    )


if __name__ == "__main__":
    run(main)
