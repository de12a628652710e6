"""What voices and microphones do: shares of variance, the recording chain, and what knowing a speaker mends."""

import numpy as np
import pytest

from ser.inference import Enrolment
from ser.speaker_effects import CONDITIONS, chain, one_speaker_out, summary, variance_shares
from ser.speaker_effects_document import as_markdown

EMOTIONS = ("neutral", "sad", "angry")


def corpus(*, offset, seed=1, n_speakers=6, takes=6):
    """Rows of two columns that move with the emotion, and by `offset` deviations with the speaker; a third tells the speaker."""
    random = np.random.default_rng(seed)
    rows, speakers, emotions = [], [], []
    for speaker in range(n_speakers):
        moved = random.normal(0, 1, 3) * offset
        for _ in range(takes):
            for code, emotion in enumerate(EMOTIONS):
                rows.append(np.array([code, -code, 0.0]) * 2 + moved + random.normal(0, 0.5, 3))
                speakers.append(f"speaker_{speaker}")
                emotions.append(emotion)
    return np.array(rows), speakers, emotions


def test_shares_of_variance_go_to_who_or_to_what_moves_the_columns():
    alike, apart = (variance_shares(*corpus(offset=offset)) for offset in (0.0, 8.0))
    assert alike["emotion"] > 0.8 > 0.1 > alike["speaker"] and alike["columns_of_speaker"] <= 1 / 3
    assert apart["speaker"] > 0.8 > 0.1 > apart["emotion"] and apart["columns_of_speaker"] == 1


def test_a_gap_counts_in_no_share():
    rows, speakers, emotions = corpus(offset=0.0)
    whole = variance_shares(rows, speakers, emotions)
    rows[::7, 1] = np.nan
    gaps = variance_shares(np.column_stack([rows, np.full(len(rows), 3.0)]), speakers, emotions)
    assert gaps["emotion"] == pytest.approx(whole["emotion"], abs=0.05), "nor does a column that never moves"


def test_knowing_the_speaker_mends_what_voices_differ_in_and_nothing_else():
    enrolment = Enrolment(clips=8, seed=1)
    apart = summary(one_speaker_out(*corpus(offset=8.0), enrolment))
    assert apart["none"] < 0.7 < 0.9 < apart["enrolled"] <= apart["transductive"] == 1.0
    alike = summary(one_speaker_out(*corpus(offset=0.0), enrolment))
    assert alike["none"] > 0.95


def test_the_chain_is_heard_in_loud_frames():
    band_hz = np.array([100.0, 500.0, 1500.0, 3000.0, 5000.0, 7000.0])
    loud, quiet = np.array([-20.0, -20, -20, -25, -40, -50]), np.array([-60.0, -60, -60, -60, -60, -60])
    measured = chain(np.array([loud] * 5 + [quiet] * 5), band_hz)
    assert measured["tilt_db"] == pytest.approx(-25) and 35 < measured["range_db"] < 40


def test_the_document_lists_corpora_and_the_speakers_of_one():
    scores = dict.fromkeys(CONDITIONS, 0.5)
    speakers = {f"iesc_{n}": {"tilt_db": -20.0 - n, "range_db": 40.0, **scores} for n in (1, 2)}
    variance = {"speaker": 0.35, "emotion": 0.06, "columns_of_speaker": 0.96}
    report = {
        "synthetic_demo_voices": 0, "enrolment_clips": 8, "shown": "iesc",
        "corpora": {"iesc": {"variance": variance, "uar": scores, "speakers": speakers}},
    }  # fmt: skip
    text = as_markdown(report)
    assert "| iesc | 2 | -22 to -21 | 40 to 40 | 35 | 6 | 96 | 50.0 | 50.0 | 50.0 |" in text
    assert "| iesc_2 | -22.0 | 40.0 | 50.0 | 50.0 | 50.0 |" in text and "synthetic" not in text
    assert "synthetic demo voices" in as_markdown({**report, "synthetic_demo_voices": 1})
