"""Stage `locate`: make sure, before any work starts, that every listed corpus is there, or say how to get it."""

import argparse
import logging
from pathlib import Path

from ser.corpus import load_corpus
from ser.files import replacing
from ser.locating import locate
from ser.params import load_params
from ser.sources import CorporaParams
from stages.running import run


def main() -> None:
    """Look for all corpora; what is written never changes, so that listing another corpus redoes nothing of those before it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    corpora = load_params("corpora", CorporaParams)
    for name in corpora.use:
        locate(load_corpus(name), corpora.root)
    with replacing(args.out) as temporary:
        temporary.write_text("all listed corpora were there\n", encoding="utf-8")
    logging.info("locate: %d corpora in %s", len(corpora.use), corpora.root)


if __name__ == "__main__":
    run(main)
