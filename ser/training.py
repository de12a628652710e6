"""Train a Keras model on batches: schedule, best epoch by validation, and resuming after a kill to the same bits."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ser.batches import Batches
from ser.features import Clip, Features
from ser.files import replacing
from ser.heads import Head, head_losses, with_heads
from ser.inference import predict
from ser.losses import KnownCrossentropy
from ser.prefetch import ahead

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainParams:
    """How long and how fast one model learns.

    By default AdamW (Loshchilov & Hutter, ICLR 2019), with warm-up, then a half cosine. The schedule `plateau` is a constant rate
    that shrinks whenever the validation loss has not fallen for some epochs.
    """

    seed: int
    epochs: int
    patience: int  # epochs without a better validation UAR before stopping
    learning_rate: float
    weight_decay: float
    warmup_share: float  # of all steps
    label_smoothing: float
    average: float  # momentum of the weight average that is evaluated and kept; 0 keeps the weights themselves
    precision: Literal["float32", "mixed_bfloat16"]
    optimizer: Literal["adamw", "adam", "rmsprop"] = "adamw"
    schedule: Literal["cosine", "plateau"] = "cosine"
    plateau_patience: int = 5  # epochs
    plateau_factor: float = 0.5
    heads: dict[str, float] = field(default_factory=dict)  # what else is to be answered, and its weight (ser/heads.py)


@dataclass
class Validation:
    """Rows that choose the epoch, scored per corpus so that no corpus drowns another."""

    rows: pd.DataFrame
    features: Features
    kinds: tuple[str, ...]
    emotions: tuple[str, ...]
    n_frames: int

    def __post_init__(self) -> None:
        """Prepare what every epoch needs."""
        self.clips = [Clip(row.id, row.corpus) for row in self.rows.itertuples()]
        self.truth = np.array([self.emotions.index(emotion) for emotion in self.rows["emotion"]])

    def score(self, model: "keras.Model") -> dict[str, float]:
        """`validation_uar`, the mean over corpora, and `validation_loss`, the mean cross-entropy."""
        scores = predict(model, self.clips, self.features, self.kinds, self.n_frames)
        loss = -np.log(np.maximum(scores[np.arange(len(scores)), self.truth], 1e-7)).mean()
        hit = scores.argmax(axis=1) == self.truth
        recall = pd.DataFrame({"corpus": self.rows["corpus"].to_numpy(), "emotion": self.truth, "hit": hit})
        uar = recall.groupby(["corpus", "emotion"])["hit"].mean().groupby("corpus").mean().mean()
        return {"validation_loss": float(loss), "validation_uar": float(uar)}


def fit(
    model: "keras.Model",
    batches: Batches,
    validation: Validation,
    params: TrainParams,
    resume: Path,
    report: Callable[[int, dict[str, float]], None],
    heads: Sequence[Head] = (),
) -> list[dict[str, float]]:
    """Train in place and leave the model with the weights of its best epoch.

    After every epoch the whole state (weights, optimizer, average, best, history) is written to `resume`, whose name must
    tell this training from any other; a training killed at any moment goes on from there and ends with the same bits.

    Args:
        model: an uncompiled model with softmax output.
        batches: training examples by epoch.
        validation: what chooses the epoch; with no rows the last epoch is kept.
        params: schedule.
        resume: state file, removed by `forget` once the results are safely stored.
        report: called with (epoch, values) after each epoch, and for the epochs already done when resuming.
        heads: what the network is taught to answer besides, and forgets when it is trained.

    Returns:
        One dict an epoch.
    """
    import keras

    total_steps = params.epochs * len(batches)
    optimizer = _optimizer(params)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=params.label_smoothing)
    if batches.params.absent_unknown or batches.params.loss_balance:
        loss = KnownCrossentropy(params.label_smoothing)
    trained = with_heads(model, heads) if heads else model
    losses, weights = head_losses(loss, heads) if heads else (loss, None)
    trained.compile(optimizer, losses, loss_weights=weights, jit_compile=False)  # XLA was slower than oneDNN when tried
    optimizer.build(trained.trainable_variables)
    state = _State(model, trained, params)
    state.restore(resume)
    for row in state.history:
        report(int(row["epoch"]), row)
    for epoch in range(len(state.history) + 1, params.epochs + 1):
        if epoch - state.best_epoch > params.patience:
            break
        costs = []
        plateau_share = rate_after_plateaus(state.history, params)
        for n, (inputs, targets) in enumerate(ahead(batches.epoch(epoch))):
            step = (epoch - 1) * len(batches) + n
            cosine = params.schedule == "cosine"
            share = schedule(step, total_steps, params.warmup_share) if cosine else plateau_share
            optimizer.learning_rate = params.learning_rate * share
            costs.append(float(trained.train_on_batch(inputs, targets, return_dict=True)["loss"]))
            state.update_average()
        row = {"epoch": epoch, "loss": float(np.mean(costs)), "learning_rate": float(optimizer.learning_rate)}
        if len(validation.rows):
            with state.averaged():
                row |= validation.score(model)
        state.end_epoch(row)
        state.save(resume)
        report(epoch, row)
    state.keep_best()
    for network in (model, trained):
        network.compiled, network.optimizer = False, None  # else its moments would be saved too, and triple the archive
    return state.history


def reproducible(seed: int) -> None:
    """Seed Keras, and have TensorFlow take those of its kernels that give the same bits each time."""
    import keras

    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def _optimizer(params: TrainParams) -> "keras.Optimizer":
    import keras

    chosen = {"adamw": keras.optimizers.AdamW, "adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}
    decay = params.weight_decay if params.optimizer == "adamw" else params.weight_decay or None
    return chosen[params.optimizer](learning_rate=params.learning_rate, weight_decay=decay, clipnorm=1.0)


def forget(resume: Path) -> None:
    """Remove the state of a finished training, and those of others that were never finished."""
    shutil.rmtree(resume.parent, ignore_errors=True)


def schedule(step: int, total_steps: int, warmup_share: float) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then half a cosine down to zero."""
    warmup = max(1, round(warmup_share * total_steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, total_steps - warmup))))


