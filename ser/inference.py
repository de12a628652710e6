"""Stored features through a trained model to emotion probabilities."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser.bundle import load_description, load_model
from ser.features import Clip, Features, windows

if TYPE_CHECKING:
    import keras

_WINDOWS_A_BATCH = 128


def probabilities(model_dir: Path, features_dir: Path, ids: Sequence[str], corpora: Sequence[str]) -> np.ndarray:
    """Probabilities of stored utterances, shape (n, n_emotions), in the order of the bundle's emotions.

    Args:
        model_dir: a trained bundle.
        features_dir: folder of the feature stores.
        ids: utterances.
        corpora: corpus of each.
    """
    description = load_description(model_dir)
    clips = [Clip(name, corpus) for name, corpus in zip(ids, corpora, strict=True)]
    return predict(load_model(model_dir), clips, Features(features_dir), list(description["inputs"]), description["n_frames"])


def predict(
    model: "keras.Model", clips: Sequence[Clip], features: Features, kinds: Sequence[str], n_frames: int
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
    clips: Sequence[Clip], features: Features, kinds: Sequence[str], n_frames: int
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Windows of all clips in batches of one fixed size; the last is filled up by repeating its first window."""
    examples = ((owner, example) for owner, clip in enumerate(clips) for example in _examples(clip, features, kinds, n_frames))
    while batch := list(islice(examples, _WINDOWS_A_BATCH)):
        owners = np.array([owner for owner, _ in batch])
        rows = [example for _, example in batch] + [batch[0][1]] * (_WINDOWS_A_BATCH - len(batch))
        yield owners, {kind: np.stack([row[kind] for row in rows]) for kind in kinds}


def _examples(clip: Clip, features: Features, kinds: Sequence[str], n_frames: int) -> list[dict[str, np.ndarray]]:
    fixed = {kind: features.get(kind, clip) for kind in kinds if kind != "spectrogram"}
    if "spectrogram" not in kinds:
        return [fixed]
    return [{**fixed, "spectrogram": window} for window in windows(features.get("spectrogram", clip), n_frames)]
