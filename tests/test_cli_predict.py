import csv
import io
import json
import os
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from ser.cli import predict as command
from ser.cli.clips import Clip
from ser.cli.main import main
from ser.predictor import Predictor
from tests.cli_fakes import FakePredictor, make_clip, make_model


@pytest.fixture(autouse=True)
def fake_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "load", FakePredictor)
    make_model(tmp_path / "models" / "cnn")
    monkeypatch.setenv("SER_MODEL", "cnn")


def ser(*arguments, code=0, stdin=None):
    result = CliRunner().invoke(main, ["predict", *map(str, arguments)], input=stdin)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def objects(*arguments, code=0, stdin=None):
    return [json.loads(line) for line in ser(*arguments, "--json", code=code, stdin=stdin).stdout.splitlines()]


@pytest.fixture
def terminal(monkeypatch):
    """Output as a wide terminal gets it."""
    from ser.cli import output

    piped = output.writer
    monkeypatch.setattr(output, "writer", lambda style, *facts: piped(style, *facts) if style else output.Table(facts[0]))
    monkeypatch.setenv("COLUMNS", "200")


def test_one_clip_as_json():
    (said,) = objects(make_clip(Path("clip.wav"), "angry"))
    assert (said["path"], said["model"], said["trained_on"]) == ("clip.wav", "cnn", "emodb, tess")
    assert (said["emotion"], said["unsure"], said["duration_s"]) == ("angry", False, 0.8)
    assert said["confidence"] == said["probabilities"]["angry"] == 0.7
    assert "truth" not in said and "error" not in said


def test_folders_are_searched_in_order_and_each_file_is_told_once():
    for name in ("b/2.WAV", "b/1.wav", "a.wav", "b/c/3.wav", ".hidden.wav", ".git/x.wav", "b/notes.txt"):
        make_clip(Path("in") / name)
    paths = [said["path"] for said in objects("in", "in/a.wav", "./in/b")]
    assert paths == ["in/a.wav", "in/b/1.wav", "in/b/2.WAV", "in/b/c/3.wav"]
    assert [said["path"] for said in objects("in", "--no-recursive")] == ["in/a.wav"]


def test_every_documented_suffix_is_found():
    for suffix in "wav mp3 flac ogg aiff aif m4a webm opus".split():
        make_clip(Path("in") / f"clip.{suffix}")  # the content is what is decoded
    assert len(objects("in")) == 9


def test_a_bad_file_does_not_stop_the_rest():
    make_clip(Path("in/a.wav"), "sad")
    Path("in/b.wav").write_text("this is text")
    make_clip(Path("in/c.wav"), seconds=0.05)
    make_clip(Path("in/d.wav"), "happy")
    result = ser("in", "missing.wav", "--json", code=1)
    said = [json.loads(line) for line in result.stdout.splitlines()]
    assert [each.get("emotion") for each in said] == ["sad", None, None, "happy", None]
    assert "text, not audio" in said[1]["error"] and "too short" in said[2]["error"] and "no such file" in said[4]["error"]
    assert not said[1]["error"].startswith("in/")  # the path has its own place
    assert "3 of 5 could not be predicted" in result.stderr


def test_a_folder_without_audio_is_an_error_that_says_what_was_looked_for():
    Path("empty").mkdir()
    make_clip(Path("deep/er/clip.wav"))
    (said,) = objects("empty", code=1)
    assert "no audio in this folder" in said["error"] and ".webm" in said["error"]
    (said,) = objects("deep", "--no-recursive", code=1)
    assert "--no-recursive" in said["error"]


def test_csv_has_a_line_a_clip_and_a_column_an_emotion():
    make_clip(Path("in/a, b.wav"), "fear")
    make_clip(Path("in/long.wav"), seconds=1.5)
    Path("in/z.wav").write_bytes(b"")
    first, long, bad = csv.DictReader(io.StringIO(ser("in", "--csv", code=1).stdout))
    assert (first["path"], first["emotion"], first["unsure"], first["error"]) == ("in/a, b.wav", "fear", "false", "")
    assert float(first["p_fear"]) == float(first["confidence"]) == 0.7
    assert sum(float(value) for name, value in first.items() if name.startswith("p_")) == pytest.approx(1, abs=1e-5)
    assert long["unsure"] == "true"
    assert bad["emotion"] == bad["p_fear"] == "" and "empty" in bad["error"]


def test_lines_for_other_programs_when_there_is_no_terminal():
    make_clip(Path("clip.wav"), "sad")
    assert ser("clip.wav").stdout == "clip.wav\tcnn\tsad\t0.700\tsure\ttrained on: emodb, tess\n"


