"""Learning without labels: two disturbed views of one clip shall resemble each other more than views of other clips.

The network's embedding, through a projection that is dropped afterwards, with the normalised temperature-scaled cross-entropy of
SimCLR (Chen et al., ICML 2020) over crops of one recording (COLA, Saeed et al., ICASSP 2021).
"""

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ser.batches import BatchParams, disturb
from ser.features import Clip, Features
from ser.prefetch import ahead
from ser.training import schedule

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContrastiveParams:
    """How long and how fast it learns."""

    seed: int
    epochs: int
    learning_rate: float
    weight_decay: float
    clips_a_batch: int
    projection: int  # units
    temperature: float


def learn_views(
    model: "keras.Model", clips: list[Clip], features: Features, batches: BatchParams, params: ContrastiveParams
) -> None:
    """Train a network of spectrograms in place, up to its layer `embedding`; what comes after keeps its first values.

    Args:
        model: an uncompiled network with the input `spectrogram`.
        clips: to learn from.
        features: where their spectrograms are.
        batches: how a view is disturbed.
        params: how it learns.
    """
    import keras

    keras.utils.set_random_seed(params.seed)
    x = keras.layers.Dense(params.projection, dtype="float32")(model.get_layer("embedding").output)
    views = keras.Model(model.inputs, keras.layers.UnitNormalization()(x))
    optimizer = keras.optimizers.AdamW(learning_rate=params.learning_rate, weight_decay=params.weight_decay, clipnorm=1.0)
    views.compile(optimizer, lambda names, z: view_loss(names, z, params.temperature), jit_compile=False)
    steps = len(clips) // params.clips_a_batch
    for epoch in range(params.epochs):
        costs = []
        for n, (inputs, names) in enumerate(ahead(_pairs(clips, features, batches, params, epoch))):
            optimizer.learning_rate = params.learning_rate * schedule(epoch * steps + n, params.epochs * steps, 0.1)
            costs.append(float(views.train_on_batch({"spectrogram": inputs}, names)))
        _log.info("views epoch %d/%d: loss %.4f", epoch + 1, params.epochs, np.mean(costs))
    views.compiled, views.optimizer = False, None


def view_loss(names, z, temperature: float):
    """Cross-entropy of finding each view's partner among all others: names (n,), equal in partners; z unit vectors (n, k)."""
    from keras import ops

    names = ops.reshape(names, (-1,))
    itself = ops.eye(ops.shape(z)[0])
    similarity = ops.matmul(z, ops.transpose(z)) / temperature - 1e9 * itself
    partner = ops.cast(names[:, None] == names[None, :], "float32") - itself
    return -ops.sum(partner * ops.log_softmax(similarity, axis=-1), axis=-1)


def _pairs(clips: list[Clip], features: Features, batches: BatchParams, params: ContrastiveParams, epoch: int):
    """Yield (views, number of the clip) of an epoch, two views a clip."""
    random = np.random.default_rng([params.seed, epoch])
    order = random.permutation(len(clips))
    for start in range(0, len(order) - params.clips_a_batch + 1, params.clips_a_batch):
        drawn = order[start : start + params.clips_a_batch]
        views = [disturb(features.get("spectrogram", clips[row]), batches, random) for row in drawn for _ in range(2)]
        yield np.stack(views), np.repeat(drawn, 2).astype(np.float32)
