"""Which model is better, and is the difference more than luck: chosen on validation, reported on test.

Models are compared on the same redrawn speakers (paired bootstrap): a hard speaker is hard for both, so the difference of two
models is known better than either of them. The test part never takes part in the choice.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ser import scoring
from ser.bootstrap import SpeakerBootstrap, interval, two_sided_p
from ser.errors import SerError
from ser.evaluation import rounded

_SCORES = ("uar", "uar_low", "uar_high", "accuracy", "macro_f1")


class ComparisonError(SerError):
    """The models were not scored on the same clips, or have no validation score to choose by."""


def compare(
    predictions: Mapping[str, pd.DataFrame], metrics: Mapping[str, Mapping[str, Any]], bootstrap: SpeakerBootstrap
) -> dict[str, Any]:
    """The best model by validation UAR, the scores side by side, and the paired difference of each pair on test.

    Args:
        predictions: by model, tables of `ser.evaluation.predictions_table`.
        metrics: by model, what `ser.evaluation.evaluate` gave; the same models.
        bootstrap: redraws the test speakers, the same way for every model.

    Raises:
        ComparisonError: a model has no validation UAR, or was scored on other clips than the first.
    """
    validation = {model: _validation_uar(model, metrics[model]) for model in predictions}
    tests = _aligned(predictions)
    return rounded(
        {
            "best": max(validation, key=lambda model: validation[model]),
            "models": {model: dict(metrics[model]["model"]) for model in predictions},
            "validation": {model: {"uar": value} for model, value in validation.items()},
            "test": {model: _test_scores(metrics[model]["test"]) for model in predictions},
            "pairs": {
                f"{second}_minus_{first}": _difference(tests[first], tests[second], bootstrap)
                for first, second in combinations(tests, 2)
            },
            "synthetic_demo_voices": max(node["synthetic_demo_voices"] for node in metrics.values()),
            "test_speakers_heard_in_training": max(node["test_speakers_heard_in_training"] for node in metrics.values()),
        }
    )


def as_table(comparison: Mapping[str, Any]) -> pd.DataFrame:
    """The comparison as one long table, a row a model and part of the test clips, for spreadsheets and DVC's plots.

    Columns: model, corpus (of the clips, or what is averaged over), the test scores as shares of one, validation_uar,
    parameters and size_bytes of the model, chosen (1 for the model that validation chooses).
    """
    rows = [
        {
            "model": model,
            "corpus": _heading(part),
            **{name: scores.get(name, np.nan) for name in _SCORES},
            "validation_uar": comparison["validation"][model]["uar"],
            **comparison["models"][model],
            "chosen": int(model == comparison["best"]),
        }
        for model, parts in comparison["test"].items()
        for part, scores in parts.items()
    ]
    return pd.DataFrame(rows)


def as_markdown(comparison: Mapping[str, Any]) -> str:
    """The comparison as two tables, in percent: models by corpora, then pairs of models."""
    heard = comparison["test_speakers_heard_in_training"]
    title = "Test UAR, speaker-disjoint" if not heard else "Test UAR, not speaker-disjoint"
    title += ", synthetic demo voices" if comparison["synthetic_demo_voices"] else ""
    parts = list(next(iter(comparison["test"].values())))
    lines = [
        f"# {title}",
        "",
        f"Percent, with the 95 % interval of a bootstrap over speakers. Test speakers heard in training: {heard}.",
    ]
    if over_clips := [part for part in parts if _first(comparison, part).get("interval_over_clips")]:
        named = ", ".join(map(_heading, over_clips))
        lines.append(f"Interval too narrow, a corpus has one test speaker and its clips are redrawn instead: {named}.")
    lines += [f"Chosen on validation: {comparison['best']}.", ""]
    lines += _table(
        ["model", "parameters", "size, MB", "validation, mean of corpora", *map(_heading, parts)],
        [
            [
                *(model, *_sizes(comparison["models"][model]), f"{100 * comparison['validation'][model]['uar']:.1f}"),
                *(_cell(scores[part]) for part in parts),
            ]
            for model, scores in comparison["test"].items()
        ],
    )
    lines += ["", "All clips, accuracy and macro F1:", ""]
    lines += _table(
        ["model", "accuracy", "macro F1"],
        [
            [model, *(f"{100 * scores['overall'][name]:.1f}" for name in ("accuracy", "macro_f1"))]
            for model, scores in comparison["test"].items()
        ],
    )
    if comparison.get("pairs"):
        lines += ["", "Difference of test UAR on the same speakers, in points:", ""]
        lines += _table(
            ["pair", *map(_heading, parts)],
            [
                [pair.replace("_minus_", " minus "), *(_pair_cell(differences[part]) for part in parts)]
                for pair, differences in comparison["pairs"].items()
            ],
        )
    return "\n".join(lines) + "\n"


def _validation_uar(model: str, metrics: Mapping[str, Any]) -> float:
    try:
        return metrics["validation"]["macro_over_corpora"]["uar"]
    except KeyError:
        raise ComparisonError(
            f"{model} has no validation UAR to choose by; give the split a validation part in params.yaml"
        ) from None


def _test_scores(test: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """UAR with its interval, accuracy and macro F1: mean over corpora, all clips pooled, then corpus by corpus."""
    kept = (*_SCORES, "interval_over_clips")
    parts = {"macro_over_corpora": test["macro_over_corpora"], "overall": test["overall"], **test["corpora"]}
    return {part: {name: scores[name] for name in kept if name in scores} for part, scores in parts.items()}


def _aligned(predictions: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Test rows of each model, sorted by id."""
    tests = {model: table[table["split"] == "test"].sort_values("id", ignore_index=True) for model, table in predictions.items()}
    columns = ["id", "corpus", "speaker", "emotion"]
    first, reference = next(iter(tests.items()))
    for model, table in tests.items():
        if not table[columns].equals(reference[columns]):
            raise ComparisonError(f"{model} and {first} were not scored on the same test clips; run `dvc repro`")
    return tests


