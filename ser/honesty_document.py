"""The honesty report as a document: what crosses each split, what it is worth, and what others claim."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ser.crossings import CHOSE_EPOCH, COUNTED
from ser.honesty import HOME, HONESTY
from ser.honesty_claims import Claim, Claims

CORPORA = {"ravdess": "RAVDESS", "crema_d": "CREMA-D", "emodb": "EmoDB", "tess": "TESS"}
_NOT_RUN = "not run yet"
_HEAD = """# Honesty report

Written by `python -m benchmarks.honesty_report` from `benchmarks/results/honesty.json`; run with
`python -m benchmarks.run honesty`.

Why do figures for the same corpus differ so much? Because of what the test shares with the training. Here one model, with one
set of parameters and seeds, learns the eight emotions of RAVDESS speech under several protocols, and nothing differs but who is
in which part.
"""
_HOW = f"""In every protocol some of the rows that could train choose the epoch instead, drawn as the protocol draws: rows at random,
or whole speakers. No test recording chooses anything, but in (a), where its second copy may, and in (c*), on purpose. Augmented
copies and disturbances on the fly are those of each model's parameters, copies of training clips only. In (b) the copies are
rows of the table, so that none is drawn besides: it might be one that is tested. Nothing is known of the speaker of a clip.
Random splits are drawn more than once, and held-out speakers change from fold to fold, so that each interval on {CORPORA[HOME]}
is over all actors."""
_LADDER = (
    ("files_twice", "random", "Counting every file twice adds {} points of accuracy to a random split"),
    ("copies", "random", "Making augmented copies before a random split adds {} points"),
    ("chosen_on_test", "random", "Choosing the epoch on test adds {} points"),
    ("random", "speakers", "Having heard the speakers is worth {} points"),
    ("speakers", "sentences", "Having heard the sentence is worth {} points (with half as much to learn from)"),
)


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
        lines += _results(report, claims.ours)
    lines += [*_claims(report, claims), *_costs(report)]
    return "\n".join(lines) + "\n"


def tested(report: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Protocol, its title and the figures, one for each tested corpus; in the order of HONESTY."""
    for name, protocol in HONESTY.items():
        for corpus, figures in report["protocols"].get(name, {"tested": {}})["tested"].items():
            yield name, f"({protocol.letter}) {protocol.title}" + (f": {CORPORA[corpus]}" if corpus != HOME else ""), figures


def _protocols() -> list[str]:
    words = {"same-audio": "recordings", "sibling": "altered copies", "speaker": "speakers", "sentence": "sentences"}
    rows = [
        [f"({p.letter}) {p.title}", p.what, ", ".join(words[kind] for kind in p.crosses) or "nothing"] for p in HONESTY.values()
    ]
    return _table(["protocol", "what is done", "training and test share"], rows)


def _results(report: Mapping[str, Any], ours: str) -> list[str]:
    lines = ["## What crosses, and what it is worth", "", *_crossings(report), ""]
    lines += [
        "Rows are of one fold, on average. The other columns count test rows, of all folds, with something in common with a",
        "training row, as `ser audit` finds it; the last one those whose recording chose the epoch.",
        "",
        "![Accuracy of each model under each protocol](honesty.png)",
        "",
        "Percent, mean over seeds; in brackets the 95 % interval of a bootstrap over test speakers (* over clips, too narrow).",
        "An interval over two speakers, as of TESS, says little.",
        "",
        *_figures(report),
    ]
    said = [sentence for sentence in _differences(report, ours) if sentence]
    return [*lines, "", *([f"{ours}: " + " ".join(said), ""] if said else [])]


def _crossings(report: Mapping[str, Any]) -> list[str]:
    header = ["protocol", "rows that train, validate, test", *_CROSSING_NAMES.values()]
    rows = []
    for name, content in report["protocols"].items():
        counts, protocol = content["crossings"], HONESTY[name]
        sizes = ", ".join(f"{content['sizes'].get(part, 0):.0f}" for part in ("train", "validation", "test"))
        shares = [_share(counts[kind], counts["test"]) for kind in _CROSSING_NAMES]
        rows.append([f"({protocol.letter}) {protocol.title}", sizes, *shares])
    return _table(header, sorted(rows, key=lambda row: [f"({p.letter}) {p.title}" for p in HONESTY.values()].index(row[0])))


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
    models = list(dict.fromkeys(model for _, _, figures in tested(report) for model in figures.get("models", {})))
    rows = []
    for _, title, figures in tested(report):
        own = figures.get("models", {})
        cells = [_cell(own.get(model), measure) for model in models for measure in ("accuracy", "uar")]
        seeds = max((len(scores["accuracy"]["seeds"]) for scores in own.values()), default=0)
        rows.append([title, *cells, *(f"{figures[key]}" for key in ("n", "n_speakers", "n_emotions")), f"{seeds}"])
    header = ["protocol", *(f"{model}, {measure}" for model in models for measure in ("accuracy", "UAR"))]
    return _table([*header, "test rows", "test speakers", "emotions", "seeds"], rows)


