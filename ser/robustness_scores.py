"""From what a model answered about the same clips in every condition to the figures of docs/robustness.md."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ser import scoring
from ser.bootstrap import SpeakerBootstrap, interval, over_clips
from ser.evaluation import rounded
from ser.robustness import INTACT, Key, RobustnessError


@dataclass(frozen=True)
class Answer:
    """What became of one clip: an emotion, sure or not, or a refusal with its reason."""

    emotion: str = ""
    unsure: bool = False
    refused: str = ""  # "too short" or "silent"; empty where there was an answer


@dataclass(frozen=True)
class _Scored:
    """The clips under one condition; draws are of one bootstrap, so that conditions are compared draw by draw."""

    figures: dict[str, Any]
    macro_draws: np.ndarray  # (n_bootstrap,), UAR as the mean over corpora


def report(
    clips: pd.DataFrame, answers: Mapping[Key, Sequence[Answer]], emotions: Sequence[str], bootstrap: SpeakerBootstrap
) -> dict[str, Any]:
    """UAR, answers that are unsure and refusals of every condition and level, rounded.

    A refused clip counts as one whose emotion was missed: no answer is no recognition, and all conditions keep all clips.

    Args:
        clips: sampled rows of the cleaned table, columns corpus, speaker, emotion.
        answers: of each condition, in the order of `clips`; the intact clips among them.
        emotions: the model's.
        bootstrap: of the intervals.

    Returns:
        `intact`: figures; `conditions`: by name, a list of figures with their `level` and the difference to intact.

    Raises:
        RobustnessError: an emotion that the model does not know.
    """
    if unknown := sorted(set(clips["emotion"]) - set(emotions)):
        raise RobustnessError(f"the model knows {', '.join(emotions)}, not '{unknown[0]}'; take a bundle of this pipeline")
    scored = {key: _scored(clips, found, emotions, bootstrap) for key, found in answers.items()}
    intact = scored.pop((INTACT, None))
    conditions: dict[str, list[dict[str, Any]]] = {}
    for (name, level), condition in scored.items():
        low, high = interval(condition.macro_draws - intact.macro_draws)
        change = {"delta": condition.figures["uar"] - intact.figures["uar"], "delta_low": low, "delta_high": high}
        conditions.setdefault(name, []).append(rounded({"level": level, **condition.figures, **change}))
    return {"intact": rounded(intact.figures), "conditions": conditions}


def _scored(clips: pd.DataFrame, answers: Sequence[Answer], emotions: Sequence[str], bootstrap: SpeakerBootstrap) -> _Scored:
    codes = {emotion: code for code, emotion in enumerate(emotions)}
    n_codes = len(emotions) + 1  # the last is a refusal, which is nobody's truth
    truth = clips["emotion"].map(codes).to_numpy(dtype=int)
    predicted = np.array([codes.get(answer.emotion, len(emotions)) for answer in answers])
    corpus, speaker = (clips[name].to_numpy(dtype=object) for name in ("corpus", "speaker"))
    drawn = bootstrap(truth, predicted, n_codes, corpus=corpus, speaker=speaker)
    draws = {name: scoring.uar(counts) for name, counts in drawn.items()}

    corpora = {}
    for name, drawn_uar in draws.items():
        rows = corpus == name
        of_corpus = [answer for answer, inside in zip(answers, rows, strict=True) if inside]
        low, high = interval(drawn_uar)
        uar = float(scoring.uar(scoring.confusion(truth[rows], predicted[rows], n_codes)))
        single = int(over_clips(corpus[rows], speaker[rows]))
        corpora[name] = {"uar": uar, "uar_low": low, "uar_high": high, "interval_over_clips": single, **_shares(of_corpus)}
    macro_draws = np.mean(list(draws.values()), axis=0)
    low, high = interval(macro_draws)
    figures = {
        "uar": float(np.mean([scores["uar"] for scores in corpora.values()])),
        "uar_low": low,
        "uar_high": high,
        "interval_over_clips": int(over_clips(corpus, speaker)),
        **_shares(answers),
        "corpora": corpora,
    }
    return _Scored(figures, macro_draws)


def _shares(answers: Sequence[Answer]) -> dict[str, Any]:
    """Shares of all clips: answered 'unsure', and refused, by reason."""
    reasons = Counter(answer.refused for answer in answers if answer.refused)
    return {
        "unsure": sum(answer.unsure for answer in answers) / len(answers),
        "refused": reasons.total() / len(answers),
        "reasons": {reason: count / len(answers) for reason, count in sorted(reasons.items())},
    }
