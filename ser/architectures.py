"""Find an architecture by its name: one file in `ser/models/` each."""

import importlib
from types import ModuleType

from ser.errors import SerError


class ArchitectureError(SerError):
    """No file in `ser/models/` has that name."""


def load_architecture(name: str) -> ModuleType:
    """The module `ser.models.<name>`, which exports `INPUTS` and `Params`, and says how it is made.

    A network exports `build`, `BASES` if it builds on trained models, and `fit` if something of the training clips decides its
    shape. What scikit-learn fits exports `estimator` instead.

    Raises:
        ArchitectureError: there is no such module.
    """
    try:
        return importlib.import_module(f"ser.models.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ser.models.{name}":
            raise
        raise ArchitectureError(f"no model '{name}': write ser/models/{name}.py, or correct the name in params.yaml") from None
