"""The honesty report as a document: what crosses each split, what it is worth, and what others claim."""

from collections.abc import Mapping
from typing import Any

from ser.crossings import CHOSE_EPOCH, COUNTED
from ser.honesty import HOME, HONESTY
from ser.honesty_cells import CORPORA, cell, points, table_lines, tested
from ser.honesty_claims import Claims
from ser.honesty_comparison import claims_section
from ser.honesty_plan import LONGER

_HEAD = """# Honesty report

Written by `python -m benchmarks.honesty_report` from `benchmarks/results/honesty.json`; run with
`python -m benchmarks.run honesty`.

Why do figures for the same corpus differ so much? Because of what the test shares with the training. Here one model, with one
set of parameters and seeds, learns the eight emotions of RAVDESS speech under several protocols, and nothing differs but who is
in which part.
"""
_HOW = f"""In every protocol some of the rows that could train choose the epoch instead, drawn as the protocol draws: at random,
or whole speakers. No test recording chooses anything, but in (a), where its second copy may, and in (c*), on purpose.
Augmented copies and disturbances on the fly are those of each model's parameters, copies of training clips only. In
(b) the copies are rows of the table, so that none is drawn besides: it might be one that is tested. An epoch of (a)
and (b) has twice the rows, as where they come from. Nothing is known of the speaker of a clip. The random split (c) is
drawn more than once, and held-out speakers change from fold to fold, so that each interval on {CORPORA[HOME]} is over
all actors. `_{LONGER}` is the same model made for a random split and run on nothing else: it starts from the model that
learned from the other corpora and trains for more epochs, which validation clips of speakers already heard reward. It is
there for the claims of others, which are of such splits. The test clips of the first draw had been looked at before the
other draws were run."""
_STEPS = {
    "files_twice_minus_random": "(a) minus (c): every file counted twice",
    "copies_minus_random": "(b) minus (c): augmented copies made before the split",
    "chosen_on_test_minus_random": "(c*) minus (c): the epoch chosen on test, and more rows that train",
    "random_minus_speakers": "(c) minus (d): the speakers heard before",
    "speakers_minus_sentences": "(d) minus (e): the sentence heard before, and twice the rows that train",
}


def as_markdown(report: Mapping[str, Any] | None, claims: Claims) -> str:
    """The document.

    Args:
        report: of `ser.honesty_scores`; None before anything has run.
        claims: of others.
    """
    lines = [_HEAD, *_protocols(), "", _HOW, ""]
    if report is None:
        lines += ["Not run yet: `python -m benchmarks.run honesty`.", ""]
    else:
        if report["synthetic_demo_voices"]:
            lines += ["All figures are of **synthetic demo voices**: they test the report, and mean nothing about people.", ""]
        lines += _results(report)
    lines += [*claims_section(report, claims), *_costs(report)]
    return "\n".join(lines) + "\n"


def _protocols() -> list[str]:
    words = {"same-audio": "recordings", "sibling": "altered copies", "speaker": "speakers", "sentence": "sentences"}
    rows = [
        [f"({p.letter}) {p.title}", p.what, ", ".join(words[kind] for kind in p.crosses) or "nothing"] for p in HONESTY.values()
    ]
    return table_lines(["protocol", "what is done", "training and test share"], rows)


def _results(report: Mapping[str, Any]) -> list[str]:
    lines = ["## What crosses, and what it is worth", "", *_crossings(report), ""]
    lines += [
        "Rows are of one fold, on average. The other columns count test rows, of all folds, with something in common with a",
        "training row, as `ser audit` finds it; the last one those whose recording chose the epoch.",
        "",
        "![Accuracy of each model under each protocol](honesty.png)",
        "",
        "Percent, mean over seeds; in brackets the 95 % interval of a bootstrap over test speakers (* over clips, too narrow).",
        "An interval over two speakers, as of TESS, says little. The designs of other systems run under the protocols of their",
        "claims and on unheard speakers, and nowhere else.",
        "",
        *_figures(report),
    ]
    return [*lines, "", *_steps(report), ""]


def _crossings(report: Mapping[str, Any]) -> list[str]:
    header = ["protocol", "rows that train, validate, test", *_CROSSING_NAMES.values()]
    rows = []
    for name, content in report["protocols"].items():
        counts, protocol = content["crossings"], HONESTY[name]
        sizes = ", ".join(f"{content['sizes'].get(part, 0):.0f}" for part in ("train", "validation", "test"))
        shares = [_share(counts[kind], counts["test"]) for kind in _CROSSING_NAMES]
        rows.append([f"({protocol.letter}) {protocol.title}", sizes, *shares])
    return table_lines(header, sorted(rows, key=lambda row: [f"({p.letter}) {p.title}" for p in HONESTY.values()].index(row[0])))


_CROSSING_NAMES = dict(
    zip(
        (*COUNTED, CHOSE_EPOCH),
        ("same recording", "altered copy or original", "same speaker", "same sentence", "chose the epoch"),
        strict=True,
    )
)


def _share(count: int, total: int) -> str:
    return f"{count} of {total} ({100 * count / total:.0f} %)" if count else "0"


def _figures(report: Mapping[str, Any]) -> list[str]:
    """A line for each model under each protocol, since few models run under all of them."""
    rows = []
    for _, title, figures in tested(report):
        sizes = [f"{figures[key]}" for key in ("n", "n_speakers", "n_emotions")]
        for model, scores in figures.get("models", {}).items():
            seeds = len(scores["accuracy"]["seeds"])
            rows.append([title, model, *(cell(scores, measure) for measure in ("accuracy", "uar")), *sizes, f"{seeds}"])
    return table_lines(["protocol", "model", "accuracy", "UAR", "test rows", "test speakers", "emotions", "seeds"], rows)


def _steps(report: Mapping[str, Any]) -> list[str]:
    models = [model for model, steps in report.get("steps", {}).items() if steps]
    rows = []
    for step, title in _STEPS.items():
        rows.append([title, *(points(report["steps"][model].get(step)) for model in models)])
    return [
        "What one step is worth, in points of accuracy, the same speakers redrawn on both sides:",
        "",
        *table_lines(["step", *models], rows),
    ]


def _costs(report: Mapping[str, Any] | None) -> list[str]:
    if not report or not report.get("cost"):
        return []
    rows = [[model, f"{cost['trainings']}", f"{cost['took_s'] / 60:.0f}"] for model, cost in report["cost"].items()]
    return ["", "## Cost", "", *table_lines(["model", "trainings", "minutes in all"], rows)]
