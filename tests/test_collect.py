"""The collect stage on corpora with the faults of the real ones."""

import hashlib
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from ser import collecting
from ser.arrays import Arrays
from ser.audio import AudioParams, load_audio, to_int16
from ser.collecting import COLUMNS, CollectError, collect, hear, kinds, walk
from ser.corpus import load_corpus
from ser.files import read_csv, write_csv

PARAMS = AudioParams(sampling_rate_hz=16000, minimum_s=0.2, silence_peak=0.0005)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Spawning workers takes seconds; that is tried once, in the test of the stage."""
    monkeypatch.setattr(collecting, "each", lambda function, items, total, name: map(function, items))


def put(path, *, seed=0, seconds=0.3, rate_hz=16000, gain=0.1, channels=1, container=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(size=(int(seconds * rate_hz), channels)).clip(-3, 3)
    soundfile.write(path, to_int16(gain * noise).squeeze(), rate_hz, subtype="PCM_16", format=container)


def crema_d(folder):
    """CREMA-D with all that goes wrong in it."""
    wav = folder / "AudioWAV"
    put(wav / "1001_DFA_ANG_XX.wav", seed=1)
    put(wav / "1001_DFA_HAP_HI.wav", seed=2, rate_hz=48000, channels=2)
    put(wav / "1002_DFA_SAD_LO.wav", seed=3, container="AIFF")  # wrong suffix
    put(wav / "1006_TIE_HAP_XX.wav", seed=4)  # two labels
    put(wav / "1006_TIE_NEU_XX.wav", seed=4)
    put(wav / "1076_MTI_SAD_XX.wav", gain=0)
    put(wav / "1076_MTI_HAP_XX.wav", seed=5, seconds=0.1)
    put(wav / "1001_DFA_GLEE_XX.wav", seed=6)
    put(folder / "copy" / "AudioWAV" / "1001_DFA_ANG_XX.flac", seed=1)  # nested second copy
    put(folder / "copy" / "AudioWAV" / "1001_DFA_HAP_HI.wav", seed=7)  # same name, other audio
    (wav / "1003_DFA_SAD_LO.wav").write_bytes(POINTER)
    (wav / "1004_DFA_SAD_LO.wav").write_bytes(b"no sound in here" * 40)
    (wav / "1005_DFA_SAD_LO.wav").symlink_to("gone.wav")
    (wav / "._1001_DFA_ANG_XX.wav").write_bytes(b"macOS")
    (folder / "VideoDemographics.csv").write_text("ActorID\n")
    return folder


@pytest.fixture
def collected(tmp_path):
    table = collect(load_corpus("crema_d"), crema_d(tmp_path / "crema_d"), tmp_path / "audio", PARAMS)
    return table.set_index("path"), Arrays(tmp_path / "audio")


def test_every_audio_file_has_one_row_and_the_reason_it_is_left_out(collected):
    table, _ = collected
    assert list(table.index) == sorted(table.index)
    starts = {
        "AudioWAV/1001_DFA_ANG_XX.wav": "",
        "AudioWAV/1001_DFA_HAP_HI.wav": "",
        "AudioWAV/1002_DFA_SAD_LO.wav": "",
        "AudioWAV/1006_TIE_HAP_XX.wav": "two labels: same samples as crema_d/AudioWAV/1006_TIE_NEU_XX.wav (neutral)",
        "AudioWAV/1006_TIE_NEU_XX.wav": "two labels: same samples as crema_d/AudioWAV/1006_TIE_HAP_XX.wav (happy)",
        "AudioWAV/1076_MTI_SAD_XX.wav": "silent: peak",
        "AudioWAV/1076_MTI_HAP_XX.wav": "too short: 0.10 s",
        "AudioWAV/1001_DFA_GLEE_XX.wav": "unknown name: ",
        "AudioWAV/1003_DFA_SAD_LO.wav": "Git-LFS pointer",
        "AudioWAV/1004_DFA_SAD_LO.wav": "undecodable: ",
        "AudioWAV/1005_DFA_SAD_LO.wav": "undecodable: No such file",
        "copy/AudioWAV/1001_DFA_ANG_XX.flac": "duplicate audio: same samples as crema_d/AudioWAV/1001_DFA_ANG_XX.wav",
        "copy/AudioWAV/1001_DFA_HAP_HI.wav": "name already used by crema_d/AudioWAV/1001_DFA_HAP_HI.wav",
    }
    assert set(table.index) == {f"crema_d/{name}" for name in starts}
    for name, start in starts.items():
        reason = table.loc[f"crema_d/{name}", "rejected"]
        assert reason.startswith(start) and bool(reason) == bool(start), name


def test_row_describes_the_file_as_it_is_on_disk(collected):
    row = collected[0].loc["crema_d/AudioWAV/1001_DFA_HAP_HI.wav"]
    assert (row["id"], row["speaker"], row["sex"]) == ("crema_d/1001_DFA_HAP_HI", "crema_d_1001", "male")
    assert (row["recorded_emotion"], row["source_emotion"], row["intensity"]) == ("happy", "HAP", "high")
    assert (row["duration_s"], row["sampling_rate_hz"], row["channels"]) == (0.3, 48000, 2)
    assert len(row["audio_sha256"]) == 64


def test_store_holds_the_accepted_signals_and_nothing_else(collected, tmp_path):
    table, store = collected
    accepted = table[table["rejected"] == ""]
    assert store.ids == list(accepted["id"])
    assert store.recipe["sampling_rate_hz"] == 16000
    for path, row in accepted.iterrows():
        assert np.array_equal(store[row["id"]], to_int16(load_audio(tmp_path / path, PARAMS)))
    assert {path.name for path in tmp_path.iterdir()} == {"crema_d", "audio"}


def test_table_survives_its_file(collected, tmp_path):
    table = collected[0].reset_index()[COLUMNS]
    write_csv(tmp_path / "table.csv", table)
    again = read_csv(tmp_path / "table.csv")
    assert list(again.columns) == COLUMNS
    assert again["duration_s"].isna().sum() == 4  # pointer, no sound, broken link, unknown name
    assert list(again["rejected"]) == list(table["rejected"])


def test_corpus_of_ones_own_in_another_layout(tmp_path):
    description = {
        "title": "Mine",
        "language": "nl",
        "licence": "own",
        "obtain": "Ask me.",
        "pattern": r"clips/(?P<emotion>[a-z]+)/(?P<speaker>[a-z]+)_\d+$",
        "emotion": {"joy": "happy", "grief": "sad"},
        "sex": {"female": ["anna"]},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(description))
    clips = tmp_path / "data" / "clips"
    for number, name in enumerate(("joy/anna_003", "grief/anna_004", "grief/bob_001", "glee/bob_002")):
        (clips / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(scale=0.1, size=11025)
        soundfile.write(clips / f"{name}.ogg", noise, 22050, format="OGG", subtype="VORBIS")
    table = collect(load_corpus("mine", tmp_path), tmp_path / "data", tmp_path / "audio", PARAMS)
    assert list(table["rejected"]) == ["unknown name: emotion 'glee' is not in the description", "", "", ""]
    assert list(table["speaker"])[1:] == ["mine_anna", "mine_bob", "mine_anna"]
    assert list(table["sex"])[1:] == ["female", "unknown", "female"]
    assert "mine/clips/joy/anna_003" in Arrays(tmp_path / "audio")


def test_wrong_folder_fails_and_says_why(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CollectError, match="no audio files for corpus 'tess'.*Download"):
        collect(load_corpus("tess"), tmp_path / "empty", tmp_path / "audio", PARAMS)
    with pytest.raises(CollectError, match=r"none of 13 .*\(13 unknown name\).*the first, tess/AudioWAV/1001.*Download"):
        collect(load_corpus("tess"), crema_d(tmp_path / "other"), tmp_path / "audio", PARAMS)
    assert not (tmp_path / "audio").exists() and not list(tmp_path.glob(".audio*"))


def test_links_are_followed_but_not_in_circles(tmp_path):
    put(tmp_path / "real" / "a.wav")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "above").symlink_to(corpus)
    (corpus / ".git").mkdir()
    (corpus / ".git" / "b.wav").touch()
    assert walk(corpus) == ["linked/a.wav"]


def test_file_name_that_is_not_utf8_still_gets_a_row(tmp_path):
    folder = crema_d(tmp_path / "crema_d")
    put(tmp_path / "a.wav", seed=9)
    os.rename(tmp_path / "a.wav", os.fsencode(folder) + b"/caf\xe9.wav")
    table = collect(load_corpus("crema_d"), folder, tmp_path / "audio", PARAMS)
    write_csv(tmp_path / "table.csv", table)
    assert r"crema_d/caf\udce9.wav" in set(read_csv(tmp_path / "table.csv")["path"])


def test_hear_gives_reasons_not_exceptions(tmp_path):
    assert "No such file" in hear(tmp_path / "a.wav", PARAMS).rejected
    assert hear(None, PARAMS).samples is None


def test_log_line_counts_kinds_of_reasons(collected):
    assert kinds(collected[0]["rejected"]) == (
        "1 Git-LFS pointer, 1 duplicate audio, 1 name already used, 1 silent, 1 too short, 2 two labels, "
        "2 undecodable, 1 unknown name"
    )


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_stage_in_worker_processes_writes_the_bytes_that_one_process_writes(tmp_path):
    folder = crema_d(tmp_path / "crema_d")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"audio": asdict(PARAMS)}))
    out = tmp_path / "stage"
    command = [sys.executable, "-m", "stages.collect", "crema_d", folder, out / "t.csv", out / "audio"]
    environment = {**os.environ, "SER_PARAMS": str(tmp_path / "params.yaml"), "SER_WORKERS": "2"}
    root = Path(collecting.__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "crema_d: 13 files, 3 accepted (2 speakers" in done.stderr
    write_csv(tmp_path / "here" / "t.csv", collect(load_corpus("crema_d"), folder, tmp_path / "here" / "audio", PARAMS))
    assert digests(out) == digests(tmp_path / "here")
    assert set(digests(out)) == {"t.csv", "audio/values.npy", "audio/index.csv", "audio/recipe.json"}
