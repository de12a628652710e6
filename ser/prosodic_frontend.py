"""Prosody and functionals as one row of named numbers: what the stage stores and a predictor computes again."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ser.errors import SerError
from ser.functionals import Functionals
from ser.prosody import Prosody


class ProsodicFrontEndError(SerError):
    """The front end does not fit its audio."""


@dataclass(frozen=True)
class ProsodicFrontEnd:
    """Both front ends, one after the other; columns start with `pro_` or `fun_`, so that a model can choose."""

    prosody: Prosody
    functionals: Functionals

    def __post_init__(self) -> None:
        """Refuse two sampling rates."""
        self.require_rate(self.functionals.sampling_rate_hz, "params functionals")

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "ProsodicFrontEnd":
        """Rebuild from the `fields` of a stored recipe."""
        return cls(Prosody(**fields["prosody"]), Functionals(**fields["functionals"]))

    @property
    def sampling_rate_hz(self) -> int:
        """Rate of the signals it takes."""
        return self.prosody.sampling_rate_hz

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return self.prosody.names + self.functionals.names

    @property
    def recipe(self) -> dict[str, Any]:
        """What `from_fields` needs, for recipe.json."""
        return {"name": "prosody", "fields": asdict(self)}

    def require_rate(self, sampling_rate_hz: int, where: str) -> None:
        """Raise ProsodicFrontEndError if `where` has another sampling rate."""
        if sampling_rate_hz != self.sampling_rate_hz:
            raise ProsodicFrontEndError(
                f"{where}: {sampling_rate_hz} Hz, but prosody.sampling_rate_hz is {self.sampling_rate_hz}; "
                "make audio, prosody and functionals agree in params.yaml"
            )

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Measure a mono float signal (n_samples,): float32 of shape (1, n_columns), NaN where undefined."""
        return np.concatenate((self.prosody(signal), self.functionals(signal)))[np.newaxis]
