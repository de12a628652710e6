"""The protocols as published, and the tables of their folds: nobody is tested who was learned from."""

import json
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from ser.emotions import CANONICAL
from ser.folds import FoldError, FoldParams, every_clip, fold_table
from ser.protocols import BENCHMARKS, Benchmark, Fold

ROOT = Path(__file__).parents[1]
LISTS = ROOT / "protocols"
PARAMS = FoldParams(validation_share=0.15, seed=1)
SPEAKERS = {  # as in the releases that the protocols were published on
    "ravdess": [f"{n:02}" for n in range(1, 25)],
    "crema_d": [str(n) for n in range(1001, 1092)],
    "tess": ["OAF", "YAF"],
    "emodb": ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"],
    "iesc": list("12345678"),
}
WOMEN = {"emodb": {"08", "09", "13", "14", "16"}, "tess": {"OAF", "YAF"}}
EMOTIONS = {
    "ravdess": {*CANONICAL} - {"boredom"},
    "crema_d": {*CANONICAL} - {"boredom", "calm", "surprised"},
    "tess": {*CANONICAL} - {"boredom", "calm"},
    "emodb": {*CANONICAL} - {"surprised", "calm"},
    "iesc": {*CANONICAL} - {"boredom", "calm", "surprised", "disgust"},
}


def sex(corpus, speaker):
    if corpus == "iesc":
        return "unknown"
    women = WOMEN.get(corpus) or {name for name in SPEAKERS[corpus] if int(name) % 2 == 0}
    return "female" if speaker in women else "male"


def collected():
    """A file for each emotion of each speaker, twenty words of TESS."""
    rows = []
    for corpus, speakers in SPEAKERS.items():
        for speaker in speakers:
            for emotion in sorted(EMOTIONS[corpus]):
                for word in [f"word{n}" for n in range(20)] if corpus == "tess" else [""]:
                    name = f"{corpus}/{speaker}_{emotion}{word}"
                    rows.append({
                        "id": name, "path": f"{name}.wav", "corpus": corpus, "speaker": f"{corpus}_{speaker}",
                        "sex": sex(corpus, speaker), "language": "en", "recorded_emotion": emotion, "source_emotion": emotion,
                        "intensity": "", "channel": "speech", "sentence": word, "duration_s": 1.0, "sampling_rate_hz": 16000,
                        "channels": 1, "audio_sha256": name, "rejected": "",
                    })  # fmt: skip
    return pd.DataFrame(rows)


CLIPS = every_clip(collected())
every_fold = pytest.mark.parametrize(
    "name, fold", [pytest.param(name, fold, id=f"{name}-{fold.name}") for name, b in BENCHMARKS.items() for fold in b.folds]
)


def table(name, fold, clips=CLIPS, params=PARAMS):
    benchmark = BENCHMARKS[name]
    fold = benchmark.fold(fold) if isinstance(fold, str) else fold
    return usual_table(name, fold) if (clips is CLIPS and params is PARAMS) else fold_table(clips, benchmark, fold, LISTS, params)


@cache
def usual_table(name, fold):
    return fold_table(CLIPS, BENCHMARKS[name], fold, LISTS, PARAMS)


def speakers(rows, part):
    return set(rows.loc[rows["split"] == part, "speaker"])


@every_fold
def test_nobody_is_tested_whose_voice_is_learned_from(name, fold):
    rows = table(name, fold)
    assert speakers(rows, "test")
    assert not speakers(rows, "test") & (speakers(rows, "train") | speakers(rows, "validation") | speakers(rows, "pool"))
    assert rows["id"].is_unique and set(rows["split"]) <= {"train", "validation", "test", "pool"}


@every_fold
def test_each_fold_chooses_its_epoch_on_clips_it_neither_trains_nor_tests_on(name, fold):
    rows = table(name, fold)
    assert (rows["split"] == "validation").any()
    if name != "tess_both_ways":
        assert not speakers(rows, "validation") & speakers(rows, "train")


