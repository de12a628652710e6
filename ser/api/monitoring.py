"""What Prometheus can read of one app: requests, queue, streams and the server's own memory."""

import time
from http import HTTPStatus
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ser.prediction import Prediction

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = {"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"}
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters in a registry of their own, so that several apps live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("ser_requests", "HTTP requests answered", ["method", "path", "status"])
        self.request_seconds = self._histogram("ser_request_seconds", "Time to answer", _SECONDS, ["path"])
        self.predictions = self._counter("ser_predictions", "Clips judged, by the most probable emotion", ["emotion"])
        self.unsure = self._counter("ser_unsure", "Clips judged without a verdict")
        self.audio_seconds = self._counter("ser_audio_seconds", "Audio judged, without overlap of windows")
        self.batch_clips = self._histogram("ser_batch_clips", "Clips a worker took at once", (1, 2, 4, 8, 16, 32))
        self.batch_seconds = self._histogram("ser_batch_seconds", "Time of a worker for one batch", _SECONDS)
        self.worker_restarts = self._counter("ser_worker_restarts", "Worker processes replaced")
        self.queued = self._gauge("ser_queued_clips", "Clips waiting and in work")
        self.streams = self._gauge("ser_streams", "Streams open")
        self.points = self._counter("ser_stream_points", "Points sent to streams")
        self.stream_ends = self._counter("ser_stream_ends", "Streams ended", ["code"])

    def judged(self, prediction: Prediction) -> None:
        """Count one whole clip."""
        self.predictions.labels(prediction.emotion).inc()
        self.unsure.inc(prediction.unsure)
        self.audio_seconds.inc(prediction.duration_s)

    def text(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, labels: list[str] | None = None) -> Counter:
        return Counter(name, text, labels or [], registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], labels: list[str] | None = None) -> Histogram:
        return Histogram(name, text, labels or [], buckets=buckets, registry=self.registry)


class Observed:
    """ASGI middleware: every HTTP request is counted under the path that its route declares."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: frozenset[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and count its answer."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value  # unless an answer is sent
        started = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._count(scope, status, time.perf_counter() - started)

    def _count(self, scope: dict[str, Any], status: int, seconds: float) -> None:
        # Strangers choose paths and methods; a label for each of theirs would be a way to fill the memory.
        path = scope["path"] if scope["path"] in self._paths else "other"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(method, path, status).inc()
        if status < HTTPStatus.BAD_REQUEST:
            self._metrics.request_seconds.labels(path).observe(seconds)