def _cell(scores: Mapping[str, Any] | None, measure: str) -> str:
    if scores is None:
        return _NOT_RUN
    value, star = scores[measure], "*" if scores["interval_over_clips"] else ""
    return f"{100 * value['mean']:.1f} ({100 * value['low']:.1f} to {100 * value['high']:.1f}){star}"


def accuracy(report: Mapping[str, Any] | None, protocol: str, model: str) -> float | None:
    """Percent of a model on RAVDESS under a protocol; None where it has not run."""
    scores = _scores(report, protocol, model)
    return 100 * scores["accuracy"]["mean"] if scores else None


def _scores(report: Mapping[str, Any] | None, protocol: str, model: str) -> Mapping[str, Any] | None:
    figures = (report or {}).get("protocols", {}).get(protocol, {}).get("tested", {}).get(HOME, {})
    return figures.get("models", {}).get(model)


def _differences(report: Mapping[str, Any], ours: str) -> Iterator[str]:
    for first, second, sentence in _LADDER:
        high, low = (accuracy(report, protocol, ours) for protocol in (first, second))
        if high is not None and low is not None:
            yield sentence.format(f"{high - low:+.1f}") + "."


def _claims(report: Mapping[str, Any] | None, claims: Claims) -> list[str]:
    ours = claims.ours
    header = [
        *("system", "its protocol", "claimed accuracy", "its design, run by us", f"our {ours}", "above the claim"),
        *("its design on (d)", f"our {ours} on (d)", f"{ours} minus it on (d)", "remark"),
    ]
    rows = [_claim(report, claim, ours) for claim in claims.systems]
    intro = [
        "## Claims against ours",
        "",
        "Each system under its own protocol, as near as is known, and on unheard speakers. Its design is our model of that name,",
        "trained on RAVDESS speech like all others here.",
        "",
    ]
    return [*intro, *_table(header, rows), "", *_verdict(report, claims)]


def _claim(report: Mapping[str, Any] | None, claim: Claim, ours: str) -> list[str]:
    here = accuracy(report, claim.protocol, ours)
    protocol = HONESTY[claim.protocol]
    return [
        f"{claim.system}, {claim.what}",
        f"({protocol.letter}) {protocol.title}",
        f"{claim.accuracy:g}" if claim.accuracy is not None else "none",
        *(_cell(_scores(report, claim.protocol, model), "accuracy") for model in (claim.model, ours)),
        "-" if claim.accuracy is None else _NOT_RUN if here is None else "yes" if here > claim.accuracy else "no",
        *(_cell(_scores(report, "speakers", model), "accuracy") for model in (claim.model, ours)),
        _difference(report, claim.model, ours),
        claim.remark,
    ]


def _difference(report: Mapping[str, Any] | None, model: str, ours: str) -> str:
    if model == ours:
        return "the same model"
    found = (report or {}).get("protocols", {}).get("speakers", {}).get("tested", {}).get(HOME, {}).get("pairs", {})
    for name, sign in ((f"{ours}_minus_{model}", 1), (f"{model}_minus_{ours}", -1)):
        if pair := found.get(name):
            ends = sorted(sign * 100 * pair[key] for key in ("delta_low", "delta_high"))
            return f"{sign * 100 * pair['delta']:+.1f} ({ends[0]:+.1f} to {ends[1]:+.1f})"
    return _NOT_RUN


def _verdict(report: Mapping[str, Any] | None, claims: Claims) -> list[str]:
    """How many marks are reached, of those that can be told."""
    given = [(claim, accuracy(report, claim.protocol, claims.ours)) for claim in claims.systems if claim.accuracy is not None]
    above = [here > claim.accuracy for claim, here in given if here is not None]
    others = dict.fromkeys(claim.model for claim in claims.systems if claim.model != claims.ours)
    mine = accuracy(report, "speakers", claims.ours)
    theirs = [value for model in others if (value := accuracy(report, "speakers", model)) is not None]
    told = f"Above the claim on its own protocol: {sum(above)} of {len(given)}"
    told += f" ({len(given) - len(above)} not run yet)." if len(above) < len(given) else "."
    beaten = sum(mine > value for value in theirs) if mine is not None else 0
    told += f" Above the systems' designs on unheard speakers: {beaten} of {len(others)}"
    n_told = len(theirs) if mine is not None else 0
    told += f" ({len(others) - n_told} not run yet)." if n_told < len(others) else "."
    return [told]


def _costs(report: Mapping[str, Any] | None) -> list[str]:
    if not report or not report.get("cost"):
        return []
    rows = [[model, f"{cost['trainings']}", f"{cost['took_s'] / 60:.0f}"] for model, cost in report["cost"].items()]
    return ["", "## Cost", "", *_table(["model", "trainings", "minutes in all"], rows)]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
