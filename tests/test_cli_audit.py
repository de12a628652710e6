import csv
import io
import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from ser.cli import audit
from ser.cli.audit import hear
from ser.cli.main import main
from ser.leakage import KINDS
from tests.test_fingerprint import RATE_HZ, noisy, voice


def save(path, signal, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.rint(np.clip(signal, -1, 1) * 32767).astype(np.int16), rate_hz)
    return path


def table(path, header, *rows):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


def report(*arguments):
    result = run(*arguments, "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == (0 if said["clean"] else 1)
    return said


def leaks(said):
    return [finding["kind"] for finding in said["findings"] if finding["leak"]]


@pytest.fixture
def split(tmp_path):
    """Two folders of different clips of nobody known."""
    for seed, name in enumerate(("train/a.wav", "train/b.wav", "test/c.wav")):
        save(tmp_path / name, voice(seed))
    return tmp_path


def test_kinds_are_those_of_the_library():
    assert audit._KINDS == KINDS


def test_a_clean_split_is_0(split):
    result = run(split / "train", split / "test")
    assert result.exit_code == 0
    assert "train 2 clips, test 1 clips" in result.stdout and "clean" in result.stdout
    assert "not known, so not checked: speaker (3 of 3 clips)" in result.stdout


def test_the_same_recording_in_another_container_and_stereo_is_1(split):
    save(split / "test" / "other.flac", np.stack([voice(0), voice(0)], axis=1))
    result = run(split / "train", split / "test")
    assert result.exit_code == 1 and "leaks: 1 same-audio" in result.stdout
    assert str(split / "train" / "a.wav") in result.stdout and str(split / "test" / "other.flac") in result.stdout


def test_a_changed_copy_is_1(split):
    save(split / "test" / "other.ogg", 0.5 * noisy(voice(1), 25)[2000:])
    said = report(split / "train", split / "test")
    assert leaks(said) == ["near-duplicate"]
    assert 0.8 < said["findings"][0]["similarity"] < 1
    assert said["findings"][0]["clips"]["train"] == [str(split / "train" / "b.wav")]


def test_a_kaggle_tree_with_a_second_copy_inside(tmp_path):
    for seed, name in enumerate(("03-01-01-01-01-01-01.wav", "03-01-01-01-02-01-01.wav")):
        for folder in ("Actor_01", "audio_speech_actors_01-24/Actor_01"):
            save(tmp_path / "train" / folder / name, voice(seed))
    save(tmp_path / "test" / "Actor_02" / "03-01-01-01-02-01-02.wav", voice(7))
    said = report(tmp_path / "train", tmp_path / "test", "--allow", "sentence")
    assert said["clean"] and said["numbers"]["same-audio"] == {"between": 0, "within": 2}
    assert leaks(report(tmp_path / "train", tmp_path / "test")) == ["sentence"]
    assert leaks(report(tmp_path / "train", tmp_path / "test", "--strict", "--allow", "sentence")) == ["same-audio"] * 2


def test_tables_with_speakers(split):
    train = table(split / "train.csv", "path,speaker", "train/a.wav,anna", "train/b.wav,bert")
    test = table(split / "test.csv", "path,speaker", "test/c.wav,bert")
    said = report(train, test)
    assert leaks(said) == ["speaker"] and said["findings"][0]["what"] == "bert"
    assert said["findings"][0]["counts"] == {"train": 1, "test": 1}
    assert report(train, test, "--allow", "speaker")["clean"]


def test_one_table_with_a_column_for_the_side(split):
    rows = ("a.wav,s1,train", "b.wav,s2,validation", "../test/c.wav,s1,test", "missing.wav,s9,")
    cleaned = table(split / "cleaned_data.csv", "path,speaker,split", *rows)
    said = report(cleaned, "--root", split / "train")
    assert said["sides"] == {"train": 1, "validation": 1, "test": 1}  # a row of no side is left out
    assert leaks(said) == ["speaker"] and list(said["findings"][0]["clips"]) == ["train", "test"]
    folds = table(split / "folds.csv", "file,actor,fold", "train/a.wav,s1,1", "test/c.wav,s2,2")
    assert report(folds, "--split-column", "fold")["sides"] == {"1": 1, "2": 1}


def test_tables_alone(tmp_path):
    header = "id,path,corpus,speaker,sentence,audio_sha256,split"
    rows = ("a,a.wav,x,1,hello,00aa,train", "a#1,a1.wav,x,1,hello,00bb,train", "b,b.wav,x,2,bye,00aa,test")
    said = report(table(tmp_path / "cleaned_data.csv", header, *rows), "--no-audio")
    assert leaks(said) == ["same-audio"]
    assert said["known"] == {"samples": 3, "fingerprint": 0, "speaker": 3, "sentence": 3}


def test_a_spreadsheet_is_understood(split):
    train = split / "train.csv"
    train.write_text("File_Path,Speaker\r\ntrain/a.wav,anna\r\n", encoding="utf-8-sig")
    assert report(train, table(split / "test.csv", "filename,actor", "test/c.wav,anna"))["known"]["speaker"] == 2


def test_augmented_copies_by_name(tmp_path):
    save(tmp_path / "train" / "x_pitch2.wav", voice(1))
    save(tmp_path / "test" / "x.wav", voice(2))
    assert leaks(report(tmp_path / "train", tmp_path / "test")) == ["sibling"]


def test_what_cannot_be_read_proves_nothing(split):
    (split / "test" / "broken.wav").write_bytes(b"nothing")
    said = report(split / "train", split / "test")
    assert not said["clean"] and list(said["unread"]) == [str(split / "test" / "broken.wav")]
    assert report(split / "train", split / "test", "--allow", "unread")["clean"]
    assert "leaks: 1 unread" in run(split / "train", split / "test").stdout


def test_csv_has_a_line_for_each_clip(split):
    save(split / "test" / "a.flac", voice(0))
    result = run(split / "train", split / "test", "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["finding"], row["kind"], row["leak"], row["side"]) for row in rows] == [
        ("1", "same-audio", "true", "train"),
        ("1", "same-audio", "true", "test"),
    ]
    assert "leaks: 1 same-audio" in result.stderr


def test_sides_of_one_name_are_told_apart(tmp_path):
    for seed, part in enumerate(("one", "two")):
        save(tmp_path / part / "wav" / f"{part}.wav", voice(seed))
    assert set(report(tmp_path / "one" / "wav", tmp_path / "two" / "wav")["sides"]) == {
        str(tmp_path / "one" / "wav"),
        str(tmp_path / "two" / "wav"),
    }


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["train"], "two CSV files or folders"),
        (["train", "test", "train"], "two CSV files or folders"),
        (["train", "train"], "are the same"),
        (["train", "nowhere"], "does not exist"),
        (["train", "empty"], "no clips in it"),
        (["train", "no_path.csv"], "no column of paths"),
        (["train", "blank.csv"], "line 3 has no path"),
        (["train", "elsewhere.csv"], "--root"),
        (["train", "latin.csv"], "not a CSV in UTF-8"),
        (["good.csv"], "no column 'split'"),
        (["one_side.csv"], "one side only"),
        (["train", "test", "--allow", "everything"], "everything"),
    ],
)
def test_what_is_wrong_is_2_and_a_sentence(split, monkeypatch, arguments, said):
    monkeypatch.chdir(split)
    (split / "empty").mkdir()
    table(split / "no_path.csv", "speaker,sentence", "a,b")
    table(split / "blank.csv", "path,speaker", "train/a.wav,b", ",b")
    table(split / "elsewhere.csv", "path", "far/away.wav")
    table(split / "good.csv", "path", "train/a.wav")
    table(split / "one_side.csv", "path,split", "train/a.wav,train")
    (split / "latin.csv").write_bytes("path\nMüller.wav\n".encode("latin-1"))
    result = run(*arguments)
    assert result.exit_code == 2 and said in " ".join(result.stderr.split())


def test_more_processes_find_the_same(split):
    save(split / "test" / "other.flac", voice(0))
    assert report(split / "train", split / "test", "--jobs", "2") == report(split / "train", split / "test")


def test_silence_has_a_hash_and_nothing_to_compare(tmp_path):
    heard = hear(save(tmp_path / "silent.wav", np.zeros(RATE_HZ)))
    assert heard.sha256 and not heard.fingerprint.active.any()
