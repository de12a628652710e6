"""Each protocol of the honesty report leaks what it is there to show, and nothing else."""

from functools import cache

import pandas as pd
import pytest

from ser.crossings import CHOSE_EPOCH, crossings, refuse_others
from ser.honesty import HONESTY, HonestyError, HonestyFold, honesty_fold
from ser.honesty_splits import SplitParams, honesty_table
from ser.leakage import SAME_AUDIO, SENTENCE, SIBLING, SPEAKER

PARAMS = SplitParams(test_share=0.2, validation_share=0.15, speaker_folds=5, seed=1)
EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised", "calm")
SHARED = {"crema_d": EMOTIONS[:6], "emodb": EMOTIONS[:6], "tess": EMOTIONS[:7]}
FOLDS = [
    *("files_twice_1", "copies_1", "random_1", "chosen_on_test_1", "speakers_1", "speakers_5"),
    *("sentences_1a", "sentences_5b", "corpora_1"),
]


def clip(corpus, speaker, emotion, sentence, take=1):
    name = f"{corpus}/{speaker}-{emotion}-{sentence}-{take}"
    return {
        "id": name, "corpus": corpus, "speaker": f"{corpus}_{speaker:02}", "sex": "female" if speaker % 2 == 0 else "male",
        "emotion": emotion, "sentence": sentence, "audio_sha256": name,
    }  # fmt: skip


CLIPS = pd.DataFrame(
    [
        clip("ravdess", speaker, emotion, sentence, take)
        for speaker in range(1, 25)
        for emotion in EMOTIONS
        for sentence in ("Dogs", "Kids")
        for take in (1, 2)
    ]
    + [
        clip(corpus, speaker, emotion, "Say")
        for corpus in SHARED
        for speaker in (1, 2)
        for emotion in (*SHARED[corpus], "boredom")
    ]
)


def table(name, clips=CLIPS, params=PARAMS, copies=1):
    usual = clips is CLIPS and params is PARAMS and copies == 1
    return usual_table(name) if usual else honesty_table(clips, honesty_fold(name), params, copies)


@cache
def usual_table(name):
    return honesty_table(CLIPS, honesty_fold(name), PARAMS, 1)


@cache
def counted(name):
    return crossings(table(name))


def part(rows, split, column):
    return set(rows.loc[rows["split"] == split, column])


def shares(name):
    counts = counted(name)
    return {kind: count / counts["test"] for kind, count in counts.items()}


@pytest.mark.parametrize("name", FOLDS)
def test_every_protocol_leaks_what_it_says_and_nothing_else(name):
    fold = honesty_fold(name)
    refuse_others(fold, HONESTY[fold.protocol], counted(name))


def test_files_counted_twice_put_the_same_audio_on_both_sides():
    found = shares("files_twice_1")
    assert 0.6 < found[SAME_AUDIO] < 0.75, "two copies: as likely as a row is to train"
    assert 0.05 < found[CHOSE_EPOCH] < 0.2 and found[SIBLING] == 0 and found[SPEAKER] == found[SENTENCE] == 1
    assert len(table("files_twice_1")) == 2 * len(table("random_1"))


def test_copies_made_before_the_split_are_apart_from_their_originals():
    found = shares("copies_1")
    assert 0.6 < found[SIBLING] < 0.75 and found[SAME_AUDIO] == found[CHOSE_EPOCH] == 0 and found[SPEAKER] == 1
    tested = part(table("copies_1"), "test", "id")
    assert 0 < sum(name.endswith("#1") for name in tested) < len(tested), "of either kind"
    assert len(table("copies_1", copies=2)) == 3 * len(table("random_1"))


def test_a_random_split_shares_voices_and_sentences_alone():
    found = shares("random_1")
    assert found[SPEAKER] == found[SENTENCE] == 1 and found[SAME_AUDIO] == found[SIBLING] == found[CHOSE_EPOCH] == 0


def test_chosen_on_test_tests_what_the_random_split_tests_and_validates_on_it():
    rows = table("chosen_on_test_2")
    assert part(rows, "test", "id") == part(rows, "validation", "id") == part(table("random_2"), "test", "id")
    assert shares("chosen_on_test_2")[CHOSE_EPOCH] == 1 and shares("chosen_on_test_2")[SAME_AUDIO] == 0


@pytest.mark.parametrize("name", ["speakers_2", "sentences_2a", "corpora_1"])
def test_unheard_speakers_are_in_no_other_part(name):
    rows = table(name)
    heard = part(rows, "train", "speaker") | part(rows, "validation", "speaker")
    assert not part(rows, "test", "speaker") & heard
    assert not part(rows, "validation", "speaker") & part(rows, "train", "speaker")
    assert part(rows, "validation", "sex") == {"male", "female"}


