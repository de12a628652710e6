"""From a signal to emotion probabilities with a bundle alone: neither TensorFlow nor Keras is imported.

librosa is, by the models that read its descriptors, and by no others; so are torch and transformers, by those that read
embeddings of a Hugging Face encoder.
"""

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.audio import AudioError, AudioParams
from ser.bundle import GRAPH, BundleError, read_bundle
from ser.calibration import Calibration
from ser.descriptors import NAME as DESCRIPTORS
from ser.descriptors import Descriptors, DescriptorsError
from ser.encoder_files import EncoderError
from ser.heap import keep_freed_memory
from ser.onnx_errors import onnx_errors
from ser.prediction import Prediction
from ser.pretrained import NAME as PRETRAINED
from ser.pretrained import Pretrained
from ser.profile import FEWEST_CLIPS, Profile, ProfileError
from ser.prosodic_frontend import ProsodicFrontEnd
from ser.prosody import Prosody
from ser.speaker import speaker_mean
from ser.spectrogram import Spectrogram
from ser.windows import window_starts, windows

if TYPE_CHECKING:
    import onnxruntime

_FRONT_ENDS: dict[str, type[Descriptors] | type[Pretrained]] = {DESCRIPTORS: Descriptors, PRETRAINED: Pretrained}


class Predictor:
    """A bundle in memory; its methods may be called from several threads at once."""

    def __init__(self, folder: Path, description: dict[str, Any], session: "onnxruntime.InferenceSession") -> None:
        """Use `Predictor.load`."""
        self.folder, self.description, self._session = folder, description, session
        self.name: str = description["model"]
        self.emotions: tuple[str, ...] = tuple(description["emotions"])
        self.audio = AudioParams(**description["audio"])
        calibration = description["calibration"]
        self.calibration = Calibration(calibration["temperature"], calibration["unsure_below"])
        self._outputs = [output.name for output in session.get_outputs()]
        inputs = description["inputs"]
        fields = inputs["spectrogram"]["fields"] if "spectrogram" in inputs else None
        self._spectrogram = Spectrogram(**_tuples(fields)) if fields else None
        self._prosody = ProsodicFrontEnd.from_fields(inputs["prosody"]["fields"]) if "prosody" in inputs else None
        kinds = sorted(set(inputs) - {"spectrogram", "prosody"})
        self._sets = {kind: _FRONT_ENDS[inputs[kind]["name"]].from_fields(inputs[kind]["fields"]) for kind in kinds}
        self._require_what_the_sets_need()
        self._reads = {tensor.name for tensor in session.get_inputs()}
        if self._reads - {"speaker"} != set(inputs):
            raise ValueError("the graph reads other inputs than the description says")

    @classmethod
    def load(cls, folder: Path, threads: int = 1) -> "Predictor":
        """Check a bundle and make it ready.

        Args:
            folder: of the bundle.
            threads: that one prediction may use; several predictions at once use as many each.

        Raises:
            BundleError: the bundle is damaged, foreign or older, or needs librosa or an encoder that is not here.
        """
        import onnxruntime

        keep_freed_memory()
        description = read_bundle(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession((folder / GRAPH).read_bytes(), options, providers=["CPUExecutionProvider"])
            return cls(folder, description, session)
        except (OSError, RuntimeError, KeyError, TypeError, ValueError, DescriptorsError, EncoderError, *onnx_errors()) as error:
            reason = f"{type(error).__name__}"
            raise BundleError(f"{folder}: does not load ({reason}); make the bundle again with `dvc repro`") from None

    def _require_what_the_sets_need(self) -> None:
        for front_end in self._sets.values():
            if isinstance(front_end, Descriptors) and find_spec("librosa") is None:
                raise BundleError(
                    f"{self.folder}: model '{self.name}' measures with librosa, which is not here; pip install 'ser[pipeline]'"
                )
            if isinstance(front_end, Pretrained):
                try:
                    front_end.load()
                except EncoderError as error:
                    raise BundleError(f"{self.folder}: model '{self.name}' needs a pretrained encoder. {error}") from None

    @property
    def _knows_nobody(self) -> str:
        return f"model '{self.name}' cannot know a voice; take the hybrid"

    @property
    def prosody_columns(self) -> tuple[str, ...]:
        """Names of the prosodic measures; empty for a model that reads none."""
        return self._prosody.names if self._prosody else ()

    @cached_property
    def _display_prosody(self) -> Prosody:
        """Praat's measures for people to read, also for a model that does not use them."""
        return self._prosody.prosody if self._prosody else Prosody(**self.description["display_prosody"])

    def predict(self, signal: np.ndarray, profile: Profile | None = None) -> Prediction:
        """Emotion of one clip.

        Args:
            signal: mono float32 (n_samples,) at `audio.sampling_rate_hz`, as `ser.recording` and `ser.audio` give it.
            profile: of the speaker, if known.

        Raises:
            AudioError: too short or silent.
            ProfileError: a profile for a model that reads no prosody.
        """
        self._require_speech(signal)
        frames, first = self._frames(signal)
        results = self._run(self._inputs(frames, signal, profile))
        probabilities = self.calibration(results["emotion"].astype(np.float64).mean(axis=0))
        times, attention = self._attention(results.get("attention"), len(frames), first)
        return Prediction(
            self.emotions,
            probabilities,
            self.calibration.unsure_below,
            len(signal) / self.audio.sampling_rate_hz,
            times,
            attention,
        )

    def predict_batch(self, signals: Sequence[np.ndarray], profile: Profile | None = None) -> list[Prediction]:
        """`predict` of each signal; a clip's answer does not depend on what it came with."""
        return [self.predict(signal, profile) for signal in signals]

    def features(self, signal: np.ndarray, profile: Profile | None = None) -> dict[str, np.ndarray]:
        """What the graph reads: float32 by input name, windows on the first axis.

        The values are those that the pipeline's stages store, to the bit.
        """
        return self._inputs(self._frames(signal)[0], signal, profile)

    def _frames(self, signal: np.ndarray) -> tuple[np.ndarray, int]:
        """Spectrogram as stored, (n_frames, n_bands), and how many frames of silence were cut before it."""
        if self._spectrogram is None:
            return np.zeros((0, 0), np.float32), 0
        frames, first = self._spectrogram.trimmed(signal)
        return frames.astype(np.float16).astype(np.float32), first  # the stage stores half precision

    def _inputs(self, frames: np.ndarray, signal: np.ndarray, profile: Profile | None) -> dict[str, np.ndarray]:
        inputs = {"spectrogram": windows(frames, self.description["n_frames"])} if self._spectrogram else {}
        n_windows = len(inputs["spectrogram"]) if inputs else 1
        if self._prosody:
            inputs["prosody"] = np.repeat(self._prosody(signal), n_windows, axis=0)
        for kind, front_end in self._sets.items():
            inputs[kind] = np.repeat(self._row(front_end, signal), n_windows, axis=0)
        if "speaker" in self._reads:
            mean = np.full(len(self.prosody_columns), np.nan, np.float32) if profile is None else profile.mean
            inputs["speaker"] = np.repeat(mean[np.newaxis], n_windows, axis=0)
        elif profile is not None:
            raise ProfileError(self._knows_nobody)
        return inputs

    def _row(self, front_end: Descriptors | Pretrained, signal: np.ndarray) -> np.ndarray:
        """A feature set of one clip with the batch axis first: (1, n_columns) or (1, n_frames, n_columns)."""
        values = front_end(signal, self.audio.sampling_rate_hz)
        return values[np.newaxis] if isinstance(front_end, Descriptors) and front_end.n_frames else values

    def measure(self, signal: np.ndarray) -> dict[str, float]:
        """Pitch, level, formants, voice quality and rhythm by name, for display; NaN where undefined."""
        return self._display_prosody.measure(signal)

    def profile(self, signals: Sequence[np.ndarray]) -> Profile:
        """Know a voice from a few clips, labels unseen.

        Raises:
            ProfileError: too few clips, or a model that reads no prosody.
            AudioError: a clip is too short or silent.
        """
        if "speaker" not in self._reads or not self._prosody:
            raise ProfileError(self._knows_nobody)
        if len(signals) < FEWEST_CLIPS:
            raise ProfileError(f"{len(signals)} clips of the speaker, at least {FEWEST_CLIPS} are needed; record some more")
        for signal in signals:
            self._require_speech(signal)
        rows = np.stack([self._prosody(signal)[0] for signal in signals])
        return Profile(speaker_mean(rows), len(rows), self.prosody_columns)

    def _require_speech(self, signal: np.ndarray) -> None:
        duration_s = len(signal) / self.audio.sampling_rate_hz
        if duration_s < self.audio.minimum_s:
            raise AudioError(f"too short: {duration_s:.2f} s of audio, at least {self.audio.minimum_s} s are needed")
        if np.abs(signal).max() < self.audio.silence_peak:
            raise AudioError(f"silent: peak below {self.audio.silence_peak}")

    def _run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))

    def _attention(self, weights: np.ndarray | None, n_frames: int, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Attention of all windows on one time axis: middles of steps in seconds, and weights that sum to one."""
        if weights is None or self._spectrogram is None:
            return np.zeros(0), np.zeros(0)
        width = self.description["n_frames"]
        weights = weights.reshape(len(weights), -1)  # (n_windows, n_steps)
        frames_a_step = width / weights.shape[1]
        total = np.zeros(int(np.ceil(n_frames / frames_a_step)))
        middles = (np.arange(weights.shape[1]) + 0.5) * frames_a_step
        for start, window in zip(window_starts(n_frames, width), weights, strict=True):
            places = ((start + middles) / frames_a_step).astype(int)
            inside = places < len(total)
            np.add.at(total, places[inside], window[inside])
        edges = np.minimum(np.arange(len(total) + 1) * frames_a_step, n_frames)  # the last step may end in padding
        frames = (edges[:-1] + edges[1:] - 1) / 2  # a frame's time is its middle, which for the first is 0
        return (first + frames) * self._spectrogram.hop_s, total / max(total.sum(), 1e-12)


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
