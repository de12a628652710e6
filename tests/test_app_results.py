import io

import numpy as np
import pandas as pd

from ser.app import words
from ser.app.results import Result, csv, score, shown
from ser.emotions import CANONICAL
from ser.prediction import Prediction

EMOTIONS = ("neutral", "happy", "sad", "angry")


def prediction(emotion, confidence=0.7, unsure_below=0.4):
    probabilities = np.full(len(EMOTIONS), (1 - confidence) / 3)
    probabilities[EMOTIONS.index(emotion)] = confidence
    return Prediction(EMOTIONS, probabilities, unsure_below, 1.234)


def result(file, **predictions):
    return Result(file, {model: prediction(emotion) for model, emotion in predictions.items()})


def test_csv_has_a_row_a_file_and_model_with_every_probability():
    table = pd.read_csv(
        io.StringIO(csv([result("a.wav", cnn="sad", hybrid="angry"), result("b, c.wav", cnn="sad", hybrid="sad")]))
    )
    assert table["file"].tolist() == ["a.wav", "a.wav", "b, c.wav", "b, c.wav"]
    assert table["model"].tolist() == ["cnn", "hybrid"] * 2
    assert table["emotion"].tolist() == ["sad", "angry", "sad", "sad"]
    assert np.allclose(table[[f"p_{emotion}" for emotion in EMOTIONS]].sum(axis=1), 1, atol=1e-5)
    assert table["true_emotion"].isna().all()


def test_two_files_of_one_name_stay_two_rows():
    assert len(shown([result("a.wav", cnn="sad"), result("a.wav", cnn="angry")])) == 2


def test_the_verdict_of_an_unsure_answer_is_unsure():
    table = shown([Result("a.wav", {"cnn": prediction("sad", 0.35)}), result("b.wav", cnn="sad")])
    assert table["Verdict"].tolist() == ["unsure (sad)", words.with_emoji("sad")]


def test_accuracy_counts_only_files_whose_name_tells():
    answers = [result("03a01Wa.wav", cnn="angry"), result("03a01Fa.wav", cnn="sad"), result("mine.wav", cnn="sad")]
    found = score(answers, "cnn")
    assert (found.n_right, found.n_known, found.accuracy, found.uar) == (1, 2, 0.5, 0.5)
    assert score(answers[2:], "cnn") is None


def test_an_emotion_the_model_lacks_is_not_counted_against_it():
    assert score([result("03a01Ea.wav", cnn="sad")], "cnn") is None  # disgust


def test_every_emotion_has_one_emoji_and_one_colour():
    assert set(words.EMOJI) == set(words.COLOURS) == set(CANONICAL)
    assert len(set(words.EMOJI.values())) == len(set(words.COLOURS.values())) == len(CANONICAL)


def test_times_read_as_people_write_them():
    assert [words.clock(s) for s in (3.21, 60, 245, 3723)] == ["3.2 s", "1:00", "4:05", "1:02:03"]
