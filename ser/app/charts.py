"""The app's charts: one function a picture, all with time in seconds along the same axis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from ser.app.curves import group_starts, thinned_extremes, thinned_means
from ser.app.words import COLOURS, percent
from ser.prediction import Prediction

if TYPE_CHECKING:
    from ser.timeline import TimelinePoint

_ACCENT = "#0d9488"
_QUIET = "#94a3b8"
_N_MOST = 700  # as many steps as a wide screen has pixels to tell apart
_N_FRAMES = 260
_MARGIN = 46  # px for the labels at the left: the same in all charts, so that their time axes line up


def _time(duration_s: float, *, title: str | None = None) -> alt.X:
    scale = alt.Scale(domain=[0, duration_s], nice=False)
    return alt.X("start:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6, grid=False, labelFlush=True))


def _left(title: str, **options: object) -> alt.Axis:
    return alt.Axis(title=title, minExtent=_MARGIN, maxExtent=_MARGIN, titleAnchor="middle", **options)


def waveform(extremes: np.ndarray, duration_s: float, times_s: np.ndarray, attention: np.ndarray) -> alt.LayerChart:
    """Waveform (n_steps, 2) with the model's attention (n_steps of its own) as a highlight behind it."""
    drawn = thinned_extremes(extremes, _N_MOST)
    edges = np.linspace(0, duration_s, len(drawn) + 1)
    wave = pd.DataFrame({"start": edges[:-1], "end": edges[1:], "low": drawn[:, 0], "high": drawn[:, 1]})
    peak = float(max(np.abs(drawn).max(), 1e-3))
    height = alt.Scale(domain=[-peak, peak], nice=False)
    axis = _left("Amplitude", format=".2~f", tickCount=3, grid=False)
    layers = []
    if len(attention):
        lit = _attention_steps(times_s, attention, duration_s)
        colour = alt.Opacity("strength:Q", scale=alt.Scale(domain=[0, 1], range=[0, 0.65]), legend=None)
        tips = [alt.Tooltip("start:Q", format=".2f", title="at, s"), alt.Tooltip("share:Q", format=".1%", title="attention")]
        layers.append(alt.Chart(lit).mark_rect(color=_ACCENT).encode(_time(duration_s), x2="end", opacity=colour, tooltip=tips))
    bars = alt.Chart(wave).mark_rect(color=_QUIET if not layers else "#7c8798")
    y = alt.Y("low:Q", scale=height, axis=axis)
    layers.append(bars.encode(_time(duration_s, title="Time (s)"), x2="end", y=y, y2="high"))
    return alt.layer(*layers).properties(height=150)


def _attention_steps(times_s: np.ndarray, attention: np.ndarray, duration_s: float) -> pd.DataFrame:
    """One row a step, from halfway to its neighbours; `strength` is relative to the strongest step."""
    weights = thinned_means(attention, _N_FRAMES)
    centres = thinned_means(times_s, _N_FRAMES)
    middles = (centres[:-1] + centres[1:]) / 2
    step = float(np.median(np.diff(centres))) if len(centres) > 1 else duration_s
    start = np.concatenate(([max(0.0, centres[0] - step / 2)], middles))
    end = np.concatenate((middles, [min(duration_s, centres[-1] + step / 2)]))
    return pd.DataFrame({"start": start, "end": end, "share": weights / weights.sum(), "strength": weights / weights.max()})


def log_mel(bands_db: np.ndarray, duration_s: float) -> alt.Chart:
    """Log-mel bands of shape (n_frames, n_mels) as a picture, low bands at the bottom."""
    drawn = thinned_means(bands_db, _N_FRAMES)
    n_frames, n_mels = drawn.shape
    edges = np.linspace(0, duration_s, n_frames + 1).astype(np.float32)
    frame, band = np.divmod(np.arange(n_frames * n_mels), n_mels)
    table = pd.DataFrame({"start": edges[frame], "end": edges[frame + 1], "band": band})
    table["end"] += 0.4 * duration_s / n_frames  # neighbours overlap, or the browser leaves hairlines between them
    table["next"] = band + 1.4
    table["level"] = np.rint(drawn.ravel()).astype(np.int8)
    y = alt.Y("band:Q", scale=alt.Scale(domain=[0, n_mels], nice=False), axis=_left("Mel band", tickCount=4, grid=False))
    shade = alt.Color("level:Q", scale=alt.Scale(scheme="magma", domain=[float(bands_db.min()), 0]), legend=None)
    chart = alt.Chart(table).mark_rect(strokeWidth=0, clip=True)
    return chart.encode(
        _time(
            duration_s,
        ),
        x2="end",
        y=y,
        y2="next",
        color=shade,
        tooltip=alt.value(None),
    ).properties(height=170)


