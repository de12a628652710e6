"""Write docs/benchmarks.md from benchmarks/results: `python -m benchmarks.table`."""

import json
from pathlib import Path
from typing import Any

from ser.benchmark_table import as_markdown
from ser.files import replacing
from ser.protocols import BENCHMARKS

HERE = Path(__file__).parent
RESULTS, DOCUMENT = HERE / "results", HERE.parent / "docs/benchmarks.md"
ELSEWHERE = RESULTS / "amd_epyc"  # reports of the same trainings on another machine


def content() -> str:
    """The document, from the reports that there are."""
    reports, elsewhere = ({n: found for n in BENCHMARKS if (found := _read(n, folder))} for folder in (RESULTS, ELSEWHERE))
    return as_markdown(reports, BENCHMARKS, _read("training_speed"), elsewhere)


def _read(name: str, folder: Path = RESULTS) -> dict[str, Any] | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def main() -> None:
    """Write the document."""
    with replacing(DOCUMENT) as temporary:
        temporary.write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    main()
