"""Pictures of a model's evaluation, drawn from the tables that `evaluate` wrote and the training's history."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_model(folder: Path, tables: dict[str, pd.DataFrame], history: pd.DataFrame, title: str) -> None:
    """Write confusion_matrix.png, roc.png, reliability.png and curves.png.

    Args:
        folder: existing folder to write to.
        tables: `confusion_matrix`, `roc` and `reliability` as made by `ser.evaluation.plot_tables`; absent ones are left out.
        history: one row an epoch, column `epoch` and one column a curve.
        title: put on every figure; says on which voices.
    """
    drawings = {name: draw for name, draw in _DRAWINGS.items() if name in tables}
    for name, draw in drawings.items():
        _save(draw(tables[name]), folder / f"{name}.png", title)
    _save(_curves(history), folder / "curves.png", title)


def draw_comparison(path: Path, scores: dict[str, dict[str, Any]], title: str) -> None:
    """Write one bar a model: test UAR, mean of corpora, with its 95 % interval.

    Args:
        path: PNG file to write.
        scores: by model, a mapping with `uar`, `uar_low` and `uar_high`.
        title: put on the figure.
    """
    figure = _figure()
    axes = figure.subplots()
    uars = [score["uar"] for score in scores.values()]
    low = [max(0.0, score["uar"] - score["uar_low"]) for score in scores.values()]
    high = [max(0.0, score["uar_high"] - score["uar"]) for score in scores.values()]
    axes.bar(list(scores), uars, yerr=[low, high], capsize=6)
    axes.set(ylim=(0, 1), ylabel="UAR on test, mean of corpora, 95 % interval")
    _save(figure, path, title)


def _confusion_matrix(table: pd.DataFrame) -> "Figure":
    shares = table.set_index("actual")
    figure = _figure()
    axes = figure.subplots()
    axes.imshow(shares.to_numpy(), vmin=0, vmax=1, cmap="Blues")
    axes.set_xticks(range(shares.shape[1]), list(shares.columns), rotation=45, ha="right")
    axes.set_yticks(range(shares.shape[0]), list(shares.index))
    axes.set(xlabel="predicted", ylabel="actual (rows sum to one)")
    for (row, column), share in _cells(shares):
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color="white" if share > 0.5 else "black")
    return figure


def _roc(table: pd.DataFrame) -> "Figure":
    figure = _figure()
    axes = figure.subplots()
    for emotion, curve in table.groupby("emotion", sort=False):
        axes.plot(curve["fpr"], curve["tpr"], label=emotion)
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    if len(table):
        axes.legend(loc="lower right")
    return figure


def _reliability(table: pd.DataFrame) -> "Figure":
    figure = _figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.plot(table["confidence"], table["accuracy"], marker="o")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="mean confidence", ylabel="accuracy", aspect="equal")
    return figure


def _curves(history: pd.DataFrame) -> "Figure":
    names = [name for name in history.columns if name not in ("epoch", "learning_rate")]
    losses = [name for name in names if name.endswith("loss")]
    figure = _figure()
    groups = [group for group in (losses, [name for name in names if name not in losses]) if group]
    for axes, group in zip(figure.subplots(1, len(groups), squeeze=False)[0], groups, strict=True):
        for name in group:
            axes.plot(history["epoch"], history[name], label=name.replace("_", " "))
        axes.set(xlabel="epoch")
        axes.legend()
    return figure


_DRAWINGS = {"confusion_matrix": _confusion_matrix, "roc": _roc, "reliability": _reliability}


def _cells(shares: pd.DataFrame) -> list[tuple[tuple[int, int], float]]:
    values = shares.to_numpy(dtype=float)
    return [((row, column), values[row, column]) for row in range(values.shape[0]) for column in range(values.shape[1])]


def _figure() -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")  # not pyplot: no window, no global state
    FigureCanvasAgg(figure)
    return figure


def _save(figure: "Figure", path: Path, title: str) -> None:
    figure.suptitle(title)
    figure.savefig(path, dpi=100)
