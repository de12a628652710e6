"""What an operator may set of the API, each from an environment variable `SER_<NAME>`."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ser.errors import SerError


class SettingsError(SerError):
    """An environment variable that cannot be understood."""


@dataclass(frozen=True)
class Settings:
    """Limits are per server; every one of them is there so that memory and waiting stay bounded."""

    model: str | None = None  # a name below models/ or a path; None lets `ser.bundle.find_bundle` choose
    token: str | None = field(default=None, repr=False)  # without one, everybody who reaches the port may ask

    processes: int = 2  # each loads the model; 0 computes in two threads of the server instead
    threads: int = 1  # of the runtime, in each process
    max_batch: int = 8  # clips that a worker takes at once
    batch_wait_s: float = 0.002  # how long a free worker waits for company of the first clip
    job_timeout_s: float = 120.0  # a worker process that takes longer is replaced

    max_upload_bytes: int = 25 * 2**20  # of a whole request
    max_duration_s: float = 600.0  # of one recording
    max_files: int = 32  # of one /predict/batch
    upload_timeout_s: float = 60.0  # for a client to send its request
    max_requests: int = 128  # uploads coming in, waiting and in work
    max_queue: int = 64  # clips waiting and in work; above, the answer is 429
    max_queued_bytes: int = 256 * 2**20
    max_timelines: int = 4  # at once

    max_streams: int = 32  # at once
    max_frame_bytes: int = 256 * 2**10  # of one WebSocket message
    max_stream_s: float = 7200.0  # from the first to the last byte
    stream_idle_s: float = 30.0  # without audio
    stream_send_s: float = 10.0  # for a client to take a message

    def __post_init__(self) -> None:
        if self.token is not None and (not self.token.isascii() or not self.token.isprintable() or not self.token.strip()):
            raise SettingsError("SER_TOKEN is empty or not plain ASCII; unset it to serve without a token")
        for name, value in _numbers(self).items():
            if not (value > 0 or (value == 0 and name in {"processes", "batch_wait_s"})):
                raise SettingsError(f"SER_{name.upper()} must be above zero, got {value}")
            if math.isinf(value):
                raise SettingsError(f"SER_{name.upper()} must be finite, got {value}")
        if self.max_files > self.max_queue:
            raise SettingsError(f"SER_MAX_FILES ({self.max_files}) must not exceed SER_MAX_QUEUE ({self.max_queue})")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read `SER_MODEL`, `SER_TOKEN`, `SER_PROCESSES`, ...; what is not set keeps its default.

        Raises:
            SettingsError: not a number where one is needed, or out of range.
        """
        given = {each.name: environment.get(f"SER_{each.name.upper()}") for each in fields(cls)}
        defaults = {each.name: each.default for each in fields(cls)}
        return cls(**{name: _parse(name, text, defaults[name]) for name, text in given.items() if text is not None})


def _parse(name: str, text: str, default: Any) -> Any:
    if default is None:
        return text
    try:
        return type(default)(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise SettingsError(f"SER_{name.upper()} must be {kind}, got {text!r}") from None


def _numbers(settings: Settings) -> dict[str, float]:
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