def pitch(times_s: np.ndarray, f0_hz: np.ndarray, duration_s: float) -> alt.Chart:
    """Pitch contour, broken where there is no voice."""
    table = pd.DataFrame({"start": times_s, "f0": f0_hz})
    voiced = f0_hz[np.isfinite(f0_hz)]
    low, high = (voiced.min() * 0.9, voiced.max() * 1.1) if len(voiced) else (60.0, 400.0)
    y = alt.Y(
        "f0:Q", scale=alt.Scale(domain=[float(low), float(high)], nice=False), axis=_left("Pitch (Hz)", tickCount=4, format=".0f")
    )
    tips = [alt.Tooltip("start:Q", format=".2f", title="at, s"), alt.Tooltip("f0:Q", format=".0f", title="pitch, Hz")]
    line = alt.Chart(table).mark_line(
        color=_ACCENT, strokeWidth=2.5, point={"size": 8, "color": _ACCENT}, invalid="break-paths-show-path-domains"
    )
    return line.encode(_time(duration_s, title="Time (s)"), y=y, tooltip=tips).properties(height=150)


def probabilities(prediction: Prediction) -> alt.LayerChart:
    """A bar for each emotion, most probable first, and a dashed line where the verdict begins."""
    table = pd.DataFrame({"emotion": prediction.emotions, "probability": prediction.probabilities})
    table["label"] = [percent(probability) for probability in prediction.probabilities]
    order = table.sort_values("probability", ascending=False)["emotion"].tolist()
    y = alt.Y("emotion:N", sort=order, title=None, axis=alt.Axis(labelLimit=140, ticks=False, domain=False, labelFontSize=13))
    x = alt.X("probability:Q", scale=alt.Scale(domain=[0, 1.12]), axis=None)
    top = alt.condition(alt.datum.emotion == prediction.emotion, alt.value(1.0), alt.value(0.45))
    shade = alt.Color("emotion:N", scale=_emotion_scale(prediction.emotions), legend=None)
    tips = [alt.Tooltip("emotion:N"), alt.Tooltip("probability:Q", format=".1%")]
    base = alt.Chart(table).encode(y=y)
    bars = base.mark_bar(cornerRadiusEnd=3, height={"band": 0.7}).encode(x, color=shade, opacity=top, tooltip=tips)
    text = base.mark_text(align="left", dx=5, fontSize=12, color=_QUIET).encode(x, text="label:N")
    rule = alt.Chart(pd.DataFrame({"least": [prediction.unsure_below]})).mark_rule(strokeDash=[4, 4], color=_QUIET)
    layers = [bars, text] + ([rule.encode(x="least:Q")] if prediction.unsure_below > 0 else [])
    return alt.layer(*layers).properties(height=27 * len(table))


def timeline(points: Sequence["TimelinePoint"], spans_s: np.ndarray) -> alt.Chart:
    """Smoothed probabilities stacked over time; blank where nobody speaks.

    `spans_s` (n_points, 2) is where each point is drawn.
    """
    emotions = points[0].emotions
    speech = thinned_means(np.array([point.speech for point in points], dtype=float), _N_FRAMES)
    values = thinned_means(np.stack([point.probabilities for point in points]), _N_FRAMES)
    tops = np.cumsum(values, axis=1)
    starts = spans_s[group_starts(len(points), _N_FRAMES), 0]
    n = len(emotions)
    table = pd.DataFrame(
        {
            "start": np.repeat(starts, n),
            "end": np.repeat([*starts[1:], spans_s[-1, 1]], n),
            "emotion": list(emotions) * len(values),
            "probability": values.ravel(),
            "low": (tops - values).ravel(),
            "high": tops.ravel(),
            "speech": np.repeat(speech >= 0.5, n),
        }
    )
    axis = _left("Probability", format=".0%", tickCount=3, grid=False)
    y = alt.Y("low:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    shade = alt.Color(
        "emotion:N",
        scale=_emotion_scale(emotions),
        legend=alt.Legend(orient="bottom", title=None, columns=4, symbolType="square"),
    )
    tips = [alt.Tooltip("start:Q", format=".1f", title="from, s"), "emotion:N", alt.Tooltip("probability:Q", format=".0%")]
    time = _time(float(spans_s[-1, 1]), title="Time (s)")
    bars = alt.Chart(table[table["speech"]]).mark_rect(strokeWidth=0)
    return bars.encode(time, x2="end", y=y, y2="high", color=shade, tooltip=tips).properties(height=230)


def _emotion_scale(emotions: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(emotions), range=[COLOURS.get(emotion, _QUIET) for emotion in emotions])
