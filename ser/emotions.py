"""The emotions' names, and what becomes of the two that most corpora lack."""

from dataclasses import dataclass
from typing import Literal

_COMMON = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised")
CANONICAL = (*_COMMON, "calm", "boredom")


@dataclass(frozen=True)
class Policy:
    """Which emotions the models tell apart; the order of `emotions` is the order of every label array."""

    calm: Literal["neutral", "keep", "drop"]
    boredom: Literal["drop", "keep"]

    @property
    def emotions(self) -> tuple[str, ...]:
        """The labels in use: the seven common ones, then those kept."""
        kept = [name for name in ("calm", "boredom") if getattr(self, name) == "keep"]
        return (*_COMMON, *kept)

    def apply(self, recorded: str) -> str | None:
        """The label for a recorded emotion (one of `CANONICAL`), or None where it is dropped."""
        if recorded == "calm" and self.calm == "neutral":
            return "neutral"
        return recorded if recorded in self.emotions else None
