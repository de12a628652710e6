"""Splits: disjoint, balanced, and unmoved by anything but the corpus, the seed and the policy."""

import json
import logging
import random
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import stages.split
from ser.files import read_csv, write_csv
from ser.split import SplitError, SplitParams, describe, read_protocols, split_corpus

ROOT = Path(__file__).parents[1]
SPEAKER = SplitParams("speaker", 1, 0.15, 0.2, "first", 5, 1)


def collected(sexes, corpus="ravdess", clips=4):
    rows = [
        {"id": f"{name}_{n}", "speaker": f"{corpus}_{name}", "sex": sex, "audio_sha256": f"{corpus}{name}{n}", "rejected": ""}
        for name, sex in sexes.items()
        for n in range(clips)
    ]
    return pd.DataFrame(rows)


def speakers(table):
    """Speaker to part, having checked that each has one part only."""
    pairs = table[["speaker", "part"]].drop_duplicates()
    assert pairs["speaker"].is_unique
    return dict(zip(pairs["speaker"], pairs["part"], strict=True))


def split(sexes, params=SPEAKER, corpus="ravdess", protocols=None):
    return speakers(split_corpus(collected(sexes, corpus), corpus, params, protocols or {}))


def random_corpus(draw):
    sexes = draw.choice([["female", "male"], ["unknown"], ["female", "male", "unknown"]])
    return {f"{n:02d}": draw.choice(sexes) for n in range(draw.randint(3, 40))}


ACTORS = {f"{n:02d}": "male" if n % 2 else "female" for n in range(1, 25)}


@pytest.mark.parametrize("seed", range(60))
def test_speakers_are_disjoint_balanced_by_sex_and_every_part_is_filled(seed):
    sexes = random_corpus(random.Random(seed))
    parts = split(sexes, replace(SPEAKER, seed=seed))
    assert set(parts) == {f"ravdess_{name}" for name in sexes}
    assert set(parts.values()) == {"train", "validation", "test"}
    for sex in set(sexes.values()):
        own = [parts[f"ravdess_{name}"] for name in sexes if sexes[name] == sex]
        if len(own) >= 3:
            assert own.count("test") == min(max(1, round(len(own) * 0.2)), len(own) - 2)
            assert own.count("validation") == max(1, round(len(own) * 0.15))
            assert "train" in own


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("policy", ["speaker", "kfold", "loso", "random"])
def test_order_of_rows_does_not_matter(seed, policy):
    table = collected(random_corpus(random.Random(seed)))
    params = replace(SPEAKER, policy=policy)
    shuffled = split_corpus(table.sample(frac=1, random_state=seed), "ravdess", params, {})
    pd.testing.assert_frame_equal(
        split_corpus(table, "ravdess", params, {}).sort_values("id", ignore_index=True),
        shuffled.sort_values("id", ignore_index=True),
    )


def test_known_shares_of_ravdess_by_sex():
    parts = split(ACTORS)
    for sex in ("female", "male"):
        own = [parts[f"ravdess_{name}"] for name in ACTORS if ACTORS[name] == sex]
        assert (own.count("train"), own.count("validation"), own.count("test")) == (8, 2, 2)


def test_seed_and_corpus_name_choose_other_speakers():
    renamed = {name.replace("iesc", "ravdess"): part for name, part in split(ACTORS, corpus="iesc").items()}
    assert len({tuple(split(ACTORS, replace(SPEAKER, seed=seed)).values()) for seed in range(5)}) == 5
    assert renamed != split(ACTORS)


def test_rejected_files_have_no_part_and_their_speakers_no_say():
    table = collected(ACTORS)
    ghost = collected({"99": "male"}).assign(rejected="silent")
    result = split_corpus(pd.concat([table, ghost]), "ravdess", SPEAKER, {})
    pd.testing.assert_frame_equal(result, split_corpus(table, "ravdess", SPEAKER, {}))


