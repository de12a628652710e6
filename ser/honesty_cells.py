"""What the parts of the honesty report share: its figures by protocol, and how they are written."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ser.honesty import HOME, HONESTY

CORPORA = {"ravdess": "RAVDESS", "crema_d": "CREMA-D", "emodb": "EmoDB", "tess": "TESS"}
NOT_RUN = "not run yet"


def tested(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Protocol, its title and the figures, one for each tested corpus; in the order of HONESTY."""
    for name, protocol in HONESTY.items():
        for corpus, figures in report["protocols"].get(name, {"tested": {}})["tested"].items():
            yield name, f"({protocol.letter}) {protocol.title}" + (f": {CORPORA[corpus]}" if corpus != HOME else ""), figures


def accuracy(report: Mapping[str, Any] | None, protocol: str, model: str) -> float | None:
    """Percent of a model on RAVDESS under a protocol; None where it has not run."""
    scores = scores_of(report, protocol, model)
    return 100 * scores["accuracy"]["mean"] if scores else None


def scores_of(report: Mapping[str, Any] | None, protocol: str, model: str) -> Mapping[str, Any] | None:
    """All figures of a model on RAVDESS under a protocol; None where it has not run."""
    figures = (report or {}).get("protocols", {}).get(protocol, {}).get("tested", {}).get(HOME, {})
    return figures.get("models", {}).get(model)


def cell(scores: Mapping[str, Any] | None, measure: str, missing: str = NOT_RUN) -> str:
    """Percent with the interval, a star where clips were redrawn."""
    if scores is None:
        return missing
    value, star = scores[measure], "*" if scores["interval_over_clips"] else ""
    return f"{100 * value['mean']:.1f} ({100 * value['low']:.1f} to {100 * value['high']:.1f}){star}"


def points(pair: Mapping[str, float] | None, missing: str = "-") -> str:
    """A difference in percentage points with its interval."""
    if pair is None:
        return missing
    return f"{100 * pair['delta']:+.1f} ({100 * pair['delta_low']:+.1f} to {100 * pair['delta_high']:+.1f})"


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
