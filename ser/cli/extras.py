"""Whether an optional part is installed."""

from collections.abc import Sequence
from importlib.util import find_spec

from ser.errors import SerError


class MissingExtraError(SerError):
    """A command needs packages that were not asked for when `ser` was installed."""


def require(extra: str, modules: Sequence[str]) -> None:
    """Check that the modules of an extra can be found, without importing them.

    Raises:
        MissingExtraError: at least one cannot.
    """
    if missing := [name for name in modules if find_spec(name) is None]:
        raise MissingExtraError(f'this needs {", ".join(missing)}, which is not installed: pip install "ser[{extra}]"')
