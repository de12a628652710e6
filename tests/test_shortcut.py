import numpy as np
import pandas as pd
import pytest

from ser.bootstrap import SpeakerBootstrap
from ser.features import Clip
from ser.shortcut import PausesOnly, ShortcutParams, edge_kept, pause_features, pauses, probe, warning

BOOTSTRAP = SpeakerBootstrap(n_bootstrap=100, seed=1)
PARAMS = ShortcutParams(pause_db=25.0, kept_edge=0.33, seed=1)


def clips(n_speakers=6, n_each=20, corpora=("a", "b")):
    """Rows of speakers, half of them of each corpus, with sexes and emotions going round."""
    rows = []
    for speaker in range(n_speakers):
        for take in range(n_each):
            rows.append(
                {
                    "corpus": corpora[speaker % len(corpora)],
                    "speaker": f"s{speaker}",
                    "sex": "female" if speaker // 2 % 2 else "male",
                    "emotion": ("sad", "angry")[take % 2],
                }
            )
    return pd.DataFrame(rows)


def told_by(names, seed=0):
    """Columns of noise; each name has one that stands out."""
    codes = pd.Categorical(names).codes
    return np.random.default_rng(seed).normal(size=(len(names), 8)) + 8 * np.eye(8)[codes]


@pytest.mark.parametrize("target", ["corpus", "speaker", "sex", "emotion"])
def test_what_is_there_is_read(target):
    rows = clips()
    scores = probe(told_by(rows[target]), rows, target, BOOTSTRAP, seed=1)
    assert scores["uar"] > 0.95 and scores["uar_low"] <= scores["uar"] <= scores["uar_high"]
    assert scores["n"] == len(rows)


@pytest.mark.parametrize("target", ["corpus", "speaker", "sex", "emotion"])
def test_what_is_not_there_is_not_read(target):
    rows = clips(n_each=60)
    noise = np.random.default_rng(3).normal(size=(len(rows), 4))
    scores = probe(noise, rows, target, BOOTSTRAP, seed=1)
    assert abs(scores["uar"] - scores["chance"]) < 0.15


def test_a_corpus_is_read_on_speakers_the_probe_never_met():
    rows = clips(n_speakers=4)
    only_who_speaks = np.eye(4)[pd.Categorical(rows["speaker"]).codes]  # tells the corpus only if the speaker is known
    assert probe(only_who_speaks, rows, "corpus", BOOTSTRAP, seed=1)["uar"] < 0.6


def test_speakers_are_told_apart_within_a_corpus():
    rows = clips(n_speakers=4)
    only_the_corpus = told_by(rows["corpus"])
    scores = probe(only_the_corpus, rows, "speaker", BOOTSTRAP, seed=1)
    assert scores["chance"] == 0.5 and scores["uar"] < 0.7 and scores["n_classes"] == 4


def test_a_class_of_one_speaker_and_the_unknown_sex_are_left_out():
    rows = clips(n_speakers=4)
    rows.loc[rows["speaker"] == "s3", "corpus"] = "c"
    rows.loc[rows["speaker"] == "s0", "corpus"] = "a"
    assert probe(told_by(rows["corpus"]), rows, "corpus", BOOTSTRAP, seed=1) == {}, "b and c have one speaker each"
    rows["sex"] = "unknown"
    assert probe(told_by(rows["corpus"]), rows, "sex", BOOTSTRAP, seed=1) == {}


def spectrogram(n_loud=30, n_quiet=12, noise_db=-60.0):
    rng = np.random.default_rng(1)
    loud, quiet = np.full((n_loud, 8), -10.0), np.full((n_quiet, 8), noise_db)
    return (np.concatenate([loud, quiet, loud]) + rng.normal(size=(2 * n_loud + n_quiet, 8))).astype(np.float32)


def test_pauses_are_the_quiet_frames():
    found = pauses(spectrogram(), 25.0)
    assert found.sum() == 12 and found[30:42].all()
    assert np.allclose(pause_features(spectrogram(noise_db=-70), 25.0)[:8], -70, atol=1.5)


class Stored:
    def __init__(self, values):
        self.values = values

    def get(self, kind, clip):
        return self.values if kind == "spectrogram" else np.ones(3, np.float32)


def test_of_a_clip_only_its_pauses_are_left():
    only = PausesOnly(Stored(spectrogram()), 25.0)
    clip = Clip("x", "a")
    assert only.has(clip) and only.get("spectrogram", clip).shape == (12, 8)
    assert np.isnan(only.get("prosody", clip)).all()
    assert not PausesOnly(Stored(spectrogram(n_quiet=5)), 25.0).has(clip)


def test_a_model_that_answers_from_the_pauses_is_warned_of():
    truth = np.tile([0, 1], 50)
    whole = np.where(np.arange(100) < 90, truth, 1 - truth)
    reads_pauses = edge_kept(truth, whole, whole, 2)
    assert reads_pauses["kept"] == 1.0 and reads_pauses["uar_pauses"] == pytest.approx(0.9)
    deaf_to_them = edge_kept(truth, whole, np.zeros(100, int), 2)
    assert deaf_to_them["kept"] == 0.0 and deaf_to_them["uar_pauses"] == 0.5
    assert "pauses" in warning({"pauses_alone": reads_pauses}, PARAMS)
    assert warning({"pauses_alone": deaf_to_them}, PARAMS) == ""
    assert warning({}, PARAMS) == "", "no clip has pauses enough"
