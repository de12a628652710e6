"""Write docs/robustness.md and .png from benchmarks/results/robustness.json: `python -m benchmarks.robustness_report`."""

import argparse
import hashlib
import json
from pathlib import Path

from ser.files import replacing
from ser.robustness_document import as_markdown
from ser.robustness_figure import draw_robustness
from stages.running import run

RESULTS, DOCUMENT, FIGURE = Path("benchmarks/results/robustness.json"), Path("docs/robustness.md"), Path("docs/robustness.png")


def content(results: Path) -> str:
    """The document; before anything has run, what would."""
    return as_markdown(json.loads(results.read_text(encoding="utf-8")) if results.exists() else None)


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
            draw_robustness(temporary, json.loads(source), hashlib.sha256(source).hexdigest())


if __name__ == "__main__":
    run(main)
