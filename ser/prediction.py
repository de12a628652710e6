"""What a predictor says of one stretch of speech."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Verdict:
    """Calibrated probabilities of each emotion, and what they amount to."""

    emotions: tuple[str, ...]
    probabilities: np.ndarray  # (n_emotions,), sums to one
    unsure_below: float  # a confidence under this is no verdict; chosen on validation

    @property
    def emotion(self) -> str:
        """The most probable emotion, sure or not."""
        return self.emotions[int(np.argmax(self.probabilities))]

    @property
    def confidence(self) -> float:
        """Probability of that emotion."""
        return float(np.max(self.probabilities))

    @property
    def unsure(self) -> bool:
        """Whether the confidence is too low for a verdict."""
        return self.confidence < self.unsure_below

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; probabilities keep six digits."""
        return {
            "emotion": self.emotion,
            "confidence": round(self.confidence, 6),
            "unsure": self.unsure,
            "probabilities": {e: round(float(p), 6) for e, p in zip(self.emotions, self.probabilities, strict=True)},
        }


@dataclass(frozen=True)
class Prediction(Verdict):
    """The verdict, and what it rests on."""

    duration_s: float
    attention_times_s: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n_steps,), middle of each step
    attention: np.ndarray = field(default_factory=lambda: np.zeros(0))  # (n_steps,), sums to one; empty without attention

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**super().as_dict(), "duration_s": round(self.duration_s, 3)}
