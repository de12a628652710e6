"""enroll, record, info, serve and app: what each hands on, and what it says when it cannot."""

import json
import os
import subprocess
import sys
import types
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ser.cli import extras, microphone
from ser.cli.main import main
from ser.predictor import Predictor
from tests.cli_fakes import RATE_HZ, FakePredictor, make_clip, make_model, tone


@pytest.fixture(autouse=True)
def fake_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "load", FakePredictor)
    make_model(tmp_path / "models" / "cnn")
    make_model(tmp_path / "models" / "demo", synthetic=True)
    monkeypatch.setenv("SER_MODEL", "cnn")


def ser(*arguments, code=0):
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


# enroll


def test_enroll_takes_folders_and_the_first_minute_of_each_clip():
    make_clip(Path("anna/1.wav"), seconds=61.5)
    make_clip(Path("anna/2.wav"), seconds=1)
    result = ser("enroll", "anna", make_clip(Path("3.wav"), seconds=1), "--out", "anna.json")
    profile = json.loads(Path("anna.json").read_text())
    assert profile["n_clips"] == 3 and profile["mean"]["f0_mean"] == 60.0
    assert "anna.json: 3 clips, 62 s, for cnn" in result.stderr


def test_enroll_with_a_bad_clip_or_too_few_writes_nothing():
    make_clip(Path("anna/1.wav"))
    assert "at least 3 are needed" in ser("enroll", "anna", "--out", "anna.json", code=1).stderr
    Path("anna/2.wav").write_bytes(b"")
    said = ser("enroll", "anna", "--out", "anna.json", code=1).stderr
    assert said.startswith("error: anna/2.wav: empty") and "nothing was written" in said and said.count("anna/2.wav") == 1
    assert not Path("anna.json").exists()
    ser("enroll", "anna", code=2)


# record


def sounddevice(monkeypatch, record):
    fake = types.ModuleType("sounddevice")
    fake.PortAudioError = type("PortAudioError", (Exception,), {})
    fake.rec = record
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    return fake


def samples_of(seconds):
    return (tone(seconds) * 32767).astype(np.int16)


@pytest.fixture
def no_sounddevice(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if it were not installed


def fake_arecord(folder, monkeypatch, script):
    program = folder / "bin" / "arecord"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))


def test_record_with_sounddevice(monkeypatch):
    def record(n_samples, rate_hz, *, channels, dtype, blocking):
        assert (rate_hz, channels, dtype, blocking) == (RATE_HZ, 1, "int16", True)
        return samples_of(n_samples / rate_hz)[:, np.newaxis]

    sounddevice(monkeypatch, record)
    result = ser("record", "--seconds", "0.8", "--json", "--save", "me.wav", "--model", "demo")
    said = json.loads(result.stdout)
    assert (said["emotion"], said["duration_s"], said["trained_on"]) == ("angry", 0.8, "synthetic demo voices")
    assert "recording 0.8 s" in result.stderr
    with wave.open("me.wav") as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (RATE_HZ, 1, 0.8 * RATE_HZ)


def test_record_without_a_microphone(monkeypatch):
    fake = sounddevice(monkeypatch, None)

    def record(*_, **__):
        raise fake.PortAudioError("Error querying device -1")

    fake.rec = record
    said = ser("record", code=1).stderr.splitlines()[-1]
    assert said.startswith("error: the microphone cannot be used (Error querying device -1)")


def test_record_with_arecord(tmp_path, monkeypatch, no_sounddevice):
    script = (
        f"sys.stdout.buffer.write(open({str(tmp_path / 'raw')!r}, 'rb').read()); open('asked', 'w').write(' '.join(sys.argv[1:]))"
    )
    Path("raw").write_bytes(samples_of(2).astype("<i2").tobytes())
    fake_arecord(tmp_path, monkeypatch, script)
    said = json.loads(ser("record", "--seconds", "1.1", "--json").stdout)
    assert (said["duration_s"], said["emotion"]) == (1.1, "surprised")
    assert Path("asked").read_text() == "-q -t raw -f S16_LE -c 1 -r 16000 -d 2"


def test_record_when_arecord_fails(tmp_path, monkeypatch, no_sounddevice):
    fake_arecord(tmp_path, monkeypatch, "sys.exit('ALSA lib\\narecord: main:831: audio open error: No such file or directory')")
    said = ser("record", code=1).stderr.splitlines()[-1]
    assert "audio open error: No such file or directory" in said and "plugged in" in said


