import pandas as pd

from ser.duplicates import mark_duplicates


def table(*rows):
    names = ["id", "path", "corpus", "speaker", "recorded_emotion", "audio_sha256"]
    return pd.DataFrame(rows, columns=names, index=range(10, 10 + len(rows)))


def test_first_by_path_stays_and_the_reason_names_it():
    reasons = mark_duplicates(
        table(
            ("x/2", "x/b/2.wav", "x", "x_1", "sad", "aa"),
            ("x/1", "x/a/1.wav", "x", "x_1", "sad", "aa"),
            ("x/3", "x/c/3.wav", "x", "x_1", "sad", "bb"),
        )
    )
    assert reasons.to_dict() == {10: "duplicate audio: same samples as x/a/1.wav", 11: "", 12: ""}


def test_same_audio_under_two_emotions_goes_altogether():
    reasons = mark_duplicates(
        table(
            ("x/1", "x/1.wav", "x", "x_1", "sad", "aa"),
            ("x/2", "x/2.wav", "x", "x_1", "neutral", "aa"),
            ("x/1", "x/copy/1.wav", "x", "x_1", "sad", "aa"),
        )
    )
    assert (reasons != "").all()
    assert reasons[10] == "two labels: same samples as x/2.wav (neutral), but this is sad"
    assert "x/1.wav (sad), x/copy/1.wav (sad)" in reasons[11]


def test_same_audio_under_two_speakers_goes_altogether_within_a_corpus_only():
    within = mark_duplicates(table(("x/1", "x/1", "x", "x_1", "sad", "aa"), ("x/2", "x/2", "x", "x_2", "sad", "aa")))
    assert within[10] == "two labels: same samples as x/2 (x_2), but this is x_1" and within[11]
    across = mark_duplicates(table(("y/1", "y/1", "y", "y_1", "sad", "aa"), ("x/2", "x/2", "x", "x_2", "sad", "aa")))
    assert list(across) == ["duplicate audio: same samples as x/2", ""]


def test_one_name_for_two_recordings():
    reasons = mark_duplicates(table(("x/1", "x/b/1", "x", "x_1", "sad", "aa"), ("x/1", "x/a/1", "x", "x_1", "sad", "bb")))
    assert list(reasons) == ["name already used by x/a/1, which is other audio", ""]


def test_nothing_to_compare():
    assert mark_duplicates(table()).empty
