"""Start a network from the weights of one that was trained on other clips, and maybe on other emotions."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser.errors import SerError
from ser.trained import load_description, load_model

if TYPE_CHECKING:
    import keras

_log = logging.getLogger(__name__)


class TransferError(SerError):
    """The trained model is of another architecture or of other sizes."""


def take_over(model: "keras.Model", emotions: Sequence[str], source: Path) -> None:
    """Copy every layer's weights; of the last dense layer the columns of the emotions that both tell apart.

    Networks that the model is built on keep the weights they came with, and frozen layers what was fitted on the new clips. What
    only `model` tells apart keeps its first values.

    Args:
        model: a network as built, changed in place.
        emotions: of the model, in the order of its outputs.
        source: folder of the trained model.

    Raises:
        TransferError: another architecture, or other sizes.
        ser.trained.TrainedModelError: the source cannot be read.
    """
    import keras

    trained, known = load_model(source), load_description(source)["emotions"]
    ours, theirs = ([layer for layer in network.layers if layer.weights and layer.trainable] for network in (model, trained))
    if [type(layer) for layer in ours] != [type(layer) for layer in theirs]:
        raise TransferError(f"{source}: another architecture than {model.name}; start from a model of the same name")
    last = [layer for layer in ours if isinstance(layer, keras.layers.Dense)][-1]
    shared = [emotion for emotion in emotions if emotion in known]
    to, of = [list(emotions).index(emotion) for emotion in shared], [known.index(emotion) for emotion in shared]
    for layer, other in zip(ours, theirs, strict=True):
        if isinstance(layer, keras.Model):
            continue
        weights = other.get_weights()
        if layer is last:
            columns = layer.get_weights()
            for values, learned in zip(columns, weights, strict=True):
                values[..., to] = learned[..., of]
            weights = columns
        try:
            layer.set_weights(weights)
        except ValueError:
            raise TransferError(f"{source}: its layer {other.name} is of another size; train both alike") from None
    _log.info("started from %s, which knows %d of %d emotions", source, len(shared), len(emotions))