def test_table_on_a_terminal(terminal):
    make_clip(Path("in/[red]x.wav"), "sad")  # not a style
    make_clip(Path("in/long.wav"), seconds=1.5)
    Path("in/z.wav").write_bytes(b"")
    out = ser("in", code=1).stdout
    line = next(line for line in out.splitlines() if "[red]x.wav" in line)
    assert "sad" in line and "70%" in line and "neutral 5%" in line
    assert "(unsure)" in next(line for line in out.splitlines() if "long.wav" in line)
    assert "in/z.wav: empty" in out
    assert "cnn: trained on emodb, tess" in out and "true" not in out


def test_models_side_by_side(tmp_path, terminal):
    make_model(tmp_path / "models" / "hybrid", shift=1)
    make_clip(Path("clip.wav"), "sad")
    both = ("--model", "cnn", "--model", "hybrid")
    out = ser("clip.wav", *both).stdout
    line = next(line for line in out.splitlines() if "clip.wav" in line)
    assert line.index("sad 70%") < line.index("angry 70%")
    assert [said["model"] for said in objects("clip.wav", *both, "--model", "cnn")] == ["cnn", "hybrid"]


def test_synthetic_models_say_so_wherever_a_result_is_shown(tmp_path, terminal):
    make_model(tmp_path / "models" / "demo", synthetic=True)
    make_clip(Path("clip.wav"))
    assert "synthetic demo voices" in ser("clip.wav", "--model", "demo").stdout


@pytest.mark.parametrize("style", [["--json"], ["--csv"], []])
def test_synthetic_models_say_so_to_programs_too(tmp_path, style):
    make_model(tmp_path / "models" / "demo", synthetic=True)
    make_clip(Path("clip.wav"))
    last = ser("clip.wav", "--model", "demo", *style).stdout.splitlines()[-1]
    assert "synthetic demo voices" in last


def test_true_labels_and_scores_of_known_corpora(terminal):
    make_clip(Path("emodb/03a01Fa.wav"), "happy")
    make_clip(Path("emodb/08a01Wa.wav"), "angry")
    make_clip(Path("emodb/08a02Wa.wav"), "sad")  # wrong
    make_clip(Path("emodb/09a02La.wav"), "sad")  # boredom, which the model does not know
    make_clip(Path("emodb/mine.wav"), "sad")
    out = ser("emodb").stdout
    line = next(line for line in out.splitlines() if "08a02Wa" in line)
    assert line.split()[1:3] == ["angry", "sad"]
    assert "boredom" in out
    # recalls: happy 1 of 1, angry 1 of 2
    assert "emodb: accuracy 66.7%, UAR 75.0% over 3 clips with a known label (0 unsure, 1 of other emotions not counted)" in out
    assert "emodb is a corpus the model was trained on" in out and "no test result" in out


def test_scores_are_per_folder_and_per_model(tmp_path):
    make_model(tmp_path / "models" / "hybrid", shift=1)
    make_clip(Path("one/1001_DFA_ANG_XX.wav"), "angry")
    make_clip(Path("two/1001_DFA_SAD_XX.wav"), "happy")
    result = ser("one", "two", "--json", "--model", "cnn", "--model", "hybrid")
    assert json.loads(result.stdout.splitlines()[0])["truth"] == "angry"  # programs get objects alone
    assert len(result.stdout.splitlines()) == 4
    lines = [line for line in result.stderr.splitlines() if "accuracy" in line]
    assert [line.split(" over")[0] for line in lines] == [
        "one: cnn: accuracy 100.0%, UAR 100.0%",
        "one: hybrid: accuracy 0.0%, UAR 0.0%",
        "two: cnn: accuracy 0.0%, UAR 0.0%",
        "two: hybrid: accuracy 100.0%, UAR 100.0%",
    ]
    assert "no test result" not in result.stderr  # CREMA-D is not among the corpora of this model


def test_names_of_no_corpus_get_no_score():
    make_clip(Path("in/angry.wav"), "angry")
    result = ser("in", "--csv")
    assert "accuracy" not in result.stderr and next(csv.DictReader(io.StringIO(result.stdout)))["truth"] == ""


def test_standard_input(tmp_path):
    clip = make_clip(tmp_path / "clip.wav", "disgust").read_bytes()
    make_model(tmp_path / "models" / "hybrid", shift=1)
    said = objects("-", "--model", "cnn", "--model", "hybrid", stdin=clip)
    assert [(each["path"], each["emotion"]) for each in said] == [("-", "disgust"), ("-", "surprised")]
    (said,) = objects("-", code=1, stdin=b"")
    assert "empty" in said["error"]


def test_a_terminal_is_no_audio(monkeypatch):
    monkeypatch.setattr(command, "_is_terminal", lambda stream: True)
    assert "pipe a clip into it" in ser("-", code=2).stderr


