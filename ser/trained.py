"""A trained model on disk: `data/trained/<name>/` with the weights, what they eat and what their outputs mean.

A network is a Keras archive; what scikit-learn fitted is an ONNX graph, since its own format is a pickle, which runs code.
"""

import json
import re
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.errors import SerError
from ser.files import replacing

if TYPE_CHECKING:
    import keras

NETWORK, FITTED = "model.keras", "model.onnx"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


class TrainedModelError(SerError):
    """The folder of a trained network is incomplete or damaged."""


def save_model(model: "keras.Model", path: Path) -> None:
    """Save a Keras archive whose bytes depend on the model alone.

    Keras stamps the date into `metadata.json` and into each zip entry, and memory addresses into `config.json`, so that
    no two archives are ever equal.
    """
    stamped = path.with_name("stamped.keras")
    model.save(stamped)
    with replacing(path) as temporary, zipfile.ZipFile(stamped) as source, zipfile.ZipFile(temporary, "w") as target:
        for name in sorted(source.namelist()):
            content = source.read(name)
            if name == "metadata.json":
                metadata = json.loads(content)
                metadata.pop("date_saved", None)
                content = json.dumps(metadata, sort_keys=True).encode()
            if name == "config.json":
                content = _without_addresses(content)
            target.writestr(zipfile.ZipInfo(name, _ZIP_EPOCH), content)
    stamped.unlink()


def _without_addresses(config: bytes) -> bytes:
    """Count the objects that layers share where Keras tells them apart by `id()`."""
    numbers: dict[bytes, int] = {}
    return re.sub(
        rb'("shared_object_id": )(\d+)', lambda match: match[1] + b"%d" % numbers.setdefault(match[2], len(numbers)), config
    )


class FittedModel:
    """What scikit-learn fitted, as the ONNX graph it was converted to; answers like a Keras model."""

    def __init__(self, graph: bytes) -> None:
        """Load a graph with the output `emotion`."""
        import onnxruntime

        self.graph = graph
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self.inputs = [SimpleNamespace(name=tensor.name) for tensor in self._session.get_inputs()]

    def predict_on_batch(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        """Probabilities of rows by input name, shape (batch, n_emotions)."""
        (emotion,) = self._session.run(["emotion"], inputs)
        return emotion

    def count_params(self) -> int:
        """Numbers that the graph holds."""
        import onnx

        graph = onnx.load_from_string(self.graph).graph
        stored = sum(int(np.prod(tensor.dims)) for tensor in graph.initializer)
        return stored + sum(len(attribute.floats) for node in graph.node for attribute in node.attribute)


def weights_file(folder: Path) -> Path:
    """The file of a trained model that holds its weights, whichever kind it is."""
    return folder / (FITTED if (folder / FITTED).exists() else NETWORK)


def load_model(folder: Path) -> "keras.Model | FittedModel":
    """The model in a folder, for inference or, if it is a network, as a part of another.

    Raises:
        TrainedModelError: the archive is missing or cannot be read.
    """
    path = weights_file(folder)
    if path.name == FITTED:
        return _load_fitted(path)
    import keras

    import ser.layers  # noqa: F401 - registers our layers by name

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise TrainedModelError(f"{path}: no readable Keras archive ({type(error).__name__}); run `dvc repro`") from None


def _load_fitted(path: Path) -> FittedModel:
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

    try:
        return FittedModel(path.read_bytes())
    except (OSError, Fail, InvalidGraph, InvalidProtobuf) as error:
        raise TrainedModelError(f"{path}: no readable ONNX graph ({type(error).__name__}); run `dvc repro`") from None


def load_description(folder: Path) -> dict[str, Any]:
    """`model.json`: emotions in output order, inputs with their recipes, window length, split hash.

    Raises:
        TrainedModelError: missing, or not JSON.
    """
    path = folder / "model.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise TrainedModelError(f"{path}: missing or not JSON; run `dvc repro`") from None
