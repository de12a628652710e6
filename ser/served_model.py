"""A bundle as MLflow serves it: sound in, one column of probabilities an emotion out.

MLflow runs this very file when it loads a logged model ("models from code"), so nothing is pickled; it needs neither TensorFlow
nor Keras.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from ser.errors import SerError
from ser.predictor import Predictor
from ser.recording import load_clip, samples_to_signal


class ServedModel(mlflow.pyfunc.PythonModel):
    """A bundle folder behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Load the predictor from the logged folder."""
        self.predictor = Predictor.load(Path(context.artifacts["bundle"]))

    def predict(self, context, model_input, params=None):
        """Probabilities of each row: a frame of (n_clips, n_emotions).

        Args:
            context: unused, MLflow's.
            model_input: a frame with a column `path` (audio files as the server sees them), or `samples` (lists of floats,
                full scale 1.0) and `sampling_rate_hz`. Where both are given, a path that is not empty counts.
            params: unused, MLflow's.

        Raises:
            SerError: a row is not usable audio; the message names the row.
        """
        rows = []
        for number, row in enumerate(pd.DataFrame(model_input).to_dict("records")):
            try:
                rows.append(self.predictor.predict(self._signal(row)).probabilities)
            except SerError as error:
                raise SerError(f"row {number}: {error}") from None
        return pd.DataFrame(np.array(rows, np.float32), columns=list(self.predictor.emotions))

    def _signal(self, row: dict[str, Any]) -> np.ndarray:
        row = {name: value for name, value in row.items() if not (np.isscalar(value) and pd.isna(value))}  # gaps of a frame
        if row.get("path"):
            return load_clip(Path(row["path"]), self.predictor.audio)
        if row.get("samples") is None or not row.get("sampling_rate_hz"):
            raise SerError("give `path`, or `samples` with `sampling_rate_hz`")
        samples = np.asarray(row["samples"], np.float32)
        return samples_to_signal(samples, int(row["sampling_rate_hz"]), self.predictor.audio)


mlflow.models.set_model(ServedModel())
