"""Copy a bundle trained on real corpora to `models/released/`, dated, with the commit it was trained at.

python -m docs.results.release models/hybrid
"""

import argparse
import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

from ser.bundle import DESCRIPTION, RELEASED, read_bundle
from ser.card import write_card
from ser.errors import SerError
from ser.files import replacing

MOST_BYTES = 8_000_000  # it is committed


def release(bundle: Path, target: Path, *, created: str, commit: str) -> None:
    """Write the released bundle.

    Raises:
        SerError: the bundle is damaged, of synthetic voices, or too large.
    """
    description = read_bundle(bundle)
    if description["synthetic"]:
        raise SerError(f"{bundle}: trained on synthetic demo voices; release a model of real corpora")
    description |= {"created": created, "commit": commit}
    with replacing(target) as temporary:
        shutil.copytree(bundle, temporary)
        (temporary / DESCRIPTION).write_text(json.dumps(description, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        write_card(temporary / "card.md", description)
        size = sum(path.stat().st_size for path in temporary.iterdir())
        if size > MOST_BYTES:
            raise SerError(f"{bundle}: {size / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:.0f} MB are committed")


def main() -> None:
    """Release the bundle named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--commit", help="that it was trained at; the checked-out one by default")
    args = parser.parse_args()
    commit = (
        args.commit
        or subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    )
    try:
        release(args.bundle, Path("models") / RELEASED, created=date.today().isoformat(), commit=commit)
    except SerError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
