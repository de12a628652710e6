"""The honesty report as one picture: accuracy of each model under each protocol, and what is claimed there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ser.honesty_cells import tested
from ser.honesty_claims import Claims
from ser.honesty_plan import LONGER


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

    groups = [(protocol, title, figures["models"]) for protocol, title, figures in tested(report) if "models" in figures]
    models = list(dict.fromkeys(model for *_, own in groups for model in own))
    trained_longer = f"_{LONGER}"
    colours = {name: f"C{n}" for n, name in enumerate(dict.fromkeys(model.removesuffix(trained_longer) for model in models))}
    places = _places([list(own) for *_, own in groups])
    figure = Figure(figsize=(10, 0.2 * (sum(map(len, places)) + len(groups)) + 2), layout="constrained")
    FigureCanvasAgg(figure)  # not pyplot: no window, no global state
    axes = figure.subplots()
    for model in models:
        found = [(at[model], own[model]["accuracy"]) for at, (*_, own) in zip(places, groups, strict=True) if model in own]
        means = [100 * value["mean"] for _, value in found]
        ends = [[max(0.0, 100 * (value["mean"] - value["low"])) for _, value in found]]
        ends += [[max(0.0, 100 * (value["high"] - value["mean"])) for _, value in found]]
        look = {"color": colours[model.removesuffix(trained_longer)], "hatch": "//" if model.endswith(trained_longer) else None}
        axes.barh([place for place, _ in found], means, 0.9, xerr=ends, capsize=2, edgecolor="white", label=model, **look)
    middles = [mean(at.values()) for at in places]
    for claim in claims.systems:
        for at, middle, (protocol, *_) in zip(places, middles, groups, strict=True):
            if protocol == claim.protocol and claim.accuracy is not None:
                place = at.get(claim.model, middle)  # on the bar of its own design
                axes.plot(claim.accuracy, place, "D", color="black")
                box = {"facecolor": "white", "linewidth": 0, "pad": 1}
                axes.annotate(claim.system, (claim.accuracy, place), (8, -3), textcoords="offset points", bbox=box)
    axes.set_yticks(middles, [title for _, title, _ in groups])
    axes.invert_yaxis()
    axes.margins(y=0.01)
    axes.set(xlim=(0, 105), xlabel="accuracy, percent, 95 % interval over test speakers; diamonds: claimed by others")
    figure.legend(loc="outside right upper")
    demo = ", synthetic demo voices" if report["synthetic_demo_voices"] else ""
    figure.suptitle(f"The same models, trained on RAVDESS under several protocols{demo}")
    figure.savefig(path, dpi=100, format="png", metadata={"Source": results_sha256})


def _places(groups: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    """Where the bar of each model stands, group below group: no room is kept for models that did not run, one row between."""
    places, below = [], 0
    for models in groups:
        places.append({model: below + n for n, model in enumerate(models)})
        below += len(models) + 1
    return places
