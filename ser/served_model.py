"""The model as MLflow loads it: named feature arrays in, one column of probabilities an emotion out.

MLflow runs this very file when it loads a logged model ("models from code"), so nothing is pickled. The MLflow flavour for
Keras would need the caller to import our layers first; this one brings them along.
"""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from ser.bundle import load_description, load_model


class ServedModel(mlflow.pyfunc.PythonModel):
    """A bundle folder behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Load the network and the order of its emotions from the logged folder."""
        folder = Path(context.artifacts["bundle"])
        self.emotions = load_description(folder)["emotions"]
        self.model = load_model(folder)

    def predict(self, context, model_input, params=None):
        """Probabilities, shape (n_clips, n_emotions).

        Args:
            context: unused, MLflow's.
            model_input: by input name, float32 arrays with the clips on the first axis.
            params: unused, MLflow's.
        """
        arrays = {tensor.name: np.asarray(model_input[tensor.name], dtype="float32") for tensor in self.model.inputs}
        return pd.DataFrame(self.model.predict(arrays, verbose=0).astype("float32"), columns=self.emotions)


mlflow.models.set_model(ServedModel())
