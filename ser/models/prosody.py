"""A small dense network over prosody and functionals alone: what the numbers tell without the spectrogram."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops

from ser.layers import SecondOpinion, Standardization, prosodic_branch

INPUTS = ("prosody", "speaker")


@dataclass(frozen=True)
class Params:
    """Sizes of the network."""

    units: tuple[int, ...]
    dropout: float
    discriminant: float = 0.0  # weight of a linear discriminant's opinion beside the network's; 0: without


def fit(rows: np.ndarray, labels: np.ndarray, params: Params, seed: int) -> dict[str, np.ndarray]:
    """Linear discriminant functions of the columns, all emotions equally probable, nothing if the parameters ask for none.

    The common covariance is shrunk towards a multiple of the identity (Ledoit & Wolf, J. Multivariate Analysis 2004): there are
    about as many columns as a small corpus has clips. What is undefined counts as the mean.

    Args:
        rows: of the training clips, (n, 1, columns) or (n, columns).
        labels: codes of their emotions, (n,).
        params: whether a discriminant is wanted.
        seed: not used.

    Returns:
        `mean` and `deviation` (columns,), `weights` (columns, n_labels), `bias` and `codes` (n_labels,).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    if not params.discriminant:
        return {}
    rows = rows.reshape(len(rows), -1)
    mean, deviation = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    codes = np.unique(labels)
    scaled = ops.convert_to_numpy(_scale(mean, deviation)(rows)).astype(np.float64)
    equal = np.full(len(codes), 1 / len(codes))
    fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=equal).fit(scaled, labels)
    functions = fitted.coef_, fitted.intercept_
    if len(codes) == 2:  # of which one is given, the difference
        functions = [np.stack([-values[0] / 2, values[0] / 2]) for values in functions]
    return {"mean": mean, "deviation": deviation, "weights": functions[0].T, "bias": functions[1], "codes": codes}


def build(
    shapes: dict[str, tuple[int | None, ...]], n_emotions: int, params: Params, fitted: dict[str, np.ndarray] | None = None
) -> keras.Model:
    """Prosody and its mean for the speaker (batch, columns), NaN where undefined, to emotion probabilities (batch, n_emotions).

    Args:
        shapes: shape of each input without the batch axis.
        n_emotions: width of the softmax.
        params: sizes.
        fitted: what `fit` gave; nothing for a network alone.
    """
    prosody = keras.Input(shapes["prosody"], name="prosody")
    speaker = keras.Input(shapes["speaker"], name="speaker")
    x = prosodic_branch(prosody, speaker, params.units, params.dropout)
    x = layers.Activation("linear", name="embedding")(x)
    if not fitted:
        emotion = layers.Dense(n_emotions, activation="softmax", dtype="float32", name="emotion")(x)
        return keras.Model({"prosody": prosody, "speaker": speaker}, emotion, name="prosody")
    own = layers.Dense(n_emotions, dtype="float32", name="logits")(x)
    both = SecondOpinion(dtype="float32", name="product")([own, _discriminant(prosody, n_emotions, params, fitted)])
    emotion = layers.Activation("softmax", dtype="float32", name="emotion")(both)
    return keras.Model({"prosody": prosody, "speaker": speaker}, emotion, name="prosody")


def _discriminant(prosody, n_emotions: int, params: Params, fitted: dict[str, np.ndarray]):
    """Weighted discriminant functions, (batch, n_emotions); an emotion without training clips is very improbable."""
    functions = layers.Dense(n_emotions, trainable=False, dtype="float32", name="discriminant")
    output = functions(_scale(fitted["mean"], fitted["deviation"])(prosody))
    weights, bias = np.zeros((len(fitted["mean"]), n_emotions)), np.full(n_emotions, -20.0)
    weights[:, fitted["codes"]] = params.discriminant * fitted["weights"]
    bias[fitted["codes"]] = params.discriminant * fitted["bias"]
    functions.set_weights([weights, bias])
    return output


def _scale(mean: np.ndarray, deviation: np.ndarray) -> Standardization:
    scale = Standardization(name="standardise_discriminant", trainable=False)
    scale.build((None, len(mean)))
    scale.set_statistics(mean, deviation)
    return scale