def test_record_with_nothing_to_record_with(monkeypatch, no_sounddevice):
    monkeypatch.setenv("PATH", "")
    said = ser("record", code=1).stderr.splitlines()[-1]
    assert "pip install sounddevice" in said and "apt install alsa-utils" in said


def test_record_of_silence_is_a_sentence(monkeypatch):
    sounddevice(monkeypatch, lambda n, *_, **__: np.zeros((n, 1), np.int16))
    assert "error: silent" in ser("record", "--seconds", "0.6", code=1).stderr
    ser("record", "--seconds", "0", code=2)


def test_a_wrong_model_is_told_before_recording(monkeypatch):
    monkeypatch.setattr(microphone, "record_samples", lambda *_: pytest.fail("recorded"))
    assert "no model 'nope'" in ser("record", "--model", "nope", code=1).stderr


# info


def test_info_for_people():
    out = ser("info").stdout
    assert "trained on   emodb, tess" in out and "synthetic" not in out
    assert "  emodb                   2     78  78.1 (74.1 to 81.2)" in out
    assert "mean of corpora" in out and "60.9" in out
    assert "1,234,567 parameters" in out and "below a confidence of 50%" in out
    assert "- Acted speech only." in out and "- tess: CC BY-NC-ND 4.0" in out
    assert "onnxruntime" in out


def test_info_of_a_synthetic_model_says_so_beside_the_figures_too():
    out = ser("info", "--model", "demo").stdout
    assert out.count("synthetic demo voices") == 2 and "mean nothing about people" in out


def test_info_for_programs():
    said = json.loads(ser("info", "--model", "demo", "--json").stdout)
    assert said["trained_on"] == "synthetic demo voices" and said["emotions"][0] == "neutral"
    assert said["metrics"]["test"]["per_corpus"]["emodb"]["uar_low"] == 0.741
    assert said["folder"] == "models/demo" and said["size_bytes"] > 0 and said["versions"]["numpy"]


def test_info_of_a_model_that_says_little(tmp_path):
    make_model(tmp_path / "models" / "bare", metrics={}, calibration={}, limits=[], licences={}, n_parameters=0, corpora=[])
    out = ser("info", "--model", "bare").stdout
    assert "trained on   unknown" in out and "UAR" not in out


# serve and app


@pytest.mark.parametrize(("command", "extra"), [("serve", "api"), ("app", "app")])
def test_a_missing_extra_is_a_sentence_that_says_how_to_install_it(command, extra, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert f'pip install "ser[{extra}]"' in ser(command, code=1).stderr


def test_serve_hands_on_its_options(monkeypatch):
    from ser.api import app

    served = []
    monkeypatch.setattr(app, "serve", lambda settings, host, port: served.append((settings, host, port)))
    monkeypatch.setenv("SER_TOKEN", "secret")
    ser("serve", "--model", "demo", "--port", "9000", "--threads", "2", "--processes", "0")
    ((settings, host, port),) = served
    assert (settings.model, settings.threads, settings.processes, settings.token) == ("demo", 2, 0, "secret")
    assert (host, port) == ("127.0.0.1", 9000)
    monkeypatch.setenv("SER_MAX_QUEUE", "many")
    assert "SER_MAX_QUEUE must be a whole number" in ser("serve", code=1).stderr
    ser("serve", "--port", "99999", code=2)


def test_app_becomes_streamlit_with_the_chosen_model(monkeypatch, tmp_path):
    became = []
    monkeypatch.setattr(os, "execv", lambda program, arguments: became.append((program, arguments)))
    ser("app", "--port", "9001", "--model", "demo", "--no-browser")
    ((program, arguments),) = became
    assert program == sys.executable and arguments[1:4] == ["-m", "streamlit", "run"]
    assert Path(arguments[4]).is_file()
    assert "--server.port 9001" in (line := " ".join(arguments)) and "--server.address 127.0.0.1" in line
    assert "--server.headless true" in line
    assert os.environ["SER_MODEL"] == str(tmp_path / "models" / "demo")
    assert "no model 'nope'" in ser("app", "--model", "nope", code=1).stderr


def test_streamlit_knows_the_options_given_to_it():
    found = subprocess.run([sys.executable, "-m", "streamlit", "run", "--help"], capture_output=True, text=True).stdout
    assert all(f"--{name}" in found for name in ("server.address", "server.port", "server.headless", "browser.gatherUsageStats"))
