"""Results of many files as one table, and how many are right where the names tell the emotion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ser.app.words import with_emoji
from ser.known_labels import known_label
from ser.prediction import Prediction


@dataclass(frozen=True)
class Result:
    """Every chosen model's answer for one file, by the model's name."""

    file: str
    predictions: Mapping[str, Prediction] = field(repr=False)

    def true_emotion(self, model: str) -> str | None:
        """What this model should have said, if the name is one of a known corpus."""
        label = known_label(Path(self.file))
        return label.among(self.predictions[model].emotions) if label else None

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return next(iter(self.predictions.values())).duration_s


def shown(results: Sequence[Result]) -> pd.DataFrame:
    """A row a file for the screen: the verdict by each model, its probability, and the true emotion if any is known."""
    rows = []
    for result in results:
        row: dict[str, Any] = {"File": result.file}
        for model, prediction in result.predictions.items():
            suffix = f" · {model}" if len(result.predictions) > 1 else ""
            row[f"Verdict{suffix}"] = f"unsure ({prediction.emotion})" if prediction.unsure else with_emoji(prediction.emotion)
            row[f"Probability{suffix}"] = prediction.confidence
        rows.append(
            row | {"True emotion": result.true_emotion(next(iter(result.predictions))), "Length (s)": round(result.duration_s, 2)}
        )
    table = pd.DataFrame(rows)
    return table.drop(columns="True emotion") if table["True emotion"].isna().all() else table


def csv(results: Sequence[Result]) -> str:
    """A row a file and model: verdict, every probability, and the true emotion where known."""
    rows = []
    for result in results:
        for model, prediction in result.predictions.items():
            values = prediction.as_dict()
            row = {"file": result.file, "model": model, "true_emotion": result.true_emotion(model) or ""}
            row |= {name: values[name] for name in ("emotion", "confidence", "unsure", "duration_s")}
            rows.append(row | {f"p_{emotion}": p for emotion, p in values["probabilities"].items()})
    return pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")


@dataclass(frozen=True)
class Score:
    """How often a model is right on files whose emotion is known."""

    n_right: int
    n_known: int
    uar: float  # recall averaged over the emotions that occur

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.n_right / self.n_known


def score(results: Sequence[Result], model: str) -> Score | None:
    """Of one model; None where no name tells an emotion the model has. An unsure answer counts by its nearest emotion."""
    pairs = [(result.true_emotion(model), result.predictions[model]) for result in results]
    known = [(true, prediction.emotion == true) for true, prediction in pairs if true in prediction.emotions]
    if not known:
        return None
    table = pd.DataFrame(known, columns=["true", "right"])
    return Score(int(table["right"].sum()), len(table), float(table.groupby("true")["right"].mean().mean()))
