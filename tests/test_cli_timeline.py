import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from ser.cli import timeline as command
from ser.cli.main import main
from ser.predictor import Predictor
from tests.cli_fakes import EMOTIONS, RATE_HZ, FakePredictor, make_clip, make_model


@pytest.fixture(autouse=True)
def fake_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "load", FakePredictor)
    make_model(tmp_path / "models" / "cnn")
    make_model(tmp_path / "models" / "demo", synthetic=True)
    monkeypatch.setenv("SER_MODEL", "cnn")


@pytest.fixture
def recording():
    """Four seconds of a voice-like buzz in syllables, then four of near silence: a window's length decides what is heard."""
    times_s = np.arange(8 * RATE_HZ) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 150 * n * times_s) / n for n in range(1, 20))
    syllables = np.abs(np.sin(2 * np.pi * 2 * times_s)) * (times_s < 4)
    signal = 0.15 * buzz * syllables + np.random.default_rng(1).normal(0, 1e-4, len(times_s))
    soundfile.write("talk.wav", signal, RATE_HZ)
    return "talk.wav"


def ser(*arguments, code=0):
    result = CliRunner().invoke(main, ["timeline", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_csv_where_there_is_no_terminal(recording):
    rows = list(csv.DictReader(io.StringIO(ser(recording).stdout)))
    assert [float(row["end_s"]) for row in rows] == [1 + n / 2 for n in range(15)]
    assert rows[0]["emotion"] == EMOTIONS[5]  # one second, five tenths more than half a second


def test_window_and_hop(recording):
    given = json.loads(ser(recording, "--format", "json", "--window-s", "0.8", "--hop-s", "0.8").stdout)
    assert [(point["start_s"], point["end_s"]) for point in given["points"]][:3] == [(0, 0.8), (0.8, 1.6), (1.6, 2.4)]
    assert given["points"][0]["emotion"] == EMOTIONS[3]
    assert "hop_s" in ser(recording, "--window-s", "1", "--hop-s", "2", code=1).stderr
    ser(recording, "--hop-s", "0", code=2)


@pytest.mark.parametrize(("name", "start"), [("x.TextGrid", "File type"), ("x.rttm", "SPEAKER talk 1"), ("x.csv", "start_s")])
def test_the_suffix_of_out_gives_the_format(recording, name, start):
    result = ser(recording, "--out", name)
    assert Path(name).read_text().startswith(start) and result.stdout == ""


def test_format_wins_over_the_suffix(recording):
    ser(recording, "--out", "x.txt", "--format", "rttm")
    assert Path("x.txt").read_text().startswith("SPEAKER")
    assert ".textgrid" in ser(recording, "--out", "y.txt", code=2).stderr
    assert not Path("y.txt").exists()


def test_picture_on_a_terminal(recording, monkeypatch):
    monkeypatch.setattr(command, "_style_of", lambda out: None)
    out = ser(recording, "--model", "demo").stdout
    assert "talk.wav, 8.0 s; demo: trained on synthetic demo voices" in out
    curves = {line.split()[0]: line.split()[1] for line in out.splitlines() if line.split()[0] in EMOTIONS}
    assert set(curves) == set(EMOTIONS)
    assert curves["disgust"][0] == "▆" and curves["happy"][0] == "▁"
    assert out.splitlines()[-1].endswith("no speech")


def test_synthetic_models_say_so(recording):
    assert "synthetic demo voices" in ser(recording, "--model", "demo").stderr
    assert ser(recording).stderr == ""


def test_curve_has_a_letter_a_part_and_gaps():
    assert command.curve([0.0, 0.5, 1.0, None], 10) == "▁▄█ "
    assert command.curve([0.0, 1.0] * 50, 5) == "▄▄▄▄▄"
    assert command.curve([None, 1.0], 1) == "█"


@pytest.mark.parametrize(("name", "said"), [("none.wav", "no such file"), ("text.wav", "text, not audio")])
def test_a_bad_file_is_one_sentence_and_leaves_nothing(name, said):
    Path("text.wav").write_text("a text that is not audio at all")
    result = ser(name, "--out", "x.csv", code=1)
    assert result.stderr.startswith(f"error: {name}: ") and said in result.stderr and result.stderr.count("\n") == 1
    assert not list(Path().glob("*x.csv*"))


def test_a_name_that_is_not_utf8():
    name = os.fsdecode(b"caf\xe9.wav")
    make_clip(Path(name), "sad")
    said = json.loads(ser(name, "--format", "json").stdout)
    assert said["recording"] == "caf\\xe9"