def test_two_speakers_go_by_policy_and_not_by_rounding():
    tess = {"OAF": "female", "YAF": "female"}
    assert split(tess, corpus="tess") == {"tess_OAF": "train", "tess_YAF": "test"}
    assert split(tess, replace(SPEAKER, two_speakers_train="second"), "tess") == {"tess_OAF": "test", "tess_YAF": "train"}
    assert split({"a": "male"}) == {"ravdess_a": "train"}


def test_two_of_each_sex_are_drawn_from_together():
    assert sorted(split({"a": "female", "b": "female", "c": "male", "d": "male"}).values()) == [
        "test",
        "train",
        "train",
        "validation",
    ]


@pytest.mark.parametrize("seed", range(20))
def test_folds_test_each_speaker_once_and_are_balanced(seed):
    sexes = random_corpus(random.Random(seed))
    folds = [split(sexes, replace(SPEAKER, policy="kfold", seed=seed, fold=fold)) for fold in range(1, 6)]
    tested = [[name for name, part in parts.items() if part == "test"] for parts in folds]
    assert sorted(sum(tested, [])) == sorted(folds[0])
    assert max(map(len, tested)) - min(map(len, tested)) <= 1
    for sex in set(sexes.values()):
        counts = [sum(sexes[name.removeprefix("ravdess_")] == sex for name in names) for names in tested]
        assert max(counts) - min(counts) <= 1
    for parts in folds:
        assert {"train", "validation"} <= set(parts.values())


def test_leaving_one_speaker_out_by_number_and_by_name():
    by_number = split(ACTORS, replace(SPEAKER, policy="loso", fold=3))
    assert [name for name, part in by_number.items() if part == "test"] == ["ravdess_03"]
    assert list(by_number.values()).count("validation") == 4  # two of twelve women, two of eleven men
    assert split(ACTORS, replace(SPEAKER, policy="loso", left_out="ravdess_03")) == by_number
    with pytest.raises(SplitError, match="has no speaker 'ravdess_77'"):
        split(ACTORS, replace(SPEAKER, policy="loso", left_out="ravdess_77"))


def test_leaving_out_a_speaker_of_another_corpus_splits_this_one_by_speaker():
    assert split(ACTORS, replace(SPEAKER, policy="loso", left_out="emodb_03")) == split(ACTORS)


def test_a_fold_past_the_last_speaker_tests_nobody(caplog):
    parts = split({"a": "female", "b": "female"}, replace(SPEAKER, policy="loso", fold=3))
    assert "test" not in parts.values() and "no speaker left to test" in caplog.text


def test_published_lists_with_all_parts(caplog):
    caplog.set_level(logging.INFO)
    params = replace(SPEAKER, policy="file", files=("crema_d_audeering.json",))
    protocols = read_protocols(ROOT / "protocols", params.files)
    sexes = {str(n): "male" for n in (1001, 1002, 1049, 1091, 2000)}
    parts = split(sexes, params, "crema_d", protocols)
    assert list(parts.values()) == ["train", "train", "validation", "test", "unused"]
    assert "87 speakers that are not here" in caplog.text and "crema_d_2000" in caplog.text
    assert split(ACTORS, params, "ravdess", protocols) == split(ACTORS)  # not covered by the file


def test_published_folds_get_validation_from_their_training_speakers():
    params = replace(SPEAKER, policy="file", files=("ravdess_emobox_6fold.json",), fold=2)
    protocols = read_protocols(ROOT / "protocols", params.files)
    parts = split(ACTORS, params, protocols=protocols)
    assert [name for name, part in parts.items() if part == "test"] == [f"ravdess_{n}" for n in ("04", "10", "12", "14")]
    assert list(parts.values()).count("train") + list(parts.values()).count("validation") == 20
    assert "validation" in parts.values() and "unused" not in parts.values()
    with pytest.raises(SplitError, match="folds 1 to 6, got 7"):
        split(ACTORS, replace(params, fold=7), protocols=protocols)


