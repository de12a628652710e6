"""What a network is taught to answer beside the emotion, and forgets when it is trained: sex, arousal, corpus and the like.

A head of negative weight is an adversary: it learns to answer, and the layers below learn to leave it nothing to answer from
(gradient reversal, Ganin et al., JMLR 2016).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser.errors import SerError

if TYPE_CHECKING:
    import keras

# After the circumplex of Russell (J. Personality and Social Psychology 1980); what lies near an axis' middle is left out.
_OF_EMOTION = {
    "arousal": {
        "low": ("neutral", "calm", "sad", "boredom"),
        "high": ("happy", "angry", "fear", "surprised"),
    },
    "valence": {
        "negative": ("sad", "angry", "fear", "disgust", "boredom"),
        "neutral": ("neutral", "calm"),
        "positive": ("happy",),
    },
}
_COLUMNS = ("corpus", "speaker", "sex", "intensity")
KNOWN = (*_COLUMNS, *_OF_EMOTION)


class HeadError(SerError):
    """What is to be answered is not known, or not of these clips."""


@dataclass(frozen=True, eq=False)
class Head:
    """One further answer."""

    name: str
    weight: float  # of its loss beside the emotion's 1; negative for an adversary
    targets: np.ndarray  # (n_rows, n_answers), all zero where a clip's answer is not known


def make_heads(rows: pd.DataFrame, weights: Mapping[str, float]) -> tuple[Head, ...]:
    """Targets of each head for the training rows.

    Args:
        rows: columns emotion, and whatever a head is about.
        weights: by head, of `KNOWN`.

    Raises:
        HeadError: an unknown head, or one that no two of these clips tell apart.
    """
    return tuple(Head(name, weight, _targets(rows, name)) for name, weight in weights.items())


def _targets(rows: pd.DataFrame, name: str) -> np.ndarray:
    if name not in KNOWN:
        raise HeadError(f"training.heads: no head '{name}'; known are {', '.join(KNOWN)}")
    if name in _OF_EMOTION:
        answer = {emotion: group for group, members in _OF_EMOTION[name].items() for emotion in members}
        answers = rows["emotion"].map(answer)
    elif name in rows:
        answers = rows[name].replace({"": None, "unknown": None})
    else:
        raise HeadError(f"training.heads: the table of clips has no column '{name}'; leave that head out")
    codes = pd.Categorical(answers)
    if len(codes.categories) < 2:
        raise HeadError(f"training.heads: all clips have the same {name}; leave that head out")
    one_hot = np.eye(len(codes.categories), dtype=np.float32)[codes.codes]
    return np.where(codes.isna()[:, None], np.float32(0), one_hot)


def with_heads(model: "keras.Model", heads: Sequence[Head]) -> "keras.Model":
    """The same layers, answering by name: `emotion` as the model does, and each head from its layer `embedding`.

    Raises:
        HeadError: there is no such layer, as in a network made of others.
    """
    import keras

    if "embedding" not in {layer.name for layer in model.layers}:
        raise HeadError(f"training.heads: the network {model.name} has no layer 'embedding' to answer from; leave its heads out")
    embedding = model.get_layer("embedding").output
    outputs = {"emotion": model.output}
    for head in heads:
        x = _reversed(embedding) if head.weight < 0 else embedding
        outputs[head.name] = keras.layers.Dense(
            head.targets.shape[1], activation="softmax", dtype="float32", name=f"head_{head.name}"
        )(x)
    return keras.Model(model.inputs, outputs, name=f"{model.name}_with_heads")


def head_losses(emotion: "keras.losses.Loss", heads: Sequence[Head]) -> tuple[dict[str, Any], dict[str, float]]:
    """Losses and their weights by output; an adversary's weight is positive here, since its layer turns the gradient."""
    from ser.losses import KnownCrossentropy  # whose gradient is nought too where no answer is known

    losses = {"emotion": emotion} | {head.name: KnownCrossentropy(0.0) for head in heads}
    return losses, {"emotion": 1.0} | {head.name: abs(head.weight) for head in heads}


def _reversed(x: Any) -> Any:
    """The same values, with the gradient's sign turned."""
    from keras import ops

    return ops.stop_gradient(2 * x) - x