def test_over_the_folds_every_clip_is_tested_once():
    everyone = sorted(CLIPS.loc[CLIPS["corpus"] == "ravdess", "id"])
    by_speaker = [f"speakers_{n}" for n in range(1, 6)]
    both_ways = [f"sentences_{n}{half}" for n in range(1, 6) for half in "ab"]
    for names in (by_speaker, both_ways):
        assert sorted(name for fold in names for name in table(fold).query("split == 'test'")["id"]) == everyone


def test_groups_of_speakers_are_alike_in_size_and_sexes():
    groups = [table(f"speakers_{n}").query("split == 'test'").drop_duplicates("speaker") for n in range(1, 6)]
    assert sorted(len(group) for group in groups) == [4, 5, 5, 5, 5]
    assert all(2 <= (group["sex"] == "male").sum() <= 3 for group in groups)


def test_unheard_sentences_are_said_in_no_other_part():
    for name in ("sentences_1a", "sentences_1b"):
        rows = table(name)
        assert not part(rows, "test", "sentence") & (part(rows, "train", "sentence") | part(rows, "validation", "sentence"))
    assert part(table("sentences_1a"), "test", "speaker") == part(table("sentences_1b"), "test", "speaker")
    assert part(table("sentences_1a"), "test", "sentence") == part(table("sentences_1b"), "train", "sentence") == {"Dogs"}


def test_other_corpora_are_tested_on_the_emotions_they_share():
    rows = table("corpora_1")
    assert part(rows, "train", "corpus") == part(rows, "validation", "corpus") == {"ravdess"}
    assert part(rows, "train", "emotion") == set(EMOTIONS)
    tested = rows[rows["split"] == "test"].groupby("corpus")["emotion"].agg(set).to_dict()
    assert tested == {corpus: set(emotions) for corpus, emotions in SHARED.items()}


@pytest.mark.parametrize("name", ["files_twice_1", "copies_1", "random_1"])
def test_random_parts_have_the_shares_asked_for_within_each_emotion(name):
    rows = table(name)
    sizes = rows.groupby(["emotion", "split"]).size().unstack()
    assert (sizes.nunique() == 1).all(), "as many of each emotion, since the corpus has"
    assert sizes["test"].iloc[0] == round(0.2 * sizes.sum(axis=1).iloc[0])
    assert sizes["validation"].iloc[0] == round(0.15 * (sizes["train"] + sizes["validation"]).iloc[0])


def test_draws_depend_on_their_number_and_the_seed_and_not_on_the_order_of_clips():
    tested = part(table("random_1"), "test", "id")
    assert tested == part(table("random_1", CLIPS.sample(frac=1, random_state=1)), "test", "id")
    other_seed = SplitParams(test_share=0.2, validation_share=0.15, speaker_folds=5, seed=2)
    assert tested != part(table("random_2"), "test", "id") and tested != part(table("random_1", params=other_seed), "test", "id")


def test_a_table_that_leaks_otherwise_than_meant_is_refused():
    def refuse(name, counts):
        fold = HonestyFold(name, 1)
        refuse_others(fold, HONESTY[name], counts)

    with pytest.raises(HonestyError, match="speakers_1: training and test share sentence, speaker, and should share sentence"):
        refuse("speakers", counted("random_1"))
    with pytest.raises(HonestyError, match="share sentence, and should share nothing"):
        refuse("sentences", counted("speakers_1"))
    with pytest.raises(HonestyError, match="of 152 test clips choose the epoch"):
        refuse("random", counted("chosen_on_test_1"))


@pytest.mark.parametrize("name", ["random_0", "random", "random_01", "speakers_1a", "sentences_1", "corpora", "kfold_1", ""])
def test_a_fold_without_a_name_is_refused(name):
    with pytest.raises(HonestyError, match="no fold"):
        honesty_fold(name)


@pytest.mark.parametrize("name, clips, copies, message", [
    ("random_1", CLIPS[CLIPS["corpus"] == "tess"], 1, "needs the corpus ravdess"),
    ("corpora_1", CLIPS[CLIPS["corpus"] != "emodb"], 1, "tests the corpus emodb"),
    ("copies_1", CLIPS, 0, "needs augmented copies"),
    ("sentences_1a", CLIPS[CLIPS["sentence"] != "Kids"], 1, "needs two sentences, and ravdess has 1"),
    ("speakers_6", CLIPS, 1, "24 speakers in 5 groups there is none with that number"),
    ("speakers_1", CLIPS[CLIPS["speaker"] < "ravdess_05"], 1, "of 4 speakers in 5 groups"),
])  # fmt: skip
def test_what_is_missing_is_named_with_the_way_out(name, clips, copies, message):
    with pytest.raises(HonestyError, match=message):
        table(name, clips, copies=copies)


@pytest.mark.parametrize("change", [{"test_share": 0.0}, {"validation_share": 1.0}, {"speaker_folds": 1}])
def test_sizes_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        SplitParams(**{**vars(PARAMS), **change})
