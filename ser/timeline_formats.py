"""Timelines as files for other programs: CSV and JSON for scripts, TextGrid for Praat, RTTM for diarisation tools.

CSV and JSON give every point. TextGrid and RTTM give segments, which do not overlap while the points' windows do: each
point stands for the stretch around the middle of its window, up to half-way to the middles of its neighbours; the first
from the start, the last to the end. Neighbours with one label make one segment.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np

from ser.timeline import TimelineError, TimelinePoint

SILENCE = ""  # label where nobody speaks: how Praat marks an interval without one
UNSURE = "unsure"


@dataclass(frozen=True)
class Segment:
    """A stretch with one label: an emotion, `UNSURE` or `SILENCE`."""

    start_s: float
    end_s: float
    label: str
    confidence: float  # mean over its points


def label_of(point: TimelinePoint) -> str:
    """What a segment of this point is called."""
    if not point.speech:
        return SILENCE
    return UNSURE if point.unsure else point.emotion


def segments_of(points: Sequence[TimelinePoint]) -> list[Segment]:
    """Merge neighbours with one label; the segments fill the time from the first point's start to the last one's end.

    Raises:
        TimelineError: no points.
    """
    _require(points)
    middles_s = [(point.start_s + point.end_s) / 2 for point in points]
    bounds_s = [points[0].start_s, *(sum(pair) / 2 for pair in pairwise(middles_s)), points[-1].end_s]
    segments, first = [], 0
    for label, group in groupby(points, key=label_of):
        confidences = [point.confidence for point in group]
        beyond = first + len(confidences)
        segments.append(Segment(bounds_s[first], bounds_s[beyond], label, float(np.mean(confidences))))
        first = beyond
    return segments


def to_csv(points: Sequence[TimelinePoint], name: str = "") -> str:
    """One line a point; the probabilities in columns `p_<emotion>`."""
    _require(points)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["start_s", "end_s", "speech", "emotion", "confidence", "unsure", *(f"p_{e}" for e in points[0].emotions)])
    for point in points:
        row = point.as_dict()
        probabilities = row.pop("probabilities").values()
        head = [row[key] for key in ("start_s", "end_s", "speech", "emotion", "confidence", "unsure")]
        writer.writerow([_plain(value) for value in (*head, *probabilities)])
    return text.getvalue()


def to_json(points: Sequence[TimelinePoint], name: str = "") -> str:
    """One object: the recording's name, its emotions in order, all points, and the segments."""
    _require(points)
    segments = [
        {"start_s": round(s.start_s, 3), "end_s": round(s.end_s, 3), "label": s.label, "confidence": round(s.confidence, 6)}
        for s in segments_of(points)
    ]
    content = {
        "recording": name,
        "duration_s": round(points[-1].end_s, 3),
        "emotions": list(points[0].emotions),
        "points": [point.as_dict() for point in points],
        "segments": segments,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def to_textgrid(points: Sequence[TimelinePoint], name: str = "") -> str:
    """Praat's long text format with one interval tier, `emotion`; where nobody speaks, the interval is empty.

    The format: manual page "TextGrid file formats" of Praat.
    """
    segments = segments_of(points)
    span = [f"xmin = {segments[0].start_s!r}", f"xmax = {segments[-1].end_s!r}"]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", *span, "tiers? <exists>", "size = 1", "item []:"]
    tier = ['class = "IntervalTier"', 'name = "emotion"', *span, f"intervals: size = {len(segments)}"]
    lines += ["    item [1]:", *(f"        {line}" for line in tier)]
    for number, segment in enumerate(segments, start=1):
        text = segment.label.replace('"', '""')
        fields = [f"xmin = {segment.start_s!r}", f"xmax = {segment.end_s!r}", f'text = "{text}"']
        lines += [f"        intervals [{number}]:", *(f"            {line}" for line in fields)]
    return "\n".join(lines) + "\n"


def to_rttm(points: Sequence[TimelinePoint], name: str = "") -> str:
    """Lines of ten fields with the emotion where the speaker's name stands; stretches without speech have none.

    The format: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A. Fields are
    separated by spaces, so those in the name become underscores.
    """
    file = _one_word(name) or "recording"
    lines = []
    for segment in segments_of(points):
        if segment.label != SILENCE:
            times = f"{segment.start_s:.3f} {segment.end_s - segment.start_s:.3f}"
            lines.append(f"SPEAKER {file} 1 {times} <NA> <NA> {_one_word(segment.label)} {segment.confidence:.3f} <NA>\n")
    return "".join(lines)


FORMATS: dict[str, Callable[[Sequence[TimelinePoint], str], str]] = {
    "csv": to_csv,
    "json": to_json,
    "textgrid": to_textgrid,
    "rttm": to_rttm,
}


def render(points: Iterable[TimelinePoint], form: str, name: str = "") -> str:
    """The text of a timeline.

    Args:
        points: of one recording, in order.
        form: csv, json, textgrid or rttm; capitals do not matter.
        name: of the recording, without a folder, for the forms that hold one.

    Raises:
        TimelineError: another form, or no points.
    """
    if form.lower() not in FORMATS:
        raise TimelineError(f"timeline format '{form}': one of {', '.join(FORMATS)} is needed")
    return FORMATS[form.lower()](list(points), name)


def write_timeline(path: Path, points: Iterable[TimelinePoint], form: str | None = None, name: str = "") -> None:
    """Write a timeline as UTF-8; the suffix of `path` tells the form where none is given.

    Raises:
        TimelineError: as `render`.
    """
    from ser.files import replacing

    text = render(points, form or path.suffix.removeprefix("."), name)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")


def _require(points: Sequence[TimelinePoint]) -> None:
    if not points:
        raise TimelineError("a timeline without points cannot be written; was there any audio?")


def _plain(value: float | str | bool) -> float | str:
    return str(value).lower() if isinstance(value, bool) else value


def _one_word(text: str) -> str:
    return re.sub(r"\s+", "_", text.strip())
