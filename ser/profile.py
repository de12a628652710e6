"""A voice that a predictor knows: the mean prosody of a few unlabelled clips of one speaker, kept as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ser.errors import SerError
from ser.files import write_json

if TYPE_CHECKING:
    from ser.predictor import Predictor

_FORMAT, _VERSION = "ser-profile", 1
FEWEST_CLIPS = 3


class ProfileError(SerError):
    """A profile cannot be made or read, or is of another model."""


@dataclass(frozen=True)
class Profile:
    """Mean of each prosodic column over a speaker's clips, shape (n_columns,), NaN where it was never defined."""

    mean: np.ndarray
    n_clips: int
    columns: tuple[str, ...]

    def save(self, path: Path) -> None:
        """Write JSON, whole or not at all."""
        mean = [None if np.isnan(value) else float(value) for value in self.mean]
        content = {"format": _FORMAT, "version": _VERSION, "n_clips": self.n_clips}
        write_json(path, content | {"mean": dict(zip(self.columns, mean, strict=True))})

    @classmethod
    def load(cls, path: Path, predictor: "Predictor") -> "Profile":
        """Read a profile for a predictor.

        Raises:
            ProfileError: not a profile, or made with other measures than this predictor's.
        """
        try:
            node = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(node, dict) or node.get("format") != _FORMAT or node.get("version") != _VERSION:
                raise ValueError
            means = {name: np.nan if value is None else float(value) for name, value in node["mean"].items()}
            n_clips = int(node["n_clips"])
        except FileNotFoundError:
            raise ProfileError(f"{path}: no such file; make it with `ser enroll`") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ProfileError(f"{path}: not a voice profile; make it with `ser enroll`") from None
        columns = predictor.prosody_columns
        if set(means) != set(columns):
            raise ProfileError(f"{path}: made with other measures than those of '{predictor.name}'; run `ser enroll` again")
        return cls(np.array([means[name] for name in columns], np.float32), n_clips, columns)
