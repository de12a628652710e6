"""Losses that Keras lacks."""

import keras
from keras import ops


class KnownCrossentropy(keras.losses.Loss):
    """Cross-entropy over the emotions that an example's corpus holds; others, NaN in its targets, are neither right nor wrong.

    So a corpus without surprise does not teach that nobody is surprised. Targets and probabilities are (batch, n_emotions).

    An example counts as much as its targets sum to. Keras' own loss would not do for that: where the probabilities come from a
    softmax it asks TensorFlow for the gradient in the logits, which holds for targets that sum to one alone.
    """

    def __init__(self, label_smoothing: float, **kwargs) -> None:
        """Take what share of a target is spread evenly over the known emotions."""
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        """Loss of each example, (batch,)."""
        known = ops.cast(ops.logical_not(ops.isnan(y_true)), "float32")
        targets = ops.where(ops.isnan(y_true), ops.zeros_like(y_true), y_true)
        share = self.label_smoothing
        even = ops.sum(targets, axis=-1, keepdims=True) * known / ops.sum(known, axis=-1, keepdims=True)
        targets = (1 - share) * targets + share * even
        probabilities = y_pred * known
        probabilities = probabilities / ops.maximum(ops.sum(probabilities, axis=-1, keepdims=True), 1e-7)
        return -ops.sum(targets * ops.log(ops.maximum(probabilities, 1e-7)), axis=-1)
