"""Mean and deviation of the training features, gathered clip by clip."""

from collections.abc import Iterable

import numpy as np


def column_statistics(arrays: Iterable[np.ndarray], *, level_free: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the last axis over all defined values, in float64, one array in memory at a time.

    Args:
        arrays: arrays of shape (..., n_columns); NaN is undefined and left out.
        level_free: remove each array's own mean first, as `Standardization(level_free=True)` will.
    """
    count = total = squares = 0.0
    for array in arrays:
        values = array.reshape(-1, array.shape[-1]).astype(np.float64)
        if level_free:
            values -= np.nanmean(values)
        defined = ~np.isnan(values)
        values = np.where(defined, values, 0.0)
        count = count + defined.sum(axis=0)
        total = total + values.sum(axis=0)
        squares = squares + (values**2).sum(axis=0)
    mean = total / np.maximum(count, 1)
    return mean, np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0.0))
