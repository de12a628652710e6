"""What published systems claim on RAVDESS, and under which protocol: set beside our figures, never mixed with them."""

from dataclasses import dataclass

from ser.honesty import HONESTY


@dataclass(frozen=True)
class Claim:
    """One system's figure."""

    system: str
    what: str  # kind of model, in words
    model: str  # of ours that is built as it is
    protocol: str  # key of HONESTY, as near as is known
    accuracy: float | None  # percent; None where the system gives none
    remark: str

    def __post_init__(self) -> None:
        """Refuse a protocol that there is not (ValueError)."""
        if self.protocol not in HONESTY:
            raise ValueError(f"protocol must be one of {', '.join(HONESTY)}, got {self.protocol}")


@dataclass(frozen=True)
class Claims:
    """Section `claims` of the benchmark's parameters."""

    ours: str  # our best model
    heard: str  # the same, trained for speakers that it will hear again; where it has not run, `ours` stands for it
    systems: tuple[Claim, ...]
