import numpy as np
import pytest

from ser.fingerprint import fingerprint
from ser.leakage import NEAR_DUPLICATE, SAME_AUDIO, SENTENCE, SIBLING, SPEAKER, Clip, find, named, parent_name
from tests.test_fingerprint import RATE_HZ, voice


def train(path, **known):
    return Clip(f"train/{path}", "train", **known)


def test(path, **known):
    return Clip(f"test/{path}", "test", **known)


test.__test__ = False


def kinds(clips):
    return [finding.kind for finding in find(clips)]


def test_nothing_shared_nothing_found():
    assert (
        find([train("a.wav", speaker="1", sentence="x", sha256="a"), test("b.wav", speaker="2", sentence="y", sha256="b")]) == []
    )


def test_what_is_not_known_is_not_shared():
    assert find([train("a.wav"), train("b.wav"), test("c.wav"), test("d.wav")]) == []


def test_same_audio_is_one_finding_with_all_its_clips():
    clips = [train("a.wav", sha256="s"), train("b.wav", sha256="s"), test("c.wav", sha256="s"), test("d.wav", sha256="t")]
    (found,) = find(clips)
    assert (found.kind, found.between, found.similarity) == (SAME_AUDIO, True, 1.0)
    assert found.clips == {"train": ("train/a.wav", "train/b.wav"), "test": ("test/c.wav",)}


def test_same_audio_within_a_side_is_found_but_joins_nothing():
    (found,) = find([train("a.wav", sha256="s"), train("b.wav", sha256="s"), test("c.wav", sha256="t")])
    assert found.kind == SAME_AUDIO and not found.between


def test_near_duplicates_name_all_copies_once():
    signal = voice(1)
    whole, cut = fingerprint(signal, RATE_HZ), fingerprint(signal[3000:], RATE_HZ)
    clips = [
        train("a.wav", sha256="s", fingerprint=whole),
        train("again/a.wav", sha256="s", fingerprint=whole),
        test("x.wav", sha256="t", fingerprint=cut),
        test("y.wav", sha256="u", fingerprint=fingerprint(voice(2), RATE_HZ)),
    ]
    same, near = find(clips)
    assert same.kind == SAME_AUDIO and not same.between
    assert near.kind == NEAR_DUPLICATE and near.between and 0.9 < near.similarity < 1
    assert near.clips == {"train": ("train/a.wav", "train/again/a.wav"), "test": ("test/x.wav",)}


def test_speakers_and_sentences():
    clips = [train("a.wav", speaker="s1", sentence="Kids are talking, by the door."), train("b.wav", speaker="s2")]
    clips += [test("c.wav", speaker="s2"), test("d.wav", speaker="s3", sentence="kids are  talking by the door")]
    speaker, sentence = find(clips)
    assert (speaker.kind, speaker.what, speaker.clips) == (SPEAKER, "s2", {"train": ("train/b.wav",), "test": ("test/c.wav",)})
    assert (sentence.kind, sentence.what) == (SENTENCE, "Kids are talking, by the door.")


def test_speaker_1_of_another_corpus_is_somebody_else():
    assert kinds([train("a.wav", speaker="1", corpus="emodb"), test("b.wav", speaker="1", corpus="iesc")]) == []
    assert kinds([train("a.wav", speaker="1", corpus="emodb"), test("b.wav", speaker="1", corpus="emodb")]) == [SPEAKER]


def test_where_a_corpus_is_not_said_the_same_name_is_the_same_speaker():
    assert kinds([train("a.wav", speaker="1", corpus="emodb"), test("b.wav", speaker="1")]) == [SPEAKER]


def test_more_than_two_sides():
    clips = [Clip(f"{side}.wav", side, speaker=speaker) for side, speaker in (("one", "a"), ("two", "b"), ("three", "a"))]
    (found,) = find(clips)
    assert list(found.clips) == ["one", "three"]


