import csv
import io
import json

import numpy as np
import pytest

from ser.timeline import TimelineError, TimelinePoint
from ser.timeline_formats import FORMATS, render, segments_of, write_timeline

EMOTIONS = ("angry", "happy", "sad")


def point(start_s, end_s, emotion="angry", confidence=0.8, speech=True):
    probabilities = np.full(3, (1 - confidence) / 2)
    probabilities[EMOTIONS.index(emotion)] = confidence
    return TimelinePoint(EMOTIONS, probabilities, 0.5, start_s=start_s, end_s=end_s, speech=speech)


POINTS = [
    point(0.0, 1.0, speech=False),
    point(0.0, 2.0),
    point(0.0, 3.0, confidence=0.6),
    point(1.0, 4.0, "sad"),
    point(2.0, 5.0, "sad", confidence=0.4),
    point(3.0, 6.0, "sad", speech=False),
    point(4.0, 6.5, "happy"),
]


def test_neighbours_with_one_label_make_one_segment_and_segments_fill_the_time():
    segments = segments_of(POINTS)
    assert [s.label for s in segments] == ["", "angry", "sad", "unsure", "", "happy"]
    assert segments[0].start_s == 0 and segments[-1].end_s == 6.5
    assert all(left.end_s == right.start_s for left, right in zip(segments[:-1], segments[1:], strict=True))
    assert [s.start_s for s in segments] == [0, 0.75, 2.0, 3.0, 4.0, 4.875]
    assert segments[1].confidence == pytest.approx(0.7)


def test_one_point_makes_one_segment():
    (segment,) = segments_of([point(0, 0.4)])
    assert (segment.start_s, segment.end_s, segment.label) == (0, 0.4, "angry")


def test_csv_has_a_line_a_point():
    rows = list(csv.DictReader(io.StringIO(render(POINTS, "csv"))))
    assert len(rows) == len(POINTS)
    assert rows[0]["speech"] == "false" and rows[1]["speech"] == "true"
    assert rows[4]["unsure"] == "true"
    assert (rows[3]["start_s"], rows[3]["end_s"], rows[3]["emotion"], rows[3]["confidence"]) == ("1.0", "4.0", "sad", "0.8")
    assert float(rows[3]["p_sad"]) == 0.8 and float(rows[3]["p_angry"]) == 0.1


def test_json_is_one_object_with_points_and_segments():
    content = json.loads(render(POINTS, "json", "talk.wav"))
    assert content["recording"] == "talk.wav" and content["duration_s"] == 6.5
    assert content["emotions"] == list(EMOTIONS)
    assert content["points"] == [p.as_dict() for p in POINTS]
    assert content["segments"][1] == {"start_s": 0.75, "end_s": 2.0, "label": "angry", "confidence": 0.7}


def test_praat_reads_the_textgrid(tmp_path):
    import parselmouth

    write_timeline(tmp_path / "talk.TextGrid", POINTS)
    grid = parselmouth.read(str(tmp_path / "talk.TextGrid"))
    assert isinstance(grid, parselmouth.TextGrid)
    call = parselmouth.praat.call
    assert call(grid, "Get number of tiers") == 1
    assert call(grid, "Get tier name", 1) == "emotion"
    assert call(grid, "Get end time") == 6.5
    segments = segments_of(POINTS)
    assert call(grid, "Get number of intervals", 1) == len(segments)
    for number, segment in enumerate(segments, start=1):
        assert call(grid, "Get label of interval", 1, number) == segment.label
        assert call(grid, "Get start time of interval", 1, number) == pytest.approx(segment.start_s)
        assert call(grid, "Get end time of interval", 1, number) == pytest.approx(segment.end_s)


def test_rttm_has_ten_fields_and_leaves_silence_out():
    lines = render(POINTS, "rttm", "my talk").splitlines()
    assert [line.split()[7] for line in lines] == ["angry", "sad", "unsure", "happy"]
    assert all(len(line.split()) == 10 for line in lines)
    assert lines[0] == "SPEAKER my_talk 1 0.750 1.250 <NA> <NA> angry 0.700 <NA>"


def test_suffix_tells_the_form_and_nothing_else_is_left(tmp_path):
    for form in FORMATS:
        write_timeline(tmp_path / f"a.{form.upper()}", iter(POINTS), name="a")
        assert (tmp_path / f"a.{form.upper()}").read_text(encoding="utf-8") == render(POINTS, form, "a")
    write_timeline(tmp_path / "b.txt", POINTS, form="rttm", name="a")
    assert len(list(tmp_path.iterdir())) == len(FORMATS) + 1


def test_unknown_forms_and_empty_timelines_are_refused(tmp_path):
    with pytest.raises(TimelineError, match="'xml': one of csv, json, textgrid, rttm"):
        write_timeline(tmp_path / "a.xml", POINTS)
    for form in FORMATS:
        with pytest.raises(TimelineError, match="without points"):
            write_timeline(tmp_path / f"a.{form}", [])
    assert not list(tmp_path.iterdir())
