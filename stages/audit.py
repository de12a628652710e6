"""All clips and augmented copies to one report; fails if the parts overlap."""

import argparse
import logging
from pathlib import Path

from ser.audit import audit
from ser.files import read_csv, write_json
from ser.params import load_params
from ser.sources import CorporaParams
from ser.split import SplitParams
from stages.running import run


def main() -> None:
    """Audit the corpora in use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cleaned_csv", type=Path)
    parser.add_argument("augmented", type=Path, help="folder with one store of copies a corpus")
    parser.add_argument("out_json", type=Path)
    args = parser.parse_args()
    policy = load_params("split", SplitParams).policy
    corpora = load_params("corpora", CorporaParams).use

    copies = {corpus: list(read_csv(args.augmented / corpus / "index.csv")["id"]) for corpus in corpora}
    report = audit(read_csv(args.cleaned_csv), copies, policy=policy)
    write_json(args.out_json, report)
    if report["speakers_in_more_than_one_part"]:
        logging.warning("audit: %d speakers are in more than one part", report["speakers_in_more_than_one_part"])
    n_clips = sum(sum(parts.values()) for parts in report["clips"].values())
    n_copies = sum(len(ids) for ids in copies.values())
    logging.info("audit (%s): %d clips of %d corpora and %d copies; no overlap of audio", policy, n_clips, len(corpora), n_copies)


if __name__ == "__main__":
    run(main)
