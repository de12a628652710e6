"""Stored features through a trained model to emotion probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser.features import Clip, Features
from ser.speaker import EnrolledFeatures
from ser.trained import load_description, load_model, weights_file
from ser.windows import windows

if TYPE_CHECKING:
    import keras

    from ser.trained import FittedModel

_WINDOWS_A_BATCH = 128


@dataclass(frozen=True)
class Enrolment:
    """How many unlabelled clips of a speaker are known when enrolment is judged."""

    clips: int
    seed: int


class Scorer:
    """A trained model over stored features."""

    def __init__(self, model_dir: Path, features_dir: Path) -> None:
        """Load the model; TrainedModelError if it cannot be read."""
        self.description = load_description(model_dir)
        self.model = load_model(model_dir)
        self.features = Features(features_dir)
        self.size = {"parameters": self.model.count_params(), "size_bytes": weights_file(model_dir).stat().st_size}

    @property
    def can_enrol(self) -> bool:
        """Whether the model takes what is known of a speaker."""
        return "speaker" in [tensor.name for tensor in self.model.inputs]

    def probabilities(
        self, clips: Sequence[Clip], speakers: Sequence[str] = (), enrolment: Enrolment | None = None
    ) -> np.ndarray:
        """Probabilities of stored utterances, shape (n, n_emotions), in the order of the model's emotions.

        Args:
            clips: utterances.
            speakers: of each, needed for an enrolment.
            enrolment: None is the headline: nothing is known of the speaker.
        """
        features: Features | EnrolledFeatures = self.features
        if enrolment is not None:
            features = EnrolledFeatures(features, clips, speakers, n_clips=enrolment.clips, seed=enrolment.seed)
        kinds = [tensor.name for tensor in self.model.inputs]
        return predict(self.model, clips, features, kinds, self.description["n_frames"])


def predict(
    model: "keras.Model | FittedModel",
    clips: Sequence[Clip],
    features: "Features | EnrolledFeatures",
    kinds: Sequence[str],
    n_frames: int,
) -> np.ndarray:
    """Probabilities of clips, shape (n, n_emotions): the mean over each clip's windows.

    Every window has `n_frames` frames, so a clip's answer does not depend on what else is in its batch.
    """
    total: np.ndarray | None = None
    counts = np.zeros(len(clips))
    for owners, inputs in _batches(clips, features, kinds, n_frames):
        output = np.asarray(model.predict_on_batch(inputs), np.float32)[: len(owners)]
        if total is None:
            total = np.zeros((len(clips), output.shape[1]))
        np.add.at(total, owners, output)
        np.add.at(counts, owners, 1)
    if total is None:
        raise ValueError("no clips to predict")
    return total / counts[:, None]


def _batches(
    clips: Sequence[Clip], features: "Features | EnrolledFeatures", kinds: Sequence[str], n_frames: int
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Windows of all clips in batches of one fixed size; the last is filled up by repeating its first window."""
    examples = ((owner, example) for owner, clip in enumerate(clips) for example in _examples(clip, features, kinds, n_frames))
    while batch := list(islice(examples, _WINDOWS_A_BATCH)):
        owners = np.array([owner for owner, _ in batch])
        rows = [example for _, example in batch] + [batch[0][1]] * (_WINDOWS_A_BATCH - len(batch))
        yield owners, {kind: np.stack([row[kind] for row in rows]) for kind in kinds}


def _examples(
    clip: Clip, features: "Features | EnrolledFeatures", kinds: Sequence[str], n_frames: int
) -> list[dict[str, np.ndarray]]:
    fixed = {kind: features.get(kind, clip) for kind in kinds if kind != "spectrogram"}
    if "spectrogram" not in kinds:
        return [fixed]
    return [{**fixed, "spectrogram": window} for window in windows(features.get("spectrogram", clip), n_frames)]
