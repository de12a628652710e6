"""Target distributions other than the labels: what a crowd heard, or what another model answers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ser.errors import SerError
from ser.files import read_csv, write_csv


class SoftTargetError(SerError):
    """The table has no such distributions."""


def read_soft(path: Path, emotions: Sequence[str]) -> dict[str, np.ndarray]:
    """Distributions over `emotions` by clip, float32; what the table gives to other emotions is left out.

    Raises:
        SoftTargetError: a column is missing, or a clip has nothing left.
    """
    table = read_csv(path)
    columns = [f"p_{emotion}" for emotion in emotions if f"p_{emotion}" in table]
    if "id" not in table or not columns:
        raise SoftTargetError(f"{path}: needs the columns id and p_<emotion>, of {', '.join(emotions)}")
    wanted = [f"p_{emotion}" for emotion in emotions]
    values = table[columns].astype(np.float32).reindex(columns=wanted, fill_value=0.0).to_numpy()
    total = values.sum(axis=1)
    if (total <= 0).any():
        name = table["id"][int(np.argmax(total <= 0))]
        raise SoftTargetError(f"{path}: {name} has no share of {', '.join(emotions)}; leave its row out")
    return dict(zip(table["id"], values / total[:, None], strict=True))


def write_soft(path: Path, ids: Sequence[str], shares: np.ndarray, emotions: Sequence[str]) -> None:
    """Write such a table: shares of shape (n_clips, n_emotions)."""
    columns = pd.DataFrame(shares.astype(float).round(6), columns=[f"p_{emotion}" for emotion in emotions])
    write_csv(path, pd.concat([pd.Series(list(ids), name="id"), columns], axis=1))