@every_fold
def test_only_the_protocols_emotions_are_left_in_every_part(name, fold):
    rows, benchmark = table(name, fold), BENCHMARKS[name]
    assert set(rows.loc[rows["split"] == "test", "emotion"]) == set(benchmark.emotions)
    learned = {*benchmark.emotions, *benchmark.also_learned}
    assert learned == {*benchmark.emotions} or learned == {*CANONICAL}
    for part in ("train", "validation"):
        corpora = set(rows.loc[rows["split"] == part, "corpus"])
        assert set(rows.loc[rows["split"] == part, "emotion"]) == set().union(*(EMOTIONS[c] & learned for c in corpora))


@every_fold
def test_the_pool_is_every_clip_of_the_other_corpora_and_no_clip_of_the_protocols(name, fold):
    pooled = table(name, fold).query("split == 'pool'")
    benchmark = BENCHMARKS[name]
    others = CLIPS[~CLIPS["corpus"].isin(benchmark.corpora) & CLIPS["emotion"].isin(benchmark.emotions)]
    assert set(pooled["id"]) == set(others["id"])


@pytest.mark.parametrize("name", BENCHMARKS)
def test_emotions_stand_in_the_order_of_all_label_arrays(name):
    emotions = BENCHMARKS[name].emotions
    assert list(emotions) == [emotion for emotion in CANONICAL if emotion in emotions]


@pytest.mark.parametrize("name, n_emotions, n_folds", [
    ("ravdess_emobox", 8, 6), ("ravdess_19_to_24", 8, 1), ("emodb_loso", 7, 10), ("iesc_loso", 5, 8),
    ("tess_both_ways", 7, 2), ("crema_d_published", 6, 1), ("corpus_out", 5, 5),
])  # fmt: skip
def test_protocols_are_as_published(name, n_emotions, n_folds):
    benchmark = BENCHMARKS[name]
    assert (len(benchmark.emotions), len(benchmark.folds)) == (n_emotions, n_folds)
    expected = set.intersection(*(EMOTIONS[corpus] for corpus in benchmark.corpora))
    assert set(benchmark.emotions) == expected, "all emotions of the corpus, or those that all corpora share"


@pytest.mark.parametrize("name", ["ravdess_emobox", "emodb_loso", "iesc_loso", "tess_both_ways", "corpus_out"])
def test_over_its_folds_each_speaker_is_tested_once(name):
    tested = [speaker for fold in BENCHMARKS[name].folds for speaker in speakers(table(name, fold), "test")]
    corpora = BENCHMARKS[name].corpora
    assert sorted(tested) == sorted(f"{corpus}_{speaker}" for corpus in corpora for speaker in SPEAKERS[corpus])


def test_published_lists_are_kept_to_the_speaker():
    listed = json.loads((LISTS / "crema_d_audeering.json").read_text())
    here = CLIPS[~CLIPS["speaker"].isin([f"crema_d_{name}" for name in ("1001", "1048", "1049")])]  # a part of the actors
    rows = table("crema_d_published", "published_lists", here)
    for part in ("train", "validation", "test"):
        assert speakers(rows, part) == {f"crema_d_{name}" for name in listed[part]} & set(here["speaker"])
    folds = json.loads((LISTS / "ravdess_emobox_6fold.json").read_text())["test_speakers_by_fold"]
    assert speakers(table("ravdess_emobox", "fold_2"), "test") == {f"ravdess_{name}" for name in folds[1]}


def test_speakers_that_no_list_names_neither_train_nor_test():
    stranger = CLIPS[CLIPS["speaker"] == "ravdess_01"].assign(speaker="ravdess_99", id=lambda rows: rows["id"] + "x")
    rows = table("ravdess_19_to_24", "actors_19_to_24", pd.concat([CLIPS, stranger]))
    assert "ravdess_99" not in set(rows["speaker"]) and "ravdess_01" in set(rows["speaker"])


