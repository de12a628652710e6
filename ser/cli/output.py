"""Predictions as JSON lines, CSV, tab-separated lines, or a table on a terminal."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import click

from ser.cli.answering import Answer
from ser.cli.clips import STDIN, Clip
from ser.cli.scores import Score, scores
from ser.cli.text import path_text, printable
from ser.known_labels import KnownLabel

_BAR_CELLS = 10
_MOST_PROBABLE = 3


@dataclass(frozen=True)
class Row:
    """All there is to say of one clip."""

    clip: Clip
    label: KnownLabel | None
    answers: tuple[Answer, ...]  # one a model

    @property
    def error(self) -> str | None:
        """Why a model gave no answer; None if all did."""
        return next((answer.error for answer in self.answers if answer.error is not None), None)

    @property
    def name(self) -> str:
        """The path, fit for a terminal."""
        return "(standard input)" if self.clip.path == STDIN else printable(path_text(self.clip.path))

    def truth(self, answer: Answer) -> str | None:
        """The known label in the words of the model that answered; as recorded where it has no such emotion."""
        if self.label is None:
            return None
        return self.label.among(tuple(answer.prediction.get("probabilities", ()))) or self.label.emotion


class Writer(Protocol):
    """Takes rows as they come, and is told when there are no more."""

    streams: bool  # whether rows appear as they come, so that a progress bar would be in the way

    def write(self, row: Row) -> None:
        """Take one row."""

    def end(self) -> None:
        """Show what is left to show."""


def writer(style: str | None, trained_on: Mapping[str, str], emotions: Sequence[str]) -> Writer:
    """The writer for `json` or `csv`, or for None, which is a table on a terminal and tab-separated lines elsewhere.

    Args:
        style: as above.
        trained_on: of each model, in order.
        emotions: all that any model tells apart, in order.
    """
    if style == "json":
        return JsonLines(trained_on)
    if style == "csv":
        return Csv(trained_on, emotions)
    return Table(trained_on) if sys.stdout.isatty() else Lines(trained_on)


class _Streamed:
    """Rows appear as they come; the scores at the end go to stderr, which is not for programs."""

    streams = True

    def __init__(self, trained_on: Mapping[str, str]) -> None:
        self._trained_on = trained_on
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        """Print what is to be said of the row."""
        self._rows.append(row)
        self._print(row)

    def end(self) -> None:
        """Print the scores."""
        show_scores(self._rows, self._trained_on)

    def _print(self, row: Row) -> None:
        raise NotImplementedError


class JsonLines(_Streamed):
    """One object a line, for each clip and model."""

    def _print(self, row: Row) -> None:
        for answer in row.answers:
            click.echo(json.dumps(self._object(row, answer)))

    def _object(self, row: Row, answer: Answer) -> dict[str, Any]:
        head = {"path": path_text(row.clip.path), "model": answer.model, "trained_on": self._trained_on[answer.model]}
        truth = row.truth(answer)
        if answer.error is not None:
            return {**head, "error": answer.error}
        return {**head, **({"truth": truth} if truth else {}), **answer.prediction}


class Csv(_Streamed):
    """One line for each clip and model, with a column for each emotion."""

    def __init__(self, trained_on: Mapping[str, str], emotions: Sequence[str]) -> None:
        super().__init__(trained_on)
        self._emotions = emotions
        self._csv = csv.writer(sys.stdout, lineterminator="\n")
        probabilities = [f"p_{emotion}" for emotion in emotions]
        head = ["path", "model", "trained_on", "truth", "emotion", "confidence", "unsure"]
        self._csv.writerow([*head, *probabilities, "duration_s", "error"])

    def _print(self, row: Row) -> None:
        for answer in row.answers:
            said = answer.prediction
            probabilities = said.get("probabilities", {})
            unsure = str(said["unsure"]).lower() if said else ""
            cells = [path_text(row.clip.path), answer.model, self._trained_on[answer.model], row.truth(answer) or ""]
            cells += [said.get("emotion", ""), said.get("confidence", ""), unsure]
            cells += [probabilities.get(emotion, "") for emotion in self._emotions]
            self._csv.writerow([*cells, said.get("duration_s", ""), answer.error or ""])
        sys.stdout.flush()


class Lines(_Streamed):
    """Tab-separated for `cut` and `grep`: path, model, emotion, confidence, unsure or sure, and what it was trained on."""

    def _print(self, row: Row) -> None:
        for answer in row.answers:
            click.echo("\t".join([row.name, answer.model, *self._cells(row, answer)]))

    def _cells(self, row: Row, answer: Answer) -> list[str]:
        if answer.error is not None:
            return ["error", printable(answer.error)]
        said = answer.prediction
        truth = [f"truth: {truth}"] if (truth := row.truth(answer)) else []
        verdict = "unsure" if said["unsure"] else "sure"
        return [said["emotion"], f"{said['confidence']:.3f}", verdict, f"trained on: {self._trained_on[answer.model]}", *truth]


class Table:
    """For people: all rows in one table at the end, then what failed, then scores."""

    streams = False

    def __init__(self, trained_on: Mapping[str, str]) -> None:
        self._trained_on = trained_on
        self._rows: list[Row] = []

    def write(self, row: Row) -> None:
        """Keep the row."""
        self._rows.append(row)

    def end(self) -> None:
        """Print everything."""
        from rich.console import Console

        console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
        answered = [row for row in self._rows if any(answer.prediction for answer in row.answers)]
        if answered:
            console.print(self._table(answered, console))
        for row in self._rows:
            if row.error is not None:
                console.print(f"{row.name}: {printable(row.error)}", style="red")
        for name, corpora in self._trained_on.items():
            console.print(f"{printable(name)}: trained on {corpora}", style="bold yellow" if "synthetic" in corpora else "dim")
        show_scores(self._rows, self._trained_on, err=False)

    def _table(self, rows: list[Row], console: Any) -> Any:
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        several, labelled = len(self._trained_on) > 1, any(row.label for row in rows)
        full, empty = ("█", "·") if console.encoding.startswith("utf") else ("#", ".")
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("file", overflow="fold")
        if labelled:
            table.add_column("true")
        for name in self._trained_on if several else ("emotion", "confidence", "most probable"):
            table.add_column(Text(printable(name)), overflow="fold")
        for row in rows:
            cells = [Text(row.name)]
            if labelled:
                cells.append(Text(row.truth(row.answers[0]) or "", style="dim"))
            for answer in row.answers:
                cells += [_in_short(row, answer)] if several else _at_length(row, answer, full, empty)
            table.add_row(*cells)
        return table


def show_scores(rows: Sequence[Row], trained_on: Mapping[str, str], *, err: bool = True) -> None:
    """Print accuracy and UAR of each folder whose labels are known, and warn where they are no test result."""
    found = list(scores(rows))
    for score in found:
        click.echo(printable(score.sentence(len(trained_on) > 1)), err=err)
    for corpus in sorted({corpus for score in found for corpus in _also_trained_on(score, trained_on)}):
        click.echo(f"{corpus} is a corpus the model was trained on: this is no test result, see `ser info`", err=err)


def _also_trained_on(score: Score, trained_on: Mapping[str, str]) -> list[str]:
    return [corpus for corpus in score.corpora if corpus in trained_on[score.model].split(", ")]


def _in_short(row: Row, answer: Answer) -> Any:
    from rich.text import Text

    if not answer.prediction:
        return Text("not usable", style="red")
    said = answer.prediction
    return Text(f"{said['emotion']} {said['confidence']:.0%}{' unsure' if said['unsure'] else ''}", style=_style(row, answer))


def _at_length(row: Row, answer: Answer, full: str, empty: str) -> list[Any]:
    from rich.text import Text

    said = answer.prediction
    first = sorted(said["probabilities"].items(), key=lambda item: -item[1])[:_MOST_PROBABLE]
    bar = full * round(first[0][1] * _BAR_CELLS)
    confidence = f"{said['confidence']:.0%} {bar.ljust(_BAR_CELLS, empty)}"
    verdict = Text(said["emotion"] + (" (unsure)" if said["unsure"] else ""), style=_style(row, answer))
    return [verdict, Text(confidence), Text(", ".join(f"{emotion} {probability:.0%}" for emotion, probability in first))]


def _style(row: Row, answer: Answer) -> str:
    """Right and wrong where the truth is known; the column beside says the same to who sees no colours."""
    if (truth := row.truth(answer)) is not None:
        return "green" if truth == answer.prediction["emotion"] else "red"
    return "yellow" if answer.prediction["unsure"] else "bold"