@pytest.mark.parametrize("path", sorted((ROOT / "protocols").glob("*.json")), ids=lambda path: path.stem)
def test_every_protocol_in_the_folder_is_readable(path):
    (protocol,) = read_protocols(path.parent, [path.name]).values()
    assert all({"train", "test"} <= set(fold.values()) for fold in protocol.folds)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a protocol"),
        ("[]", "not a protocol"),
        ('{"train": []}', "not a protocol"),
        ('{"corpus": "ravdess", "train": ["01"]}', "not a protocol"),
        ('{"corpus": "ravdess", "train": ["01"], "test": ["01"]}', "'01' is listed twice"),
        ('{"corpus": "ravdess", "test_speakers_by_fold": [["01"], ["01"]]}', "'01' is listed twice"),
        ('{"corpus": "ravdess", "train": ["1"], "test": ["02"]}', "none of its train speakers is in ravdess"),
    ],
)
def test_bad_protocols_are_refused_with_the_reason(tmp_path, content, message):
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(SplitError, match=message):
        split(ACTORS, replace(SPEAKER, policy="file", files=("bad.json",)), protocols=read_protocols(tmp_path, ["bad.json"]))


def test_missing_and_rival_protocols_are_refused(tmp_path):
    with pytest.raises(SplitError, match="no such file"):
        read_protocols(tmp_path, ["none.json"])
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps({"corpus": "ravdess", "train": ["ravdess_01"], "test": ["02"]}))
    with pytest.raises(SplitError, match="a.json and b.json both cover ravdess"):
        read_protocols(tmp_path, ["a.json", "b.json"])


def test_random_split_is_by_clip_with_a_warning_and_keeps_one_recording_in_one_part(caplog):
    table = collected(ACTORS, clips=50)
    table.loc[table["id"].str.endswith("_7"), "audio_sha256"] = "same"
    result = split_corpus(table, "ravdess", replace(SPEAKER, policy="random"), {})
    assert "for comparison only" in caplog.text
    shares = result["part"].value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.03) and shares["validation"] == pytest.approx(0.15, abs=0.03)
    assert result.groupby("speaker")["part"].nunique().min() == 3
    assert result.loc[(table["audio_sha256"] == "same").to_numpy(), "part"].nunique() == 1


def test_repeated_ids_and_two_sexes_are_refused():
    table = collected(ACTORS)
    with pytest.raises(SplitError, match="share the id '01_0'"):
        split_corpus(pd.concat([table, table[:1]]), "ravdess", SPEAKER, {})
    table.loc[0, "sex"] = "female"
    with pytest.raises(SplitError, match="'ravdess_01' is listed under two sexes"):
        split_corpus(table, "ravdess", SPEAKER, {})


@pytest.mark.parametrize(
    "wrong",
    [
        {"test_share": 0.9},
        {"validation_share": 0.0},
        {"folds": 1},
        {"fold": 0},
        {"policy": "kfold", "fold": 6},
        {"policy": "file"},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValueError):
        replace(SPEAKER, **wrong)


def test_stage_writes_the_parts(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    write_csv(tmp_path / "collected.csv", collected(ACTORS))
    (tmp_path / "params.yaml").write_text(
        "split: {policy: speaker, seed: 1, validation_share: 0.15, test_share: 0.2,"
        " two_speakers_train: first, folds: 5, fold: 1}\n"
    )
    monkeypatch.setenv("SER_PARAMS", str(tmp_path / "params.yaml"))
    paths = (tmp_path / "collected.csv", ROOT / "protocols", tmp_path / "out.csv")
    monkeypatch.setattr(sys, "argv", ["split", "ravdess", *map(str, paths)])
    stages.split.main()
    table = read_csv(tmp_path / "out.csv")
    assert list(table.columns) == ["id", "speaker", "part"] and speakers(table) == split(ACTORS)
    assert describe(table) == "train 64 clips, 16 speakers; validation 16 clips, 4 speakers; test 16 clips, 4 speakers"
    assert describe(table) in caplog.text