def _difference(first: pd.DataFrame, second: pd.DataFrame, bootstrap: SpeakerBootstrap) -> dict[str, dict[str, float]]:
    """UAR of `second` minus UAR of `first`: delta, interval and p of the mean over corpora, the pool and each corpus."""
    emotions = sorted({*first["emotion"], *first["predicted"], *second["predicted"]})
    codes = {emotion: code for code, emotion in enumerate(emotions)}
    corpus, speaker = (first[name].to_numpy(dtype=object) for name in ("corpus", "speaker"))
    truth = first["emotion"].map(codes).to_numpy(dtype=int)
    observed, drawn = [], []
    for table in (first, second):
        predicted = table["predicted"].map(codes).to_numpy(dtype=int)
        counts = {
            name: scoring.confusion(truth[corpus == name], predicted[corpus == name], len(emotions)) for name in np.unique(corpus)
        }
        observed.append(_uars(counts))
        drawn.append(_uars(bootstrap(truth, predicted, len(emotions), corpus=corpus, speaker=speaker)))
    differences = {}
    for part in observed[0]:
        draws = drawn[1][part] - drawn[0][part]
        low, high = interval(draws)
        delta = observed[1][part] - observed[0][part]
        differences[part] = {"delta": delta, "delta_low": low, "delta_high": high, "p": two_sided_p(draws)}
    return differences


def _uars(counts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """UAR of count matrices by corpus, (...) each: mean over corpora, all clips pooled, then corpus by corpus."""
    corpora = {str(name): scoring.uar(matrix) for name, matrix in counts.items()}
    return {
        "macro_over_corpora": np.mean(list(corpora.values()), axis=0),
        "overall": scoring.uar(sum(counts.values())),
        **corpora,
    }


def _first(comparison: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    return next(iter(comparison["test"].values()))[part]


def _heading(part: str) -> str:
    return {"macro_over_corpora": "mean of corpora", "overall": "all clips"}.get(part, part)


def _cell(scores: Mapping[str, float]) -> str:
    return f"{100 * scores['uar']:.1f} ({100 * scores['uar_low']:.1f} to {100 * scores['uar_high']:.1f})"


def _sizes(model: Mapping[str, int]) -> tuple[str, str]:
    return f"{model['parameters']:,}", f"{model['size_bytes'] / 1e6:.2f}"


def _pair_cell(scores: Mapping[str, float]) -> str:
    low, high = 100 * scores["delta_low"], 100 * scores["delta_high"]
    return f"{100 * scores['delta']:+.1f} ({low:+.1f} to {high:+.1f}), p = {scores['p']:.3f}"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows)]
