"""From a model's probabilities on held-out clips to its predictions table, its metrics and the tables behind its plots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ser import scoring
from ser.bootstrap import SpeakerBootstrap, interval, over_clips
from ser.calibration import CalibrationParams, calibrate, committed, risk_coverage
from ser.errors import SerError

DECIMALS = 6  # the last bits of a float differ between CPU types; nobody should see that as a changed metric
ROC_POINTS = 200
HELD_OUT = ("validation", "test")


class EvaluationError(SerError):
    """The clips, the probabilities and the model's emotions do not fit together."""


@dataclass(frozen=True)
class _Part:
    """Scored clips as arrays over (n_clips,): codes of the emotions, probabilities, and who said it in which corpus."""

    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    corpus: np.ndarray
    speaker: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, emotions: Sequence[str]) -> "_Part":
        codes = {emotion: code for code, emotion in enumerate(emotions)}
        return cls(
            table["emotion"].map(codes).to_numpy(dtype=int),
            table["predicted"].map(codes).to_numpy(dtype=int),
            table[[f"p_{emotion}" for emotion in emotions]].to_numpy(dtype=float),
            table["corpus"].to_numpy(dtype=object),
            table["speaker"].to_numpy(dtype=object),
        )

    def __getitem__(self, rows: np.ndarray) -> "_Part":
        return _Part(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def counts(self, predicted: np.ndarray | None = None) -> np.ndarray:
        return scoring.confusion(self.truth, self.predicted if predicted is None else predicted, self.probabilities.shape[1])


def predictions_table(clips: pd.DataFrame, probabilities: np.ndarray, emotions: Sequence[str]) -> pd.DataFrame:
    """Columns id, corpus, speaker, split, emotion, predicted, p_<emotion>...; rows as in `clips`.

    Probabilities are rounded to six decimals before anything is derived from them, so the stored table gives every metric.

    Args:
        clips: held-out rows of the cleaned table.
        probabilities: (n_clips, n_emotions).
        emotions: names of the columns of `probabilities`.

    Raises:
        EvaluationError: no test clip, an emotion the model does not know, or probabilities of a wrong shape or not finite.
    """
    if not (clips["split"] == "test").any():
        raise EvaluationError("no test clip in the cleaned table; check `split` and `corpora` in params.yaml")
    if unknown := sorted(set(clips["emotion"]) - set(emotions)):
        raise EvaluationError(f"the model knows {', '.join(emotions)}, not '{unknown[0]}'; retrain it with `dvc repro`")
    if probabilities.shape != (len(clips), len(emotions)) or not np.isfinite(probabilities).all():
        raise EvaluationError(
            f"expected finite probabilities of shape {(len(clips), len(emotions))}, got {probabilities.shape}; "
            "the model's training has diverged or its bundle is of another version, retrain it with `dvc repro`"
        )
    rounded = probabilities.astype(float).round(DECIMALS)
    table = clips[["id", "corpus", "speaker", "split", "emotion"]].reset_index(drop=True)
    table["predicted"] = np.asarray(emotions, dtype=object)[rounded.argmax(axis=1)]
    return pd.concat([table, pd.DataFrame(rounded, columns=[f"p_{emotion}" for emotion in emotions])], axis=1)


def evaluate(
    clips: pd.DataFrame,
    predictions: pd.DataFrame,
    emotions: Sequence[str],
    *,
    bootstrap: SpeakerBootstrap,
    synthetic: bool,
) -> dict[str, Any]:
    """Metrics of one model: plain finite numbers, rounded; what is undefined is left out.

    Args:
        clips: the whole cleaned table, training rows included.
        predictions: as made by `predictions_table` from rows of `clips`.
        emotions: the model's, in order.
        bootstrap: gives the 95 % intervals of the test part.
        synthetic: whether the voices are the built-in demo corpora.
    """
    details = predictions[["id"]].merge(clips[["id", "sex", "intensity"]], on="id", how="left", validate="1:1")
    possible = {corpus: np.isin(emotions, rows["emotion"].unique()) for corpus, rows in clips.groupby("corpus", sort=True)}
    is_test = (predictions["split"] == "test").to_numpy()
    test = _test_scores(_Part.of(predictions[is_test], emotions), emotions, possible, bootstrap)
    test["by_sex"] = _by(predictions[is_test], details.loc[is_test, "sex"], emotions, unknown="unknown")
    test["by_intensity"] = _by(predictions[is_test], details.loc[is_test, "intensity"], emotions, unknown="")
    heard = set(clips.loc[clips["split"] == "train", "speaker"]) & set(predictions.loc[is_test, "speaker"])
    return rounded(
        {
            "test": test,
            "validation": _validation_scores(_Part.of(predictions[~is_test], emotions)),
            "synthetic_demo_voices": int(synthetic),
            "test_speakers_heard_in_training": len(heard),
        }
    )


def calibration_scores(predictions: pd.DataFrame, emotions: Sequence[str], params: CalibrationParams) -> dict[str, Any]:
    """Temperature and threshold fitted on the validation rows, and what they are worth on the test rows."""
    part = _Part.of(predictions, emotions)
    is_test = (predictions["split"] == "test").to_numpy()
    validation, test = part[~is_test], part[is_test]
    calibration = calibrate(validation.truth, validation.probabilities, params)
    calibrated = calibration(test.probabilities)
    coverage, accuracy = committed(test.truth, test.probabilities, calibration)
    return rounded(
        {
            "temperature": calibration.temperature,
            "unsure_below": calibration.unsure_below,
            "test": {
                "ece": scoring.ece(test.truth, calibrated),
                "log_loss": scoring.log_loss(test.truth, calibrated),
                "coverage": coverage,
                "accuracy_when_sure": accuracy,
            },
        }
    )


def enrolled_scores(test_clips: pd.DataFrame, probabilities: np.ndarray, emotions: Sequence[str]) -> dict[str, Any]:
    """UAR and accuracy, by corpus and as their mean, where each test speaker was known from some unlabelled clips.

    Args:
        test_clips: rows of the cleaned table.
        probabilities: (n_clips, n_emotions), given the enrolment.
        emotions: the model's, in order.
    """
    part = _Part.of(predictions_table(test_clips, probabilities, emotions), emotions)
    corpora = {name: _short(part[part.corpus == name]) for name in np.unique(part.corpus)}
    return rounded(
        {
            "macro_over_corpora": {"uar": np.mean([scores["uar"] for scores in corpora.values()])},
            "corpora": corpora,
        }
    )


def plot_tables(predictions: pd.DataFrame, emotions: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Tables of the test part by file name.

    `confusion` has one row a clip (DVC's template counts them), `confusion_matrix` the same as shares whose rows sum to one;
    `roc`, `reliability`, `risk_coverage` and `per_emotion_recall` are what they say.
    """
    table = predictions[predictions["split"] == "test"]
    part = _Part.of(table, emotions)
    counts = part.counts()
    shares = pd.DataFrame(scoring.row_shares(counts), columns=list(emotions))
    shares.insert(0, "actual", list(emotions))
    confidence, accuracy, count = scoring.reliability(part.truth, part.probabilities)
    bins = pd.DataFrame({"bin": np.arange(1, len(count) + 1), "confidence": confidence, "accuracy": accuracy, "n": count})
    return {
        "confusion": table.rename(columns={"emotion": "actual"})[["corpus", "actual", "predicted"]],
        "confusion_matrix": shares[counts.sum(axis=1) > 0].round(DECIMALS),
        "roc": _roc_table(part, emotions),
        "reliability": bins[count > 0].round(DECIMALS),
        "risk_coverage": pd.DataFrame(risk_coverage(part.truth, part.probabilities), columns=["coverage", "error_share"]).round(
            DECIMALS
        ),
        "per_emotion_recall": _recall_table(part, emotions),
    }


def scores_table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Every value of a model's metrics as a table of two columns, name and value, in the order of the metrics."""

    def leaves(node: Any, name: str) -> list[tuple[str, Any]]:
        if not isinstance(node, Mapping):
            return [(name, node)]
        return [leaf for key, value in node.items() for leaf in leaves(value, f"{name}.{key}" if name else str(key))]

    return pd.DataFrame(leaves(metrics, ""), columns=["name", "value"])


def rounded(node: Any) -> Any:
    """`node` with floats rounded and as Python numbers; NaN and empty mappings are left out of their mapping."""
    if isinstance(node, dict):
        kept = ((str(key), rounded(value)) for key, value in node.items())
        return {key: value for key, value in kept if value is not None and value != {}}
    if isinstance(node, float | np.floating):
        return round(float(node), DECIMALS) + 0.0 if np.isfinite(node) else None  # + 0.0 turns -0.0 into 0.0
    return int(node) if isinstance(node, np.integer) else node


def _test_scores(
    part: _Part, emotions: Sequence[str], possible: dict[str, np.ndarray], bootstrap: SpeakerBootstrap
) -> dict[str, Any]:
    draws = bootstrap(part.truth, part.predicted, len(emotions), corpus=part.corpus, speaker=part.speaker)
    corpora = {}
    for name, drawn in draws.items():
        rows = part[part.corpus == name]
        closed = scoring.closed(rows.probabilities, possible[name])
        corpora[name] = _full(rows, emotions, drawn) | {"uar_closed": scoring.uar(rows.counts(closed.argmax(axis=1)))}
    macro_draws = np.mean([scoring.uar(drawn) for drawn in draws.values()], axis=0)
    macro_low, macro_high = interval(macro_draws)
    by_clips = int(over_clips(part.corpus, part.speaker))
    macro = {name: np.mean([scores[name] for scores in corpora.values()]) for name in ("uar", "uar_closed")}
    return {
        "overall": _full(part, emotions, sum(draws.values())),
        "macro_over_corpora": macro | {"uar_low": macro_low, "uar_high": macro_high, "interval_over_clips": by_clips},
        "corpora": corpora,
    }


def _full(part: _Part, emotions: Sequence[str], draws: np.ndarray) -> dict[str, Any]:
    """All scores of some test clips; `draws` are their bootstrap count matrices."""
    counts = part.counts()
    uar_low, uar_high = interval(scoring.uar(draws))
    accuracy_low, accuracy_high = interval(scoring.accuracy(draws))
    support, recall, f1 = counts.sum(axis=1), scoring.recalls(counts), scoring.f1_scores(counts)
    return {
        "n": len(part.truth),
        "n_speakers": len(np.unique(part.speaker)),
        "interval_over_clips": int(over_clips(part.corpus, part.speaker)),
        "uar": scoring.uar(counts),
        "uar_low": uar_low,
        "uar_high": uar_high,
        "accuracy": scoring.accuracy(counts),
        "accuracy_low": accuracy_low,
        "accuracy_high": accuracy_high,
        "macro_f1": scoring.macro_f1(counts),
        "weighted_f1": scoring.weighted_f1(counts),
        "roc_auc": scoring.roc_auc(part.truth, part.probabilities),
        "log_loss": scoring.log_loss(part.truth, part.probabilities),
        "ece": scoring.ece(part.truth, part.probabilities),
        "emotions": {
            emotion: {"recall": recall[code], "f1": f1[code], "support": support[code]}
            for code, emotion in enumerate(emotions)
            if support[code]
        },
    }


def _validation_scores(part: _Part) -> dict[str, Any]:
    if not len(part.truth):
        return {}
    corpora = {name: _short(part[part.corpus == name]) for name in np.unique(part.corpus)}
    macro = np.mean([scores["uar"] for scores in corpora.values()])
    return {"overall": _short(part), "macro_over_corpora": {"uar": macro}, "corpora": corpora}


def _short(part: _Part) -> dict[str, Any]:
    counts = part.counts()
    return {"uar": scoring.uar(counts), "accuracy": scoring.accuracy(counts), "n": len(part.truth)}


def _by(table: pd.DataFrame, groups: pd.Series, emotions: Sequence[str], *, unknown: str) -> dict[str, Any]:
    """UAR and clip count of each group of clips; the unknown ones are left out."""
    part, group = _Part.of(table, emotions), groups.to_numpy(dtype=object)
    scores = {}
    for name in sorted(set(group) - {unknown}):
        rows = part[group == name]
        scores[name] = {"uar": scoring.uar(rows.counts()), "n": len(rows.truth)}
    return scores


def _roc_table(part: _Part, emotions: Sequence[str]) -> pd.DataFrame:
    curves = []
    for code, emotion in enumerate(emotions):
        positive = part.truth == code
        if positive.any() and not positive.all():
            rates = np.stack(scoring.roc_points(positive, part.probabilities[:, code]), axis=1)
            kept = np.unique(np.linspace(0, len(rates) - 1, ROC_POINTS).round().astype(int))
            curves.append(pd.DataFrame(rates[kept], columns=["fpr", "tpr"]).assign(emotion=emotion))
    table = pd.concat(curves) if curves else pd.DataFrame(columns=["emotion", "fpr", "tpr"])
    return table[["emotion", "fpr", "tpr"]].round(DECIMALS)


def _recall_table(part: _Part, emotions: Sequence[str]) -> pd.DataFrame:
    rows = []
    for corpus in np.unique(part.corpus):
        recall = scoring.recalls(part[part.corpus == corpus].counts())
        rows += [(corpus, emotion, recall[code]) for code, emotion in enumerate(emotions) if np.isfinite(recall[code])]
    return pd.DataFrame(rows, columns=["corpus", "emotion", "recall"]).round(DECIMALS)
