"""Write docs/benchmarks.md from benchmarks/results: `python -m benchmarks.table`."""

import json
from pathlib import Path

from ser.benchmark_table import as_markdown
from ser.files import replacing
from ser.protocols import BENCHMARKS

HERE = Path(__file__).parent
RESULTS, DOCUMENT = HERE / "results", HERE.parent / "docs/benchmarks.md"


def content() -> str:
    """The document, from the reports that there are."""
    reports = {}
    for name in BENCHMARKS:
        path = RESULTS / f"{name}.json"
        if path.exists():
            reports[name] = json.loads(path.read_text(encoding="utf-8"))
    return as_markdown(reports, BENCHMARKS)


def main() -> None:
    """Write the document."""
    with replacing(DOCUMENT) as temporary:
        temporary.write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    main()
