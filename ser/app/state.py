"""What the app knows between two clicks: clips, models, an enrolled voice, and every answer already computed.

Answers are kept per browser session, keyed by the audio's hash and the model's, and go when the page is closed. Only the
models themselves are shared between sessions.
"""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import streamlit as st

from ser.app.curves import Envelope
from ser.audio import AudioError, AudioParams
from ser.bundle import BundleError, find_bundle, known_bundles
from ser.errors import SerError
from ser.prediction import Prediction
from ser.predictor import Predictor
from ser.profile import Profile, ProfileError
from ser.recording import Limits, load_clip, open_recording
from ser.timeline import TimelineParams, TimelinePoint, predict_recording, timeline_of

DRAWN_S = 60.0  # of a longer recording, spectrogram and pitch are drawn for the first minute
_N_KEPT = 300  # answers a session; the oldest go first


@dataclass(frozen=True)
class Clip:
    """A file as it was uploaded or recorded."""

    name: str
    data: bytes = field(repr=False)
    sha256: str

    @classmethod
    def of(cls, name: str, data: bytes) -> "Clip":
        """A clip and its hash."""
        return cls(name, data, hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class Model:
    """A loaded bundle; `key` is the hash of its files."""

    name: str
    key: str
    predictor: Predictor = field(repr=False)

    @property
    def synthetic(self) -> bool:
        """Whether it was trained on synthetic demo voices."""
        return bool(self.predictor.description.get("synthetic"))


@dataclass(frozen=True)
class Voice:
    """Clips of one speaker, from whom a model may learn what is usual for that voice."""

    clips: tuple[Clip, ...] = ()

    @property
    def key(self) -> str:
        """Depends on the audio, not on the order of the files."""
        return hashlib.sha256("".join(sorted(clip.sha256 for clip in self.clips)).encode()).hexdigest() if self.clips else ""


@dataclass(frozen=True)
class Sound:
    """What is drawn of a recording."""

    signal: np.ndarray  # (n_samples,), at most the first `DRAWN_S`
    extremes: np.ndarray  # (n_steps, 2), all of it
    duration_s: float
    sampling_rate_hz: int  # of the file
    channels: int


def find_models() -> dict[str, Path]:
    """Bundles that can be chosen, by name, the default first.

    Raises:
        BundleError: there is none; the message says how to get one.
    """
    default = find_bundle(None)
    found: dict[str, Path] = {}
    for folder in (default, *known_bundles()):
        found.setdefault(folder.resolve().name, folder)
    return found


def load_models(folders: dict[str, Path], chosen: Sequence[str]) -> tuple[list[Model], list[str]]:
    """The chosen models, and a sentence for each that cannot be loaded."""
    models, troubles = [], []
    for name in chosen:
        try:
            key = _content_hash(folders[name])
            models.append(Model(name, key, _load_predictor(str(folders[name]), key)))
        except SerError as error:
            troubles.append(str(error))
    return models, troubles


def _content_hash(folder: Path) -> str:
    try:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return _hash_of(tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files))
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read ({error.strerror}); run `dvc repro` again") from None


@lru_cache(maxsize=32)
def _hash_of(files: tuple[tuple[str, int, int], ...]) -> str:
    """Hash of the files' contents, read again only when a size or date has changed."""
    digest = hashlib.sha256()
    for path, size, _ in files:
        digest.update(f"{Path(path).name}:{size}:".encode())
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _load_predictor(folder: str, key: str) -> Predictor:
    return Predictor.load(Path(folder))


def predict(clip: Clip, model: Model, voice: Voice) -> Prediction:
    """The model's answer, computed once.

    Raises:
        AudioError: not usable; the message says why.
    """
    return _predict(clip.sha256, model.key, voice.key, clip, model, voice)


@st.cache_data(scope="session", max_entries=_N_KEPT, show_spinner=False)
def _predict(sha256: str, model_key: str, voice_key: str, _clip: Clip, _model: Model, _voice: Voice) -> Prediction:
    with open_recording(io.BytesIO(_clip.data), _model.predictor.audio, Limits()) as recording:
        return predict_recording(recording, _model.predictor, profile_of(_voice, _model))


def timeline(clip: Clip, model: Model, voice: Voice) -> list[TimelinePoint]:
    """Smoothed probabilities over time, computed once."""
    return _timeline(clip.sha256, model.key, voice.key, clip, model, voice)


@st.cache_data(scope="session", max_entries=_N_KEPT, show_spinner="Following the voice over time")
def _timeline(sha256: str, model_key: str, voice_key: str, _clip: Clip, _model: Model, _voice: Voice) -> list[TimelinePoint]:
    with open_recording(io.BytesIO(_clip.data), _model.predictor.audio, Limits()) as recording:
        return list(timeline_of(recording, _model.predictor, TimelineParams(), profile_of(_voice, _model)))


def read_sound(clip: Clip, params: AudioParams) -> Sound:
    """What is drawn of a clip, read in one pass and in bounded memory."""
    return _read_sound(clip.sha256, params.sampling_rate_hz, clip, params)


@st.cache_data(scope="session", max_entries=20, show_spinner=False)
def _read_sound(sha256: str, rate_hz: int, _clip: Clip, _params: AudioParams) -> Sound:
    n_drawn = round(DRAWN_S * rate_hz)
    envelope, kept, n_samples = Envelope(rate_hz), [], 0
    with open_recording(io.BytesIO(_clip.data), _params, Limits()) as recording:
        for block in recording.blocks():
            kept.append(block[: max(0, n_drawn - n_samples)])
            envelope.add(block)
            n_samples += len(block)
        rate, channels = recording.sampling_rate_hz, recording.channels
    signal = np.concatenate([np.zeros(0, np.float32), *kept])
    return Sound(signal, envelope.finish(), n_samples / rate_hz, rate, channels)


def measures(clip: Clip, model: Model) -> dict[str, float]:
    """Prosodic values of a clip's first minute."""
    return _measures(clip.sha256, model.key, clip, model)


@st.cache_data(scope="session", max_entries=_N_KEPT, show_spinner=False)
def _measures(sha256: str, model_key: str, _clip: Clip, _model: Model) -> dict[str, float]:
    return _model.predictor.measure(read_sound(_clip, _model.predictor.audio).signal)


def make_voice(clips: Sequence[Clip], model: Model) -> tuple[Voice, dict[str, str]]:
    """A voice from the clips that are usable, and for each other one the reason."""
    usable, troubles = [], {}
    for clip in clips:
        try:
            _load(clip, model.predictor.audio)
            usable.append(clip)
        except AudioError as error:
            troubles[clip.name] = str(error)
    return Voice(tuple(usable)), troubles


def profile_of(voice: Voice, model: Model) -> "Profile | None":
    """What a model knows of an enrolled voice; None without one, or for a model that cannot know one."""
    return _profile(voice.key, model.key, voice, model) if voice.clips else None


@st.cache_resource(scope="session", max_entries=16, show_spinner="Getting to know the voice")
def _profile(voice_key: str, model_key: str, _voice: Voice, _model: Model) -> "Profile | None":
    try:
        return _model.predictor.profile([_load(clip, _model.predictor.audio) for clip in _voice.clips])
    except ProfileError:  # the page sees to it that there are clips enough
        return None


def _load(clip: Clip, params: AudioParams) -> np.ndarray:
    return load_clip(io.BytesIO(clip.data), params, Limits(max_duration_s=DRAWN_S))
