"""The robustness report as one picture: UAR against the level of each disturbance."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser.robustness_panels import PANELS, Panel, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_robustness(path: Path, report: Mapping[str, Any], results_sha256: str) -> None:
    """Write a plot for each panel: mean of corpora with its 95 % interval; single corpora and unsure answers where they fit.

    Args:
        path: PNG file to write.
        report: of `benchmarks.robustness`.
        results_sha256: of the file the report came from; kept in the picture, so that an old picture can be told.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 9), layout="constrained")  # not pyplot: no window, no global state
    FigureCanvasAgg(figure)
    plots = list(figure.subplots(2, 3, sharey=True).flat)
    for axes, panel in zip(plots, PANELS, strict=True):
        _draw(axes, report, panel)
    plots[0].legend(fontsize="small", ncols=2)
    figure.legend(*plots[-1].get_legend_handles_labels(), loc="outside lower center", ncols=8)  # the same in the other five
    figure.supylabel("percent")
    demo = ", synthetic demo voices" if report["synthetic_demo_voices"] else ""
    unheard = "" if report["test_speakers_heard_in_training"] else "unheard "
    n_clips, n_speakers = (sum(part[key] for part in report["corpora"].values()) for key in ("n", "n_speakers"))
    figure.suptitle(
        f"{report['bundle']['model']} on {n_clips} test clips of {n_speakers} {unheard}speakers{demo}: "
        "UAR, mean of corpora, 95 % interval over speakers"
    )
    figure.savefig(path, dpi=100, format="png", metadata={"Source": results_sha256})


def _draw(axes: "Axes", report: Mapping[str, Any], panel: Panel) -> None:
    alone = len(panel.conditions) == 1
    levels: list[str] = []
    for condition, name in panel.conditions.items():
        shown = points(report, panel, condition)
        levels, scores = [level for level, _ in shown], [found for _, found in shown]
        places = range(len(levels))
        (line,) = axes.plot(places, _percent(scores, "uar"), marker="o", linewidth=2, label=name or "mean of corpora")
        axes.fill_between(places, _percent(scores, "uar_low"), _percent(scores, "uar_high"), color=line.get_color(), alpha=0.15)
        if alone:
            for n, corpus in enumerate(report["corpora"], 1):
                axes.plot(places, _percent([s["corpora"][corpus] for s in scores], "uar"), f"C{n}--", linewidth=1, label=corpus)
        axes.plot(places, _percent(scores, "unsure"), ":", color="grey" if alone else line.get_color(), label=_unsure(name))
    axes.set_xticks(range(len(levels)), levels)
    axes.set(title=panel.title, xlabel=panel.axis, ylim=(0, 100))


def _unsure(name: str) -> str:
    return f"{name}, answered unsure" if name else "answered unsure"


def _percent(scores: list[Mapping[str, Any]], key: str) -> list[float]:
    return [100 * found[key] for found in scores]
