"""Stage `bundle`: a trained model with all that a predictor needs, in one folder."""

import argparse
import json
from pathlib import Path

from ser.audio import AudioParams
from ser.bundling import Making, write_bundle
from ser.corpus import load_corpus
from ser.params import load_params
from ser.prosody import Prosody
from ser.sources import CorporaParams
from stages.running import run


def main() -> None:
    """Write one bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("trained", "metrics", "shortcut", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    corpora = load_params("corpora", CorporaParams)
    making = Making(
        audio=load_params("audio", AudioParams),
        display_prosody=load_params("prosody", Prosody),
        licences={name: load_corpus(name).licence for name in corpora.use},
        synthetic=corpora.synthetic,
    )
    metrics, shortcut = (json.loads(path.read_text(encoding="utf-8")) for path in (args.metrics, args.shortcut))
    write_bundle(args.trained, metrics | {"shortcut": shortcut}, making, args.out)


if __name__ == "__main__":
    run(main)
