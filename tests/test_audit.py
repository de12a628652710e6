"""The audit passes honest splits and stops the others, naming the offenders."""

import json
import sys

import pandas as pd
import pytest

import stages.audit
from ser.audit import AuditError, audit
from ser.files import write_csv


@pytest.fixture
def cleaned():
    parts = {"01": "train", "02": "train", "03": "validation", "04": "test"}
    return pd.DataFrame(
        {
            "id": f"ravdess_{name}_{n}",
            "corpus": "ravdess",
            "speaker": f"ravdess_{name}",
            "sentence": ["kids", "dogs", ""][n],
            "audio_sha256": f"hash{name}{n}",
            "split": part,
        }
        for name, part in parts.items()
        for n in range(3)
    )


def test_honest_split_passes_with_counts(cleaned):
    copies = {"ravdess": ["ravdess_01_0#1", "ravdess_01_0#2", "ravdess_dropped#1"]}
    assert audit(cleaned, copies, policy="speaker") == {
        "policy": "speaker",
        "speaker_independent": True,
        "clips": {"ravdess": {"train": 6, "validation": 3, "test": 3}},
        "speakers": {"ravdess": {"train": 2, "validation": 1, "test": 1}},
        "augmented": {"ravdess": {"used": 2, "unused": 1}},
        "speakers_in_more_than_one_part": 0,
        "sentences_in_more_than_one_part": {"ravdess": 2},
    }


def test_a_speaker_in_two_parts_is_named_with_clips_and_the_way_out(cleaned):
    cleaned.loc[0, "split"] = "test"
    with pytest.raises(
        AuditError, match=r"speakers .*\(1\): ravdess_01 \(ravdess_01_0 in test, ravdess_01_1 in train\); split by"
    ):
        audit(cleaned, {}, policy="speaker")


def test_random_split_may_share_speakers_but_not_recordings(cleaned):
    cleaned.loc[0, "split"] = "test"
    report = audit(cleaned, {}, policy="random")
    assert report["speakers_in_more_than_one_part"] == 1 and report["speaker_independent"] is False
    cleaned.loc[0, "audio_sha256"] = cleaned.loc[1, "audio_sha256"]
    with pytest.raises(AuditError, match=r"recordings in more than one part \(1\): hash011"):
        audit(cleaned, {}, policy="random")


def test_the_same_recording_across_corpora_is_found(cleaned):
    other = cleaned[cleaned["split"] == "test"].assign(corpus="emodb", speaker="emodb_03", split="train")
    other["id"] = "emodb_" + other["id"]
    with pytest.raises(AuditError, match=r"recordings in more than one part \(3\)"):
        audit(pd.concat([cleaned, other], ignore_index=True), {}, policy="speaker")


@pytest.mark.parametrize("parent", ["ravdess_03_0", "ravdess_04_2"])
def test_a_copy_of_a_validation_or_test_clip_is_refused(cleaned, parent):
    with pytest.raises(AuditError, match=rf"augmented copies apart from their parent \(1\): {parent}#1"):
        audit(cleaned, {"ravdess": ["ravdess_01_0#1", f"{parent}#1"]}, policy="speaker")


def test_a_copy_without_parent_a_repeated_clip_and_an_unknown_part_are_refused(cleaned):
    with pytest.raises(AuditError, match="that name no parent"):
        audit(cleaned, {"ravdess": ["ravdess_01_0"]}, policy="speaker")
    with pytest.raises(AuditError, match=r"listed more than once \(1\): ravdess_01_0"):
        audit(pd.concat([cleaned, cleaned[:1]]), {}, policy="speaker")
    cleaned.loc[0, "split"] = "dev"
    with pytest.raises(AuditError, match="unknown part 'dev'"):
        audit(cleaned, {}, policy="speaker")


def test_at_most_five_offenders_are_named(cleaned):
    copies = [f"ravdess_04_0#{n}" for n in range(1, 9)]
    with pytest.raises(AuditError, match=r"augmented .*\(8\).*#5 \(parent in test\) and 3 more; "):
        audit(cleaned, {"ravdess": copies}, policy="speaker")


@pytest.fixture
def arguments(cleaned, tmp_path, monkeypatch):
    (tmp_path / "params.yaml").write_text(
        "split: {policy: speaker, seed: 1, validation_share: 0.15, test_share: 0.2,"
        " two_speakers_train: first, folds: 5, fold: 1}\n"
        "corpora: {root: data/demo, use: [ravdess], channels: [speech]}\n"
    )
    monkeypatch.setenv("SER_PARAMS", str(tmp_path / "params.yaml"))
    write_csv(tmp_path / "cleaned.csv", cleaned)
    paths = [str(tmp_path / name) for name in ("cleaned.csv", "augmented", "audit.json")]
    monkeypatch.setattr(sys, "argv", ["audit", *paths])
    return tmp_path


def test_stage_writes_the_report(arguments):
    write_csv(arguments / "augmented/ravdess/index.csv", pd.DataFrame({"id": ["ravdess_01_0#1"], "start": [0], "length": [9]}))
    stages.audit.main()
    assert json.loads((arguments / "audit.json").read_text())["augmented"] == {"ravdess": {"used": 1, "unused": 0}}


def test_stage_writes_nothing_when_the_audit_fails(arguments):
    write_csv(arguments / "augmented/ravdess/index.csv", pd.DataFrame({"id": ["ravdess_04_0#1"], "start": [0], "length": [9]}))
    with pytest.raises(AuditError):
        stages.audit.main()
    assert not (arguments / "audit.json").exists()
