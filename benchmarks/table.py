"""Write docs/benchmarks.md from benchmarks/results: `python -m benchmarks.table`."""

import json
from pathlib import Path
from typing import Any

from ser.benchmark_table import as_markdown
from ser.files import replacing
from ser.protocols import BENCHMARKS

HERE = Path(__file__).parent
RESULTS, DOCUMENT = HERE / "results", HERE.parent / "docs/benchmarks.md"


def content() -> str:
    """The document, from the reports that there are."""
    reports = {name: found for name in BENCHMARKS if (found := _read(name))}
    return as_markdown(reports, BENCHMARKS, _read("training_speed"))


def _read(name: str) -> dict[str, Any] | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main() -> None:
    """Write the document."""
    with replacing(DOCUMENT) as temporary:
        temporary.write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    main()
