"""The claims of others beside our figures: under each system's own protocol, and on unheard speakers."""

from collections.abc import Mapping
from typing import Any

from ser.honesty import HOME, HONESTY
from ser.honesty_cells import NOT_RUN, accuracy, cell, points, scores_of, table_lines
from ser.honesty_claims import Claim, Claims


def claims_section(report: Mapping[str, Any] | None, claims: Claims) -> list[str]:
    """Lines of Markdown: a table and what it comes to."""
    ours = claims.ours
    header = [
        *("system", "its protocol", "claimed accuracy", "its design, run by us", f"our {ours}", f"our {claims.heard}"),
        *("above the claim", "its design on (d)", f"our {ours} on (d)", f"{ours} minus it on (d)", "remark"),
    ]
    rows = [_claim(report, claim, claims) for claim in claims.systems]
    intro = [
        "## Claims against ours",
        "",
        "Each system under its own protocol, as near as is known, and on unheard speakers. Its design is our model of that name,",
        "trained on RAVDESS speech like all others here.",
        "",
    ]
    return [*intro, *table_lines(header, rows), "", *_verdict(report, claims)]


def _claim(report: Mapping[str, Any] | None, claim: Claim, claims: Claims) -> list[str]:
    ours, here = claims.ours, _best(report, claim, claims)
    protocol = HONESTY[claim.protocol]
    return [
        f"{claim.system}, {claim.what}",
        f"({protocol.letter}) {protocol.title}",
        f"{claim.accuracy:g}" if claim.accuracy is not None else "none",
        *(cell(scores_of(report, claim.protocol, model), "accuracy") for model in (claim.model, ours)),
        cell(scores_of(report, claim.protocol, claims.heard), "accuracy", "-"),
        "-" if claim.accuracy is None else NOT_RUN if here is None else "yes" if here > claim.accuracy else "no",
        *(cell(scores_of(report, "speakers", model), "accuracy") for model in (claim.model, ours)),
        _difference(report, claim.model, ours),
        claim.remark,
    ]


def _best(report: Mapping[str, Any] | None, claim: Claim, claims: Claims) -> float | None:
    """Accuracy of `claims.heard` under a claim's protocol, and of `claims.ours` where that has not run; never the higher one."""
    heard = accuracy(report, claim.protocol, claims.heard)
    return accuracy(report, claim.protocol, claims.ours) if heard is None else heard


def _difference(report: Mapping[str, Any] | None, model: str, ours: str) -> str:
    if model == ours:
        return "the same model"
    found = (report or {}).get("protocols", {}).get("speakers", {}).get("tested", {}).get(HOME, {}).get("pairs", {})
    if pair := found.get(f"{model}_minus_{ours}"):
        pair = {"delta": -pair["delta"], "delta_low": -pair["delta_high"], "delta_high": -pair["delta_low"]}
    return points(pair or found.get(f"{ours}_minus_{model}"), NOT_RUN)


def _verdict(report: Mapping[str, Any] | None, claims: Claims) -> list[str]:
    """How many marks are reached, of those that can be told."""
    given = [(claim, _best(report, claim, claims)) for claim in claims.systems if claim.accuracy is not None]
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