@pytest.mark.parametrize(
    "name, parent",
    [
        ("03-01-06-01-02-01-12#3", "03-01-06-01-02-01-12"),
        ("ravdess/03-01-06-01-02-01-12#3", "ravdess/03-01-06-01-02-01-12"),
        ("clip_aug", "clip"),
        ("clip_aug_2", "clip"),
        ("clip_pitch", "clip"),
        ("clip_pitch_up", "clip"),
        ("clip_pitch_-2", "clip"),
        ("clip-stretch0.8", "clip"),
        ("clip_noise_0.05", "clip"),
        ("clip_noise_pitch", "clip"),
        ("clip (1)", "clip"),
        ("clip - Copy", "clip"),
        ("aug_clip", "clip"),
        ("noise1_clip", "clip"),
        ("CLIP_AUG", "CLIP"),
    ],
)
def test_names_of_copies(name, parent):
    assert parent_name(name) == parent


@pytest.mark.parametrize(
    "name",
    [
        "03a01Fa",
        "OAF_back_ps",
        "1001_DFA_ANG_XX",
        "A-10-8-2",
        "speaker1_fast",
        "clip_1",
        "_aug",
        "#1",
        "noise",
        "saugus",
        "pitch_07",
    ],
)
def test_other_names_stay(name):
    assert parent_name(name) == name


def test_a_long_name_takes_no_time():
    parent_name("clip_aug" + "_1" * 2000 + "!")
    parent_name("_aug1" * 1000 + "!")


def test_siblings_by_name_where_the_audio_does_not_tell():
    (found,) = find([train("a/03a01Fa_pitch2.wav", sha256="s"), test("b/03a01Fa.wav", sha256="t")])
    assert found.kind == SIBLING and "03a01Fa" in found.what


def test_two_copies_of_one_parent_are_siblings():
    assert kinds([train("x_noise.wav"), test("x_stretch.wav")]) == [SIBLING]


def test_copies_beside_their_parent_on_one_side_are_as_they_should_be():
    assert kinds([train("x.wav"), train("x_noise.wav"), train("x#2.wav"), test("y.wav"), test("y_noise.wav")]) == []


def test_the_same_audio_is_not_named_again_as_a_sibling():
    assert kinds([train("x.wav", sha256="s"), test("x_copy.wav", sha256="s")]) == [SAME_AUDIO]


def test_a_name_that_stands_for_several_clips_counts_within_its_folder():
    clips = [train("anna/1.wav"), train("bert/1.wav"), test("carl/1_noise.wav")]
    assert kinds(clips) == []
    assert kinds([*clips, test("bert/1_noise.wav")]) == [SIBLING]


def test_the_same_file_name_alone_is_no_finding_but_a_known_id_is():
    assert kinds([train("1.wav"), test("1.wav")]) == []
    assert kinds([train("1.wav", id="7"), test("2.wav", id="7")]) == []  # rows of two tables, counted
    assert kinds([train("1.wav", id="emodb/03a01Fa"), test("2.wav", id="emodb/03a01Fa")]) == [SIBLING]
    assert kinds([train("1.wav", id="emodb/03a01Fa#2"), test("2.wav", id="emodb/03a01Fa")]) == [SIBLING]


def test_names_of_known_corpora_say_speaker_and_sentence():
    clip = named(Clip("raw/ravdess/Actor_12/03-01-06-01-02-01-12.wav", "train"))
    assert (clip.id, clip.corpus, clip.speaker) == ("ravdess/03-01-06-01-02-01-12", "ravdess", "ravdess_12")
    assert clip.sentence == "Dogs are sitting by the door"


def test_a_copy_is_read_by_the_name_of_its_parent():
    assert named(Clip("x/03-01-06-01-02-01-12_noise.wav", "train")).speaker == "ravdess_12"


def test_what_a_table_says_goes_before_the_name():
    clip = named(Clip("03a01Fa.wav", "train", speaker="me"))
    assert (clip.speaker, clip.corpus) == ("me", "emodb")
    assert named(Clip("03a01Fa.wav", "train", corpus="mine")).speaker == ""


def test_other_names_say_nothing():
    clip = Clip("holiday.wav", "train")
    assert named(clip) == clip


def test_silent_clips_are_not_alike():
    silent = fingerprint(np.zeros(RATE_HZ, np.float32), RATE_HZ)
    assert kinds([train("a.wav", sha256="a", fingerprint=silent), test("b.wav", sha256="b", fingerprint=silent)]) == []
