"""Write docs/honesty.md and docs/honesty.png from benchmarks/results/honesty.json: `python -m benchmarks.honesty_report`."""

import argparse
import hashlib
import json
from pathlib import Path

from ser.files import replacing
from ser.honesty_claims import Claims
from ser.honesty_document import as_markdown
from ser.honesty_figure import draw_honesty
from ser.params import load_params
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")
RESULTS, DOCUMENT, FIGURE = Path("benchmarks/results/honesty.json"), Path("docs/honesty.md"), Path("docs/honesty.png")


def content(results: Path) -> str:
    """The document; before anything has run, the protocols and the claims."""
    report = json.loads(results.read_text(encoding="utf-8")) if results.exists() else None
    return as_markdown(report, load_params("claims", Claims, PARAMS))


def main() -> None:
    """Write the document, and the figure where there are results."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, path in {"results": RESULTS, "document": DOCUMENT, "figure": FIGURE}.items():
        parser.add_argument(name, nargs="?", type=Path, default=path)
    args = parser.parse_args()
    with replacing(args.document) as temporary:
        temporary.write_text(content(args.results), encoding="utf-8")
    if args.results.exists():
        source = args.results.read_bytes()
        with replacing(args.figure) as temporary:
            claims = load_params("claims", Claims, PARAMS)
            draw_honesty(temporary, json.loads(source), claims, hashlib.sha256(source).hexdigest())


if __name__ == "__main__":
    run(main)
