"""Put the result table of `docs/results/*.json` into README.md, between its two marks: `python -m docs.results.table`."""

import json
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
START, END = "<!-- results: written by docs/results/table.py -->", "<!-- end of results -->"
_NAMES = {"ravdess": "RAVDESS", "crema_d": "CREMA-D", "tess": "TESS", "emodb": "EmoDB", "iesc": "IESC"}


def table() -> str:
    """Markdown: test UAR of each model by corpus with its 95 % interval, and the mean over corpora."""
    metrics = {name: json.loads((HERE / f"{name}.json").read_text()) for name in ("cnn", "prosody", "hybrid")}
    if any(m["synthetic_demo_voices"] or m["test_speakers_heard_in_training"] for m in metrics.values()):
        raise SystemExit("docs/results holds demo or speaker-dependent results; they do not belong into the README's table")
    lines = [
        "| corpus | test speakers | test utterances | " + " | ".join(metrics) + " |",
        "|---|---|---|" + "---|" * len(metrics),
    ]
    for corpus, name in _NAMES.items():
        scores = [m["test"]["corpora"][corpus] for m in metrics.values()]
        cells = [f"{100 * s['uar']:.1f} ({100 * s['uar_low']:.1f} to {100 * s['uar_high']:.1f})" for s in scores]
        lines.append(f"| {name} | {scores[0]['n_speakers']} | {scores[0]['n']} | " + " | ".join(cells) + " |")
    means = {
        "**mean of corpora**": lambda m: f"**{100 * m['test']['macro_over_corpora']['uar']:.1f}**",
        "the same, voice enrolled": lambda m: _percent(m["test"].get("enrolled", {}).get("macro_over_corpora")),
        "validation, which alone may choose": lambda m: _percent(m["validation"]["macro_over_corpora"]),
    }
    lines += [f"| {name} | | | " + " | ".join(map(value, metrics.values())) + " |" for name, value in means.items()]
    return "\n".join(lines)


def _percent(scores: dict | None) -> str:
    """A dash where the model cannot take this."""
    return f"{100 * scores['uar']:.1f}" if scores else "-"


def with_table(readme: str) -> str:
    """The README's text with the table between its marks."""
    before, rest = readme.split(START)
    return f"{before}{START}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
