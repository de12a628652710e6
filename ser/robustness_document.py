"""The robustness report as a document: a table for each disturbance, and how to read it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ser.robustness_panels import PANELS, Panel, points

_HEAD = """# Robustness

Written by `python -m benchmarks.robustness_report` from `benchmarks/results/robustness.json`; run with
`python -m benchmarks.run robustness`.

What is left of a model's answers when the recording is worse than those it learned from? The same test clips, of speakers it
never heard, are asked about in every condition, by the predictor that `ser predict` uses. One disturbance at a time.
"""
_HOW = """UAR in percent, the mean over corpora; in brackets the 95 % interval of a bootstrap over test speakers (* where a corpus
has only one, and its clips are redrawn: too narrow). "Change" is the difference to the intact clips in points, the same
speakers redrawn on both sides, so that it is surer than either figure. A clip that is refused counts as missed. "Unsure" are
clips whose most probable emotion stays under the confidence that the bundle asks for a verdict; they count as what is most
probable. The columns of the corpora are their UAR."""


def as_markdown(report: Mapping[str, Any] | None) -> str:
    """The document.

    Args:
        report: of `benchmarks.robustness`; None before it has run.
    """
    if report is None:
        planned = [f"- {panel.title}: {panel.axis}" for panel in PANELS]
        return "\n".join([_HEAD, *planned, "", "Not run yet: `python -m benchmarks.run robustness`.", ""])
    lines = [_HEAD, _asked(report), ""]
    if report["synthetic_demo_voices"]:
        lines += ["All figures are of **synthetic demo voices**: they test the report, and mean nothing about people.", ""]
    if heard := report["test_speakers_heard_in_training"]:
        lines += [f"**{heard} test speakers were heard in training**: these figures flatter the model.", ""]
    lines += [_HOW, "", "![UAR under each disturbance](robustness.png)", ""]
    for panel in PANELS:
        lines += [f"## {panel.title}", "", panel.what.format(**report["settings"]), "", *_table(report, panel), ""]
    return "\n".join(lines)


def _asked(report: Mapping[str, Any]) -> str:
    corpora, bundle = report["corpora"], report["bundle"]
    members = ", ".join(f"{name} {part['n']} ({part['n_speakers']})" for name, part in corpora.items())
    n_clips, n_speakers = (sum(part[key] for part in corpora.values()) for key in ("n", "n_speakers"))
    return (
        f"Bundle: `{bundle['model']}`, trained on {', '.join(bundle['corpora'])}, fingerprint `{bundle['fingerprint'][:12]}`. "
        f"Split: test. Clips: {n_clips} of {n_speakers} speakers, drawn so that emotions and speakers take turns "
        f"(corpus, clips, speakers in brackets: {members})."
    )


def _table(report: Mapping[str, Any], panel: Panel) -> list[str]:
    corpora = list(report["corpora"])
    header = [panel.axis, "UAR", "change", "unsure", "refused", *corpora]
    rows = []
    for condition, name in panel.conditions.items():
        for level, scores in points(report, panel, condition):
            if scores is report["intact"] and rows and name:
                continue  # the same for each kind of noise
            shown = level if not name or scores is report["intact"] else f"{name}, {level}"
            by_corpus = [f"{100 * scores['corpora'][corpus]['uar']:.1f}" for corpus in corpora]
            rows.append([shown, _uar(scores), _change(scores), f"{100 * scores['unsure']:.0f} %", _refused(scores), *by_corpus])
    return _lines(header, rows)


def _uar(scores: Mapping[str, Any]) -> str:
    star = "*" if scores["interval_over_clips"] else ""
    return f"{100 * scores['uar']:.1f} ({100 * scores['uar_low']:.1f} to {100 * scores['uar_high']:.1f}){star}"


def _change(scores: Mapping[str, Any]) -> str:
    if "delta" not in scores:
        return "-"
    return f"{100 * scores['delta']:+.1f} ({100 * scores['delta_low']:+.1f} to {100 * scores['delta_high']:+.1f})"


def _refused(scores: Mapping[str, Any]) -> str:
    reasons = ", ".join(scores.get("reasons", {}))
    return f"{100 * scores['refused']:.1f} %: {reasons}" if reasons else "0"


def _lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