def test_validation_speakers_are_of_both_sexes_and_change_with_the_fold():
    chosen = [speakers(table("emodb_loso", fold), "validation") for fold in BENCHMARKS["emodb_loso"].folds]
    for names in chosen:
        assert {sex("emodb", name.removeprefix("emodb_")) for name in names} == {"male", "female"}
    assert len(set().union(*chosen)) > 4, "no two speakers choose the epochs of all folds"


def test_validation_depends_on_the_seed_and_on_nothing_else():
    def chosen(seed, clips=CLIPS):
        rows = table("ravdess_emobox", "fold_1", clips, FoldParams(0.15, seed))
        return speakers(rows, "validation")

    assert chosen(1) == chosen(1, CLIPS[CLIPS["corpus"] == "ravdess"].sample(frac=1, random_state=1))
    assert len({frozenset(chosen(seed)) for seed in range(5)}) > 1


def test_where_no_speaker_can_be_spared_words_are():
    rows = table("tess_both_ways", "tess_YAF")
    assert speakers(rows, "validation") == speakers(rows, "train") == {"tess_OAF"}
    words = {part: set(rows.loc[rows["split"] == part, "sentence"]) for part in ("train", "validation")}
    assert len(words["validation"]) == 3 and not words["train"] & words["validation"]
    assert (rows["split"] == "validation").sum() == 3 * 7, "with all their emotions"


def test_without_speakers_and_sentences_to_spare_nothing_validates(caplog):
    rows = table("tess_both_ways", "tess_YAF", CLIPS.assign(sentence=""))
    assert not (rows["split"] == "validation").any()
    assert "last epoch will be kept" in caplog.text


def test_a_corpus_of_two_speakers_gives_both_to_training_when_another_is_tested():
    rows = table("corpus_out", "iesc")
    assert {"tess_OAF", "tess_YAF"} <= speakers(rows, "train")
    assert {name.rpartition("_")[0] for name in speakers(rows, "validation")} == {"ravdess", "crema_d", "emodb"}


def test_a_missing_corpus_or_speaker_is_named_with_the_way_out():
    with pytest.raises(FoldError, match="the corpus emodb; list it in corpora.use"):
        table("emodb_loso", "emodb_03", CLIPS[CLIPS["corpus"] == "iesc"])
    with pytest.raises(FoldError, match="speaker iesc_4 is not in iesc"):
        table("iesc_loso", "iesc_4", CLIPS[CLIPS["speaker"] != "iesc_4"])
    with pytest.raises(FoldError, match="no speaker that actors_19_to_24 tests is in ravdess"):
        table("ravdess_19_to_24", "actors_19_to_24", CLIPS[CLIPS["speaker"] < "ravdess_19"])


def test_every_clip_keeps_calm_and_boredom_and_leaves_out_song_rejects_and_second_copies():
    files = collected()
    song = files.iloc[[0]].assign(id="a", path="a", audio_sha256="a", channel="song")
    reject = files.iloc[[0]].assign(id="b", path="b", audio_sha256="b", rejected="silent")
    copy = files.iloc[[0]].assign(id="c", path="z", audio_sha256=files["audio_sha256"].iloc[0])
    clips = every_clip(pd.concat([files, song, reject, copy], ignore_index=True))
    assert set(clips["id"]) == set(files["id"]) and {"calm", "boredom"} <= set(clips["emotion"])


def test_a_share_outside_nought_to_one_is_refused():
    with pytest.raises(ValueError, match="validation_share"):
        FoldParams(validation_share=1.0, seed=1)


def test_a_fold_tests_a_whole_corpus_where_it_names_no_speakers():
    benchmark = Benchmark("t", ("iesc", "emodb"), ("happy", "sad"), (Fold("iesc", "iesc"),))
    rows = fold_table(CLIPS, benchmark, benchmark.fold("iesc"), LISTS, PARAMS)
    assert speakers(rows, "test") == {f"iesc_{name}" for name in SPEAKERS["iesc"]}
