"""Strict reading of `params.yaml`: a section fills a dataclass, and nothing is guessed."""

import os
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from ser.errors import SerError

T = TypeVar("T")


class ParamsError(SerError):
    """`params.yaml` has an unknown, missing or mistyped key."""


def load_params(section: str, cls: type[T], path: Path | None = None) -> T:
    """Build `cls` from one section of the parameter file.

    Args:
        section: dotted name of the section, such as `spectrogram` or `models.cnn`.
        cls: dataclass whose fields are the section's keys.
        path: parameter file; `params.yaml` in the working directory, or `SER_PARAMS`, by default.

    Raises:
        ParamsError: the section is absent, or a key is unknown, missing or of another type.
    """
    path = path or Path(os.environ.get("SER_PARAMS", "params.yaml"))
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the project's root") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path}: not valid YAML: {error}") from None
    for name in section.split("."):
        if not isinstance(node, dict) or name not in node:
            raise ParamsError(f"{path}: section '{section}' is missing")
        node = node[name]
    return _fill(cls, node, section, path)


def _fill(cls: type[T], node: Any, where: str, path: Path) -> T:
    if not isinstance(node, dict):
        raise ParamsError(f"{path}: '{where}' must be a mapping, got {node!r}")
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}
    if unknown := sorted(set(node) - set(known), key=str):  # YAML keys may be numbers too
        raise ParamsError(f"{path}: {where}.{unknown[0]} is unknown; known keys are {', '.join(known)}")
    values = {}
    for name, field in known.items():
        if name in node:
            values[name] = _coerce(hints[name], node[name], f"{where}.{name}", path)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ParamsError(f"{path}: {where}.{name} is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise ParamsError(f"{path}: {where}: {error}") from None


def _coerce(hint: Any, value: Any, where: str, path: Path) -> Any:
    """Check `value` against the annotation; lists become tuples so that dataclasses stay hashable."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in args:
            return None
        (hint,) = (arg for arg in args if arg is not type(None))
        return _coerce(hint, value, where, path)
    if origin is typing.Literal:
        if value in args and type(value) in {type(arg) for arg in args}:
            return value
        raise ParamsError(f"{path}: {where} must be one of {', '.join(map(str, args))}, got {value!r}")
    if origin is tuple and isinstance(value, list):
        return tuple(_coerce(args[0], item, f"{where}[{n}]", path) for n, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(key): _coerce(args[1], item, f"{where}.{key}", path) for key, item in value.items()}
    if is_dataclass(hint):
        return _fill(hint, value, where, path)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        name = getattr(hint, "__name__", str(hint))
        raise ParamsError(f"{path}: {where} must be {name}, got {value!r} ({type(value).__name__})")
    return value