def test_a_named_pipe_is_read_once_for_all_models(tmp_path):
    make_model(tmp_path / "models" / "hybrid", shift=1)
    clip = make_clip(Path("clip.wav"), "happy").read_bytes()
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(clip))
    writer.start()
    said = objects("pipe", "--model", "cnn", "--model", "hybrid")
    writer.join()
    assert [each["emotion"] for each in said] == ["happy", "sad"]


@pytest.mark.parametrize("name", ["with space.wav", "-dash.wav", "new\nline.wav", "\x1b[31mred.wav", "größe ☂.wav"])
@pytest.mark.parametrize("style", [["--json"], ["--csv"], []])
def test_odd_names(name, style):
    make_clip(Path(name), "happy")
    out = ser(*style, "--", name).stdout
    assert "happy" in out
    if style == ["--json"]:
        assert json.loads(out)["path"] == name
    if not style:
        assert "\x1b" not in out and out.count("\n") == 1  # nobody's file name drives the terminal


@pytest.mark.parametrize("style", [["--json"], ["--csv"], []])
def test_names_that_are_not_utf8(style):
    name = os.fsdecode(b"in/caf\xe9.wav")
    make_clip(Path(name), "happy")
    out = ser("in", *style).stdout
    out.encode("utf-8")  # no lone surrogates
    assert "happy" in out and ("caf\\\\xe9.wav" if style == ["--json"] else "caf\\xe9.wav") in out


def test_broken_names_in_errors():
    (said,) = objects(os.fsdecode(b"caf\xe9.wav"), code=1)
    assert said["error"].startswith("no such file")


def test_profile_is_used_and_belongs_to_one_model(tmp_path):
    for number in range(3):
        make_clip(Path(f"anna/{number}.wav"))
    enrolled = CliRunner().invoke(main, ["enroll", "anna", "--out", "anna.json"])
    assert enrolled.exit_code == 0, enrolled.output
    make_clip(Path("clip.wav"), "happy")
    assert [said["emotion"] for said in objects("clip.wav", "--profile", "anna.json")] == ["sad"]
    assert "one model" in ser("clip.wav", "--profile", "anna.json", "--model", "cnn", "--model", "x", code=2).stderr
    result = ser("clip.wav", "--profile", "nobody.json", code=1)
    assert result.stderr.startswith("error: nobody.json: no such file") and not result.stdout


def test_an_unknown_model_is_one_sentence():
    make_clip(Path("clip.wav"))
    result = ser("clip.wav", "--model", "nope", code=1)
    assert result.stderr.startswith("error: no model 'nope'") and result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [[], ["clip.wav", "--jobs", "0"], ["clip.wav", "--jobs", "x"], ["--nope"]])
def test_wrong_usage_is_2(arguments):
    ser(*arguments, code=2)


def test_ctrl_c_ends_cleanly(monkeypatch):
    make_clip(Path("clip.wav"))

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakePredictor, "predict", interrupted)
    assert ser("clip.wav", code=130).stderr == "interrupted\n"


def test_processes_are_used_where_they_pay(monkeypatch):
    monkeypatch.setattr(command.workers, "cores", lambda: 4)
    many, few = [Clip(f"{n}.wav") for n in range(200)], [Clip("a.wav"), Clip("b.wav"), Clip("c", problem="gone")]
    assert command.processes(many, None) == 4
    assert command.processes(few, None) == 1
    assert command.processes(few, 8) == 2
    assert command.processes(many, 1) == 1
    assert command.processes([*many, Clip("-")], 8) == 1  # other processes cannot read it
    assert command.processes([Clip("c", problem="gone")], None) == 1


def test_answers_come_in_order_from_several_processes(monkeypatch):
    for n in range(10):
        make_clip(Path(f"in/{n}.wav"), ("happy", "sad")[n % 2])
    asked = []

    def serial(make, items, n_processes, died):
        asked.append(n_processes)
        answer = make()
        yield from (died(item) if item.endswith("3.wav") else answer(item) for item in items)

    monkeypatch.setattr(command.workers, "each", serial)
    said = objects("in", "--jobs", "3", code=1)
    assert asked == [3]
    assert [each.get("emotion") for each in said] == ["happy", "sad", "happy", None] + ["happy", "sad"] * 3
    assert "crashed or was killed" in said[3]["error"]


def test_prediction_imports_nothing_slow(tmp_path):
    import subprocess

    code = (
        "import sys; from ser.cli.main import main\n"
        "try: main(['predict', 'missing.wav', '--model', 'none'])\n"
        "except SystemExit: pass\n"
        "print({'tensorflow', 'keras', 'librosa', 'pandas', 'matplotlib', 'rich', 'onnxruntime', 'scipy'} & set(sys.modules))"
    )
    root = str(Path(__file__).parents[1])
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": root})
    assert found.stdout.strip() == "set()", found.stderr
