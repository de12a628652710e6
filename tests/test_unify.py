import pandas as pd
import pytest

from ser.emotions import Policy
from ser.unifying import COLUMNS, UnifyError, unify

SEVEN = Policy(calm="neutral", boredom="drop")


def row(path, emotion="sad", *, channel="speech", sha=None, rejected="", speaker="1"):
    corpus, name = path.split("/")
    said = rejected == "" or not rejected.startswith("unknown")
    return {
        "id": f"{corpus}/{name}" if said else "",
        "path": f"{path}.wav",
        "corpus": corpus,
        "speaker": f"{corpus}_{speaker}" if said else "",
        "sex": "female",
        "language": "en",
        "recorded_emotion": emotion if said else "",
        "source_emotion": emotion.upper(),
        "intensity": "",
        "channel": channel if said else "",
        "sentence": "",
        "duration_s": 1.5 if said else float("nan"),
        "sampling_rate_hz": 16000.0 if said else float("nan"),
        "channels": 1.0 if said else float("nan"),
        "audio_sha256": sha or path,
        "rejected": rejected,
    }


def run(rows, policy=SEVEN, channels=("speech",), **parts):
    table = pd.DataFrame(rows)
    ids = [name for name in table["id"] if name]
    splits = pd.DataFrame({"id": ids, "speaker": "x", "part": [parts.get(name.split("/")[1], "train") for name in ids]})
    cleaned, rejected = unify(table, splits, policy=policy, channels=channels)
    return cleaned, rejected.set_index("path")["reason"].to_dict()


def test_rows_are_sorted_by_id_with_the_part_of_the_split():
    cleaned, rejected = run([row("y/2"), row("x/1"), row("x/3", "calm")], **{"2": "test", "3": "validation"})
    assert list(cleaned.columns) == COLUMNS
    assert list(cleaned["id"]) == ["x/1", "x/3", "y/2"]
    assert list(cleaned["split"]) == ["train", "validation", "test"]
    assert list(cleaned["emotion"]) == ["sad", "neutral", "sad"]
    assert list(cleaned["source_emotion"]) == ["SAD", "CALM", "SAD"]
    assert rejected == {}


def test_every_file_left_out_is_listed_with_its_reason():
    cleaned, rejected = run(
        [
            row("x/1"),
            row("x/2", "boredom"),
            row("x/3", channel="song"),
            row("x/4", rejected="unknown name: the pattern does not match"),
            row("x/5", rejected="silent: peak below 0.0005"),
            row("x/6"),
        ],
        **{"6": "unused"},
    )
    assert list(cleaned["id"]) == ["x/1"]
    assert cleaned["sampling_rate_hz"].dtype == cleaned["channels"].dtype == int
    assert rejected == {
        "x/2.wav": "boredom is dropped by emotions.boredom",
        "x/3.wav": "song is not among corpora.channels",
        "x/4.wav": "unknown name: the pattern does not match",
        "x/5.wav": "silent: peak below 0.0005",
        "x/6.wav": "left out by the split",
    }


@pytest.mark.parametrize(
    ("calm", "label", "reason"),
    [("neutral", "neutral", None), ("keep", "calm", None), ("drop", None, "calm is dropped by emotions.calm")],
)
def test_calm_is_a_matter_of_policy(calm, label, reason):
    cleaned, rejected = run([row("x/1"), row("x/2", "calm")], Policy(calm=calm, boredom="drop"))
    assert dict(zip(cleaned["id"], cleaned["emotion"], strict=True)).get("x/2") == label
    assert rejected.get("x/2.wav") == reason


def test_song_is_used_when_asked_for():
    cleaned, _ = run([row("x/1"), row("x/2", channel="song")], channels=("speech", "song"))
    assert list(cleaned["channel"]) == ["speech", "song"]


def test_same_audio_in_two_corpora_is_used_once():
    cleaned, rejected = run([row("y/1", sha="aa"), row("x/1", sha="aa"), row("y/2")])
    assert list(cleaned["id"]) == ["x/1", "y/2"]
    assert rejected == {"y/1.wav": "duplicate audio: same samples as x/1.wav"}


def test_same_audio_under_two_labels_goes_even_where_one_label_is_dropped():
    cleaned, rejected = run([row("x/1", "boredom", sha="aa"), row("y/1", sha="aa"), row("y/2")])
    assert list(cleaned["id"]) == ["y/2"]
    assert rejected["y/1.wav"] == "two labels: same samples as x/1.wav (boredom), but this is sad"
    assert rejected["x/1.wav"].startswith("two labels")


def test_utterance_without_a_part_is_an_error_with_the_way_out():
    table = pd.DataFrame([row("x/1"), row("x/2")])
    splits = pd.DataFrame({"id": ["x/1"], "speaker": ["x_1"], "part": ["train"]})
    with pytest.raises(UnifyError, match="x/2 has no part in data/splits/x.csv; run `dvc repro`"):
        unify(table, splits, policy=SEVEN, channels=("speech",))
    splits = pd.DataFrame({"id": ["x/1", "x/2"], "speaker": "x_1", "part": ["train", "tset"]})
    with pytest.raises(UnifyError, match="the part 'tset'"):
        unify(table, splits, policy=SEVEN, channels=("speech",))


def test_nothing_left_is_an_error():
    with pytest.raises(UnifyError, match="no utterance is left"):
        run([row("x/1", channel="song")])
