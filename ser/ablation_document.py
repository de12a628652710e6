"""The ablation as a document."""

from collections.abc import Mapping
from typing import Any

_HEAD = """# Ablation

Written by `python -m benchmarks.ablation` from the benchmark's answers; run with `python -m benchmarks.run ablation`.

Percentage points of the protocol's headline measure (UAR, or accuracy where the protocol says so), with the 95 % interval of a
bootstrap over test speakers, both sides on the same redrawn speakers. An interval that holds zero shows no difference. Everything
is measured on test speakers of published protocols, so no line here has chosen a setting. Which recipes were taken up after a
look at test clips for other reasons, docs/benchmarks.md says.
"""


def as_markdown(report: Mapping[str, Any] | None, titles: Mapping[str, str]) -> str:
    """The document; without a report it says how to get one."""
    lines = [_HEAD]
    if report is None:
        return "\n".join([*lines, "Not run yet: `python -m benchmarks.run ablation`."]) + "\n"
    if report["synthetic_demo_voices"]:
        lines += ["All figures are of **synthetic demo voices**: they test the report, and mean nothing about people.", ""]
    lines += [
        f"## Training\n\n{report['title']}: folds {', '.join(report['folds'])}, seeds {', '.join(map(str, report['seeds']))}. "
        f"Each line changes one thing of the recipe `{report['against']}` of the same model, everything else being equal. Cost "
        "is the time of training as a multiple of that recipe's; other work beside a training makes it look dearer.\n",
        "| model | change | UAR | difference, points | p | cost |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for model, changes in report["changes"].items():
        for recipe, scores in changes.items():
            cost = f"{scores['after_s'] / scores['before_s']:.1f}" if scores["before_s"] else "-"
            uar = f"{100 * scores['after']:.1f} (before {100 * scores['before']:.1f})"
            lines.append(f"| {model} | {titles[recipe]} | {uar} | {_points(scores)} | {scores['p']:.3f} | {cost} |")
    lines += [
        "\n## What is known of the speaker, and ensembles\n\nDifferences to the headline, a single clip of an unknown voice, "
        "over all folds and seeds of each protocol. A dash: the model does not take it.\n",
        "| protocol | model | enrolled | transductive | ensemble of seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for models in report["knowledge"].values():
        for model, scores in models["models"].items():
            cells = [
                _points(scores[name]) if name in scores else "-" for name in ("enrolled", "transductive", "ensemble_of_seeds")
            ]
            lines.append(f"| {models['title']} | {model} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _points(scores: Mapping[str, float]) -> str:
    return f"{100 * scores['delta']:+.1f} ({100 * scores['delta_low']:+.1f} to {100 * scores['delta_high']:+.1f})"
