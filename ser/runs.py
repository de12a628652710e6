"""What trainings of the benchmark left on disk: their answers and reports."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ser.files import read_csv
from ser.plan import Training

# of one model and recipe: by (fold, seed), the answers and the training's report
Runs = Mapping[tuple[str, int], tuple[pd.DataFrame, Mapping[str, Any]]]

_log = logging.getLogger(__name__)


def load_runs(wanted: Sequence[Training], predictions: Path) -> Runs:
    """Runs of one model and recipe; empty, with a warning if some have run, unless all have.

    Args:
        wanted: the trainings.
        predictions: folder of the answers of all protocols.
    """
    folders = {(training.fold, training.seed): predictions / training.folder for training in wanted}
    there = [folder for folder in folders.values() if (folder / "report.json").exists()]
    if len(there) < len(folders):
        if there:
            first = wanted[0]
            counts = (len(there), len(folders))
            _log.warning("%s, %s %s: %d of %d trainings have run; left out", first.protocol, first.recipe, first.model, *counts)
        return {}
    return {
        key: (read_csv(folder / "answers.csv"), json.loads((folder / "report.json").read_text(encoding="utf-8")))
        for key, folder in folders.items()
    }
