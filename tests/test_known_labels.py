import subprocess
import sys
from pathlib import Path

import pytest

from ser.demo import PLANTED
from ser.emotions import Policy
from ser.known_labels import KnownLabel, known_label

SEVEN = Policy("neutral", "drop").emotions


@pytest.mark.parametrize(
    ("path", "corpus", "emotion"),
    [
        ("Actor_02/03-01-06-02-01-01-02.wav", "ravdess", "fear"),
        ("03-02-02-01-02-02-13.wav", "ravdess", "calm"),
        ("clips with spaces/1001_DFA_ANG_XX.mp3", "crema_d", "angry"),
        ("1040_ITH_SAD_X.wav", "crema_d", "sad"),
        ("OAF_back_ps.wav", "tess", "surprised"),
        ("OAF_neutral/OA_bite_neutral.wav", "tess", "neutral"),
        ("wav/03a01Fa.wav", "emodb", "happy"),
        ("16b10Lb.flac", "emodb", "boredom"),
        ("Speaker-8/Sad/S-8-8-18.wav", "iesc", "sad"),
    ],
)
def test_official_names_give_their_label(path, corpus, emotion):
    assert known_label(Path(path)) == KnownLabel(corpus, emotion)


@pytest.mark.parametrize(
    "path",
    [
        "A-1-1-1.wav",  # IESC's names say nothing without their folders
        "Anger/A-1-1-1.wav",
        "LoudSpeaker-1/Anger/A-1-1-1.wav",
        "Speaker-1/anger/A-1-1-1.wav",  # not the release's capitals
        "Speaker-1/Joy/J-1-1-1.wav",
        "Speaker-1/Anger/my A-1-1-1.wav",
        "03a01fa.wav",  # seven digits of some hash
        "03a01Fa copy.wav",
        "x03a01Fa.wav",
        "99a01Fa.wav",  # no such speaker
        "03a03Fa.wav",  # no such sentence
        "2024-03-01-06-02-01-01-02.wav",  # a date and a time
        "03-01-06-02-01-01-00.wav",  # no such actor
        "1000_DFA_ANG_XX.wav",
        "1001_DFA_ANG_XX_denoised.wav",
        "party_angry.wav",
        "LOAF_back_angry.wav",
        "OAF_back_Angry.wav",
        "angry/happy_1.wav",
        "happy.wav",
        "03-01-06-02-01-01-02",
        "notes/1001_DFA_ANG_XX.csv",
        ".wav",
        "-",
        "caf\udce9.wav",
    ],
)
def test_other_names_give_none(path):
    assert known_label(Path(path)) is None


def test_folders_we_stand_in_count(tmp_path, monkeypatch):
    folder = tmp_path / "Speaker-3" / "Happy"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    assert known_label(Path("H-2-3-4.wav")) == KnownLabel("iesc", "happy")


@pytest.mark.parametrize("corpus", PLANTED)
def test_the_demo_corpora_use_official_names(corpus):
    for path, fault in PLANTED[corpus]:
        label = known_label(Path(corpus) / path)
        assert (label is None) == (fault == "unknown name")
        assert label is None or label.corpus == corpus


def test_a_label_is_put_in_the_words_of_the_model():
    assert KnownLabel("ravdess", "calm").among(SEVEN) == "neutral"
    assert KnownLabel("ravdess", "calm").among((*SEVEN, "calm")) == "calm"
    assert KnownLabel("emodb", "boredom").among(SEVEN) is None
    assert KnownLabel("emodb", "boredom").among((*SEVEN, "boredom")) == "boredom"
    assert KnownLabel("tess", "surprised").among(("neutral", "happy", "sad")) is None


def test_importing_costs_no_yaml_or_pandas():
    code = "import sys, ser.known_labels; print({'yaml', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