def rate_after_plateaus(history: Sequence[Mapping[str, float]], params: TrainParams) -> float:
    """Share of the first learning rate after the epochs so far: smaller by a factor for each plateau of the validation loss."""
    share, best, waited = 1.0, np.inf, 0
    for row in history:
        fell = row.get("validation_loss", -np.inf) < best  # without validation there are no plateaus
        best, waited = (row.get("validation_loss", np.inf), 0) if fell else (best, waited + 1)
        if waited >= params.plateau_patience:
            share, waited = share * params.plateau_factor, 0
    return share


class _State:
    """Everything that one epoch hands to the next."""

    def __init__(self, model: "keras.Model", trained: "keras.Model", params: TrainParams) -> None:
        self.model, self.trained, self.momentum = model, trained, params.average
        self.history: list[dict[str, float]] = []
        self.best_epoch, self.best_score = 0, -np.inf
        self.average = self._weights()
        self.best = self._weights()
        self.steps = 0

    def _weights(self) -> list[np.ndarray]:
        return [np.array(value) for value in self.model.get_weights()]

    def update_average(self) -> None:
        """Exponential average of the weights, with a shorter memory at the start."""
        self.steps += 1
        momentum = min(self.momentum, (1 + self.steps) / (10 + self.steps))
        for kept, now in zip(self.average, self.model.get_weights(), strict=True):
            kept *= momentum
            kept += (1 - momentum) * now

    def averaged(self) -> "_Swapped":
        """Context in which the model has the averaged weights."""
        return _Swapped(self.model, self.average)

    def end_epoch(self, row: dict[str, float]) -> None:
        """Note the epoch; keep its weights if it validated best (ties go to the later one, without validation always)."""
        self.history.append(row)
        score = row.get("validation_uar", float(row["epoch"]))
        if score >= self.best_score:
            self.best_epoch, self.best_score = int(row["epoch"]), score
            self.best = [weight.copy() for weight in self.average]

    def keep_best(self) -> None:
        """Give the model the weights of its best epoch."""
        self.model.set_weights(self.best)

    def _variables(self) -> list[Any]:
        return [*self.trained.variables, *self.trained.optimizer.variables]

    def save(self, path: Path) -> None:
        """Write the state whole or not at all."""
        arrays = {f"variable_{n}": np.asarray(v.numpy() if hasattr(v, "numpy") else v) for n, v in enumerate(self._variables())}
        arrays |= {f"average_{n}": value for n, value in enumerate(self.average)}
        arrays |= {f"best_{n}": value for n, value in enumerate(self.best)}
        note = {"history": self.history, "best_epoch": self.best_epoch, "best_score": self.best_score, "steps": self.steps}
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, note=np.frombuffer(json.dumps(note).encode(), np.uint8), **arrays)

    def restore(self, path: Path) -> None:
        """Go on from a saved state, if there is one."""
        if not path.exists():
            return
        with np.load(path, allow_pickle=False) as stored:
            note = json.loads(stored["note"].tobytes())
            for n, variable in enumerate(self._variables()):
                variable.assign(stored[f"variable_{n}"])
            self.average = [stored[f"average_{n}"] for n in range(len(self.average))]
            self.best = [stored[f"best_{n}"] for n in range(len(self.best))]
        self.history, self.steps = note["history"], note["steps"]
        self.best_epoch, self.best_score = note["best_epoch"], note["best_score"]
        logger.info("going on after epoch %d of a training that was interrupted", len(self.history))


class _Swapped:
    def __init__(self, model: "keras.Model", weights: list[np.ndarray]) -> None:
        self.model, self.weights = model, weights

    def __enter__(self) -> None:
        self.own = self.model.get_weights()
        self.model.set_weights(self.weights)

    def __exit__(self, *_: object) -> None:
        self.model.set_weights(self.own)
