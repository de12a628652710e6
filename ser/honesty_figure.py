"""The honesty report as one picture: accuracy of each model under each protocol, and what is claimed there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ser.honesty_cells import tested
from ser.honesty_claims import Claims


def draw_honesty(path: Path, report: Mapping[str, Any], claims: Claims, results_sha256: str) -> None:
    """Write a group of bars for each protocol and tested corpus, with 95 % intervals, and a mark for each claim.

    Args:
        path: PNG file to write.
        report: of `ser.honesty_scores`.
        claims: of others.
        results_sha256: of the file the report came from; kept in the picture, so that an old picture can be told.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    groups = list(tested(report))
    models = list(dict.fromkeys(model for _, _, figures in groups for model in figures.get("models", {})))
    figure = Figure(figsize=(10, 0.9 * len(groups) + 2), layout="constrained")  # not pyplot: no window, no global state
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    width = 0.8 / len(models)
    for n, model in enumerate(models):
        found = [
            (place, figures["models"][model]) for place, (*_, figures) in enumerate(groups) if model in figures.get("models", {})
        ]
        values = [scores["accuracy"] for _, scores in found]
        means = [100 * value["mean"] for value in values]
        ends = [[max(0.0, 100 * (value["mean"] - value["low"])) for value in values]]
        ends += [[max(0.0, 100 * (value["high"] - value["mean"])) for value in values]]
        axes.barh(
            [place + (n - (len(models) - 1) / 2) * width for place, _ in found], means, width, xerr=ends, capsize=2, label=model
        )
    for claim in claims.systems:
        for place, (protocol, _, _) in enumerate(groups):
            if protocol == claim.protocol and claim.accuracy is not None:
                axes.plot(claim.accuracy, place, "D", color="black")
                axes.annotate(claim.system, (claim.accuracy, place), (6, -3), textcoords="offset points")
    axes.set_yticks(range(len(groups)), [title for _, title, _ in groups])
    axes.invert_yaxis()
    axes.set(xlim=(0, 105), xlabel="accuracy, percent, 95 % interval over test speakers; diamonds: claimed by others")
    axes.legend(loc="lower right")
    demo = ", synthetic demo voices" if report["synthetic_demo_voices"] else ""
    figure.suptitle(f"The same models, trained on RAVDESS under several protocols{demo}")
    figure.savefig(path, dpi=100, format="png", metadata={"Source": results_sha256})
