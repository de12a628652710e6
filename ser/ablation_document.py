"""The ablation as a document."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ser.ablation_plan import AblationGroup, AblationPlan
from ser.plan import MODELS

_HEAD = """# Ablation

Written by `python -m benchmarks.ablation` from the benchmark's answers; run with `python -m benchmarks.run ablation`.

A setting is chosen by the validation column alone: the difference in UAR on validation speakers, in percentage points, mean over
the folds and seeds of the table. The epoch was chosen on the same speakers, on both sides of each difference, so that both UARs
are flattered, the more so the more epochs there were. A dash stands where a recipe trains on those speakers too.

The test columns have chosen nothing. They are measured on test speakers of published protocols, in the protocol's headline
measure (UAR or accuracy, as the column says). The difference is in percentage points, with the 95 % interval of a bootstrap over
test speakers, both sides on the same redrawn speakers. An interval that holds zero shows no difference. Which recipes were taken
up after a look at test clips for other reasons, docs/benchmarks.md says.

Cost is the time of training as a multiple of that of the recipe departed from; other work beside a training makes it look dearer.
Both sides of each difference ran on the same kind of processor, whose bits another's are not; groups and models may differ in it,
so that the UAR of one recipe may differ between groups.
"""
_NOT_RUN = "Not run yet: `python -m benchmarks.run ablation`."
_KNOWN = ("enrolled", "transductive", "ensemble_of_seeds")


def as_markdown(report: Mapping[str, Any] | None, plan: AblationPlan, protocols: Iterable[str]) -> str:
    """The document; without a report it says how to get one.

    Args:
        report: of `benchmarks.ablation`; its own order means nothing, since JSON is stored with sorted keys.
        plan: gives the order of groups, models and recipes, and their titles.
        protocols: of the benchmark, in order.
    """
    lines = [_HEAD]
    if report is None:
        return "\n".join([*lines, _NOT_RUN]) + "\n"
    if report["synthetic_demo_voices"]:
        lines += ["All figures are of **synthetic demo voices**: they test the report, and mean nothing about people.", ""]
    for name, group in plan.groups.items():
        lines += [f"## {group.title}", "", *_section(report["groups"].get(name), group, plan.titles), ""]
    lines += [
        "## What is known of the speaker, and ensembles\n\nDifferences to the headline, a single clip of an unknown voice, "
        "over all folds and seeds of each protocol. A dash: the model does not take it.\n",
        "| protocol | model | enrolled | transductive | ensemble of seeds |",
        "| --- | --- | --- | --- | --- |",
        *_knowledge(report["knowledge"], protocols),
    ]
    return "\n".join(lines) + "\n"


def _section(found: Mapping[str, Any] | None, group: AblationGroup, titles: Mapping[str, str]) -> list[str]:
    """What was compared, and a line for each change that has run."""
    if found is None:
        return [_NOT_RUN]
    measure = "UAR" if found["headline"] == "uar" else found["headline"]
    return [
        f"{found['protocol_title']}: {_listed('fold', found['folds'])}, {_listed('seed', found['seeds'])}. Each line changes one "
        f"thing of the recipe `{found['against']}` of the same model, everything else being equal.",
        "",
        f"| model | change | validation, points | {measure} | difference, points | p | cost |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {model} | {titles[recipe]} | {_change(found['changes'][model][recipe])} |"
            for model in group.changes
            for recipe in group.compared(model)
            if recipe in found["changes"].get(model, {})
        ),
    ]


def _change(scores: Mapping[str, float]) -> str:
    """The cells of a line after its title."""
    validation = "-"
    if "validation_before" in scores and "validation_after" in scores:
        validation = f"{100 * (scores['validation_after'] - scores['validation_before']):+.1f}"
    figure = f"{100 * scores['after']:.1f} (before {100 * scores['before']:.1f})"
    cost = f"{scores['after_s'] / scores['before_s']:.1f}" if scores["before_s"] else "-"
    return " | ".join((validation, figure, _points(scores), f"{scores['p']:.3f}", cost))


def _knowledge(found: Mapping[str, Any], protocols: Iterable[str]) -> list[str]:
    lines = []
    for of_protocol in (found[name] for name in protocols if name in found):
        for model, scores in ((model, of_protocol["models"][model]) for model in MODELS if model in of_protocol["models"]):
            cells = [_points(scores[name]) if name in scores else "-" for name in _KNOWN]
            lines.append(f"| {of_protocol['title']} | {model} | {' | '.join(cells)} |")
    return lines


def _points(scores: Mapping[str, float]) -> str:
    return f"{100 * scores['delta']:+.1f} ({100 * scores['delta_low']:+.1f} to {100 * scores['delta_high']:+.1f})"


def _listed(noun: str, names: Sequence[Any]) -> str:
    return f"{noun}{'s' if len(names) > 1 else ''} {', '.join(map(str, names))}"
