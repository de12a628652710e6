"""Find an architecture by its name: one file in `ser/models/` each."""

import importlib
from types import ModuleType

from ser.errors import SerError


class ArchitectureError(SerError):
    """No file in `ser/models/` has that name."""


def load_architecture(name: str) -> ModuleType:
    """The module `ser.models.<name>`, which exports `INPUTS`, `Params` and `build`, and `BASE` if it builds on a model.

    Raises:
        ArchitectureError: there is no such module.
    """
    try:
        return importlib.import_module(f"ser.models.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"ser.models.{name}":
            raise
        raise ArchitectureError(f"no model '{name}': write ser/models/{name}.py, or correct the name in dvc.yaml") from None
