"""What the API answers, as pydantic models: checked on the way out and shown in /docs."""

from typing import Any

from pydantic import BaseModel, Field


class ErrorReply(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(
        description="One sentence: what is wrong, and the way out", examples=["empty: 0 bytes; record or copy it again"]
    )


class PredictionReply(BaseModel):
    """One clip."""

    emotion: str = Field(description="The most probable emotion, sure or not")
    confidence: float = Field(ge=0, le=1, description="Its calibrated probability")
    unsure: bool = Field(description="The confidence is too low for a verdict")
    probabilities: dict[str, float]
    duration_s: float
    model: str
    synthetic: bool = Field(description="The model was trained on synthetic demo voices: its answers mean nothing about people")


class BatchItem(BaseModel):
    """One file of a batch: a prediction or an error."""

    name: str = Field(description="File name as sent, without folders and control characters")
    prediction: PredictionReply | None = None
    error: str | None = None


class BatchReply(BaseModel):
    """Files in the order sent."""

    results: list[BatchItem]
    failed: int


class TimelinePointReply(BaseModel):
    """A window of a recording; probabilities are smoothed over time."""

    model_config = {"extra": "allow"}

    start_s: float
    end_s: float
    speech: bool
    emotion: str
    confidence: float
    unsure: bool
    probabilities: dict[str, float]


class TimelineReply(BaseModel):
    """A whole recording."""

    duration_s: float
    window_s: float
    hop_s: float
    points: list[TimelinePointReply]
    model: str
    synthetic: bool


class LimitsReply(BaseModel):
    """What this server accepts."""

    max_upload_bytes: int
    max_duration_s: float
    minimum_s: float
    max_files: int
    max_streams: int
    max_frame_bytes: int


class ModelReply(BaseModel):
    """What the model is, how good it is on speakers it never heard, and what it is not for."""

    name: str
    architecture: str
    synthetic: bool
    emotions: list[str]
    sampling_rate_hz: int
    corpora: list[str]
    licences: dict[str, str]
    metrics: dict[str, Any] = Field(description="UAR with 95 % intervals on held-out speakers, by corpus")
    calibration: dict[str, Any]
    limits: list[str] = Field(description="What the figures do not say")
    n_parameters: int | None
    split_sha256: str | None
    created: str | None
    commit: str | None
    server: LimitsReply


class HealthReply(BaseModel):
    """Alive if it answers at all; ready if it takes work."""

    status: str
    ready: bool
