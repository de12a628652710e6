"""A model that needs no training, and clips for it: the length of a clip decides what it hears."""

import json

import numpy as np
import soundfile

from ser.audio import AudioParams
from ser.prediction import Prediction
from ser.profile import Profile, ProfileError

EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised")
RATE_HZ = 16000
DESCRIPTION = {
    "model": "cnn",
    "corpora": ["emodb", "tess"],
    "synthetic": False,
    "n_parameters": 1234567,
    "split_sha256": "ab" * 32,
    "created": "2026-11-20",
    "commit": "0123456789abcdef",
    "calibration": {"temperature": 1.25, "unsure_below": 0.5},
    "licences": {"emodb": "CC0", "tess": "CC BY-NC-ND 4.0"},
    "limits": ["Acted speech only."],
    "metrics": {
        "test": {
            "per_corpus": {"emodb": {"uar": 0.781, "uar_low": 0.741, "uar_high": 0.812, "n": 78, "n_speakers": 2}},
            "mean_of_corpora": {"uar": 0.609},
        }
    },
}


class FakePredictor:
    """Hears emotion number n in a clip of n tenths of a second more than half a second; from 1.2 s on it is unsure."""

    emotions = EMOTIONS
    audio = AudioParams(RATE_HZ, 0.2, 0.0005)

    def __init__(self, folder, threads=1):
        self.folder, self.threads = folder, threads
        self.description = DESCRIPTION | json.loads((folder / "bundle.json").read_text())
        self.name = self.description["model"]
        self.prosody_columns = ("f0_mean",)

    def predict(self, signal, profile=None):
        tenths = round((len(signal) / RATE_HZ - 0.5) * 10)
        heard = (tenths + (1 if profile else 0) + self.description.get("shift", 0)) % len(EMOTIONS)
        highest = 0.4 if tenths >= 7 else 0.7
        probabilities = np.full(len(EMOTIONS), (1 - highest) / (len(EMOTIONS) - 1))
        probabilities[heard] = highest
        return Prediction(EMOTIONS, probabilities, 0.5, len(signal) / RATE_HZ)

    def predict_batch(self, signals, profile=None):
        return [self.predict(signal, profile) for signal in signals]

    def profile(self, signals):
        if len(signals) < 3:
            raise ProfileError(f"{len(signals)} clips of the speaker, at least 3 are needed; record some more")
        return Profile(np.array([len(signals[0]) / RATE_HZ], np.float32), len(signals), self.prosody_columns)


def make_model(folder, **description):
    """A bundle's folder, as far as finding it goes; `description` overrides what the model says of itself."""
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text(json.dumps(description))
    return folder


def tone(seconds):
    """Something to hear: float32, shape (n_samples,)."""
    return (0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def make_clip(path, heard="neutral", seconds=None):
    """A tone in which the fake model hears an emotion, or one of a given length."""
    path.parent.mkdir(parents=True, exist_ok=True)
    length_s = 0.5 + EMOTIONS.index(heard) / 10 if seconds is None else seconds
    with open(path, "wb") as file:
        soundfile.write(file, tone(length_s), RATE_HZ, format="WAV", subtype="PCM_16")
    return path
