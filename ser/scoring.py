"""Scores of a classifier from true emotions and probabilities: pure functions, no files, no intervals.

`truth` and `predicted` are integer codes into the emotion order of the model, shape (n_clips,); `probabilities` has shape
(n_clips, n_emotions). Count matrices have the truth in rows and may carry leading axes, so that one call scores a thousand
bootstrap draws. An emotion without a true clip never enters a mean: its recall is undefined, not zero.
"""

import numpy as np

ECE_BINS = 15  # Guo et al., "On calibration of modern neural networks", ICML 2017, section 4
PROBABILITY_FLOOR = 1e-6  # predictions are stored with six decimals: log-loss cannot see below that


def confusion(truth: np.ndarray, predicted: np.ndarray, n_emotions: int) -> np.ndarray:
    """Counts of shape (n_emotions, n_emotions), truth in rows."""
    return np.bincount(truth * n_emotions + predicted, minlength=n_emotions**2).reshape(n_emotions, n_emotions)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of their row; each row sums to one, the row of an absent emotion is all NaN."""
    support = counts.sum(axis=-1, keepdims=True)
    return np.divide(counts, support, out=np.full(counts.shape, np.nan), where=support > 0)


def recalls(counts: np.ndarray) -> np.ndarray:
    """Recall of each emotion, shape (..., n_emotions); NaN where the truth has none."""
    return np.diagonal(row_shares(counts), axis1=-2, axis2=-1)


def f1_scores(counts: np.ndarray) -> np.ndarray:
    """F1 of each emotion, shape (..., n_emotions); NaN where the truth has none."""
    support = counts.sum(axis=-1)
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    both = support + counts.sum(axis=-2)
    return np.divide(2.0 * hits, both, out=np.full(hits.shape, np.nan), where=support > 0)


def uar(counts: np.ndarray) -> np.ndarray:
    """Unweighted average recall over the emotions that the truth has, shape (...)."""
    return np.nanmean(recalls(counts), axis=-1)


def accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of clips on the diagonal (the field's WAR), shape (...)."""
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def macro_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 over the emotions that the truth has, shape (...)."""
    return np.nanmean(f1_scores(counts), axis=-1)


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """F1 weighted by how many clips each emotion has, shape (...)."""
    support = counts.sum(axis=-1)
    return np.nansum(f1_scores(counts) * support, axis=-1) / support.sum(axis=-1)


def roc_points(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates at every distinct threshold, from (0, 0) to (1, 1).

    Args:
        positive: (n_clips,) bool, with at least one of each outcome.
        score: (n_clips,), higher means more likely positive; equal scores share one threshold.
    """
    order = np.argsort(-score, kind="stable")
    last_of_its_score = np.append(np.diff(score[order]) != 0, True)
    true = np.cumsum(positive[order])[last_of_its_score]
    false = np.cumsum(~positive[order])[last_of_its_score]
    return np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])


def roc_auc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean one-vs-rest area under the ROC curve over the emotions that the truth has; NaN if it has one alone."""
    areas = []
    for code in np.unique(truth):
        positive = truth == code
        if not positive.all():
            false_rate, true_rate = roc_points(positive, probabilities[:, code])
            areas.append(np.trapezoid(true_rate, false_rate))
    return float(np.mean(areas)) if areas else float("nan")


def log_loss(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative logarithm (base e) of the probability given to the truth."""
    given = probabilities[np.arange(len(truth)), truth]
    return float(-np.log(np.clip(given, PROBABILITY_FLOOR, 1.0)).mean())


def reliability(truth: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean confidence, accuracy and clip count in equal-width bins of the top probability, each (ECE_BINS,); NaN if empty."""
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)
    count = np.bincount(bins, minlength=ECE_BINS)
    sums = (np.bincount(bins, weights=values, minlength=ECE_BINS) for values in (confidence, correct))
    means = [np.divide(total, count, out=np.full(ECE_BINS, np.nan), where=count > 0) for total in sums]
    return means[0], means[1], count


def ece(truth: np.ndarray, probabilities: np.ndarray) -> float:
    """Expected calibration error: distance of accuracy from confidence, weighted by clips (Guo et al. 2017, equation 3)."""
    confidence, right, count = reliability(truth, probabilities)
    return float(np.nansum(np.abs(confidence - right) * count) / count.sum())


def closed(probabilities: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Probabilities given that only the `possible` emotions occur.

    A corpus without `surprised` cannot be asked for it: closed scores compare with publications on that corpus alone.

    Args:
        probabilities: (n_clips, n_emotions).
        possible: (n_emotions,) or (n_clips, n_emotions) bool. A clip whose possible emotions all got zero is spread evenly.
    """
    kept = np.where(possible, probabilities, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    even = np.broadcast_to(possible, kept.shape) / np.broadcast_to(possible, kept.shape).sum(axis=1, keepdims=True)
    return np.divide(kept, total, out=even, where=total > 0)
