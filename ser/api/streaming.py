"""Live audio: 16-bit PCM comes in over a WebSocket, a point of the timeline goes out for every hop."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from ser.api.batching import Stopping
from ser.api.monitoring import Metrics
from ser.api.settings import Settings
from ser.audio import to_float, to_int16
from ser.errors import SerError

if TYPE_CHECKING:
    from ser.timeline import Timeline, TimelinePoint

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8000, 48000
_BLOCK_S = 5.0  # of a file, handed to a timeline at once: its windows may then share a batch
_SHORTEST_PUSH_S = 0.1  # tiny frames are put together: each push costs a change of threads
_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame has 125 bytes, two of them the code
_GOODBYE_S = 1.0

# RFC 6455, section 7.4.1, and the registry that it founded
NORMAL, UNSUPPORTED, INVALID, POLICY, TOO_BIG, INTERNAL, RESTART = 1000, 1003, 1007, 1008, 1009, 1011, 1012
HUNG_UP = 1006  # never sent: the client left without a word


class _End(Exception):
    """The server ends the stream."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def points_of(samples: np.ndarray, timeline: "Timeline", rate_hz: int, stop: threading.Event) -> list["TimelinePoint"]:
    """All points of 16-bit samples at the working rate, shape (n_samples,); early once `stop` is set. Runs in a thread."""
    step = round(_BLOCK_S * rate_hz)
    points: list[TimelinePoint] = []
    for start in range(0, len(samples), step):
        if stop.is_set():
            return points
        points += timeline.push(to_float(samples[start : start + step]))
    return points + timeline.finish()


class _Ear:
    """Turns 16-bit samples at the client's rate into points. Runs in a thread."""

    def __init__(self, timeline: "Timeline", sampling_rate_hz: int, working_rate_hz: int) -> None:
        self._timeline = timeline
        self._resampler = None
        if sampling_rate_hz != working_rate_hz:
            import soxr

            self._resampler = soxr.ResampleStream(sampling_rate_hz, working_rate_hz, 1, dtype="float32", quality="VHQ")

    def hear(self, samples: np.ndarray) -> list["TimelinePoint"]:
        return self._timeline.push(self._at_working_rate(samples, last=False))

    def finish(self) -> list["TimelinePoint"]:
        rest = self._at_working_rate(np.zeros(0, np.int16), last=True)
        return self._timeline.push(rest) + self._timeline.finish()

    def _at_working_rate(self, samples: np.ndarray, *, last: bool) -> np.ndarray:
        signal = to_float(samples)
        if self._resampler is None:
            return signal
        return to_float(to_int16(self._resampler.resample_chunk(signal, last=last)))


@dataclass
class Streams:
    """The places for streams, and what each of them needs."""

    settings: Settings
    metrics: Metrics
    threads: Executor
    introduction: dict[str, Any]  # what a client is told first
    new_timeline: Callable[[], "Timeline"]
    working_rate_hz: int
    n_open: int = 0

    async def serve(self, websocket: WebSocket) -> None:
        """Follow one client to the end; its place is free afterwards whatever happens."""
        try:
            rate_hz = _sampling_rate(websocket)
        except ValueError as error:
            return await deny(websocket, JSONResponse({"error": str(error)}, 422))
        if self.n_open >= self.settings.max_streams:
            busy = {"error": "too busy: all streams are taken; try again in a moment"}
            return await deny(websocket, JSONResponse(busy, 429, {"Retry-After": "1"}))
        self._change(+1)
        try:
            await websocket.accept()
            ear = _Ear(self.new_timeline(), rate_hz, self.working_rate_hz)
            code = await _Conversation(self, websocket, ear, rate_hz).run()
            self.metrics.stream_ends.labels(code).inc()
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        self.n_open += by
        self.metrics.streams.set(self.n_open)


def _sampling_rate(websocket: WebSocket) -> int:
    text = websocket.query_params.get("sampling_rate_hz", "16000")
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and LOWEST_RATE_HZ <= int(text) <= HIGHEST_RATE_HZ):
        raise ValueError(f"sampling_rate_hz must be a whole number from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}.")
    return int(text)


async def deny(websocket: WebSocket, response: Response) -> None:
    """Refuse the handshake, with an HTTP answer where the server can give one."""
    await websocket.receive()  # the client's wish to connect
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close(POLICY)


class _Conversation:
    def __init__(self, streams: Streams, websocket: WebSocket, ear: _Ear, rate_hz: int) -> None:
        self._streams = streams
        self._settings = streams.settings
        self._websocket = websocket
        self._ear = ear
        self._rate_hz = rate_hz
        self._n_samples = 0
        self._n_points = 0

    async def run(self) -> int:
        """Talk until one side ends; the code of the end."""
        try:
            await self._say({"type": "ready", "sampling_rate_hz": self._rate_hz} | self._streams.introduction)
            async for samples in self._audio():
                self._n_samples += len(samples)
                await self._tell(await self._in_thread(self._ear.hear, samples))
            await self._tell(await self._in_thread(self._ear.finish))
            await self._say({"type": "end", "points": self._n_points, "duration_s": self._n_samples / self._rate_hz})
            return await self._close(NORMAL, "")
        except WebSocketDisconnect:
            return HUNG_UP
        except _End as end:
            return await self._close(end.code, end.reason)
        except Stopping as error:
            return await self._close(RESTART, str(error))
        except SerError as error:
            return await self._close(INVALID, str(error))
        except Exception:  # whatever the defect, the client is told before it goes on up to the log
            await self._close(INTERNAL, "A defect of the server; its log says more.")
            raise

    async def _audio(self) -> AsyncIterator[np.ndarray]:
        """Whole samples, in pieces worth a push; a sample cut in two by a frame's end is put together again."""
        shortest = 2 * round(_SHORTEST_PUSH_S * self._rate_hz)
        pending = bytearray()
        async for frame in self._frames():
            pending += frame
            if len(pending) >= shortest:
                whole = len(pending) // 2 * 2
                yield np.frombuffer(bytes(pending[:whole]), "<i2")
                del pending[:whole]
        if len(pending) % 2:
            raise _End(INVALID, "The stream ended in the middle of a 16-bit sample.")
        if pending:
            yield np.frombuffer(bytes(pending), "<i2")

    async def _frames(self) -> AsyncIterator[bytes]:
        """Binary frames until the text frame that ends the stream."""
        now = asyncio.get_running_loop().time
        last_s = now() + self._settings.max_stream_s
        idle_s = now() + self._settings.stream_idle_s
        while True:
            message = await self._receive(min(last_s, idle_s))
            if message.get("text") is not None:
                _check_end(message["text"])
                return
            frame = message.get("bytes") or b""
            if len(frame) > self._settings.max_frame_bytes:
                raise _End(TOO_BIG, f"A frame may have {self._settings.max_frame_bytes} bytes; send shorter ones.")
            if now() >= last_s:
                raise _End(POLICY, f"A stream may last {self._settings.max_stream_s:g} s; connect again.")
            if frame:
                yield frame
                idle_s = now() + self._settings.stream_idle_s  # our own time at work does not count

    async def _receive(self, deadline_s: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout_at(deadline_s):
                message = await self._websocket.receive()
        except TimeoutError:
            raise _End(POLICY, "No audio for too long, or the stream's time is over; connect again.") from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", HUNG_UP))
        return message

    async def _in_thread(self, function: Callable[..., list["TimelinePoint"]], *arguments: Any) -> list["TimelinePoint"]:
        return await asyncio.get_running_loop().run_in_executor(self._streams.threads, function, *arguments)

    async def _tell(self, points: Sequence["TimelinePoint"]) -> None:
        for point in points:
            await self._say({"type": "point"} | point.as_dict())
            self._n_points += 1
            self._streams.metrics.points.inc()

    async def _say(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._settings.stream_send_s):
                await self._websocket.send_text(json.dumps(message))
        except TimeoutError:
            raise _End(POLICY, "Too slow: messages are not being read.") from None

    async def _close(self, code: int, reason: str) -> int:
        short = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        with suppress(TimeoutError, WebSocketDisconnect):  # who does not listen is not waited for
            async with asyncio.timeout(_GOODBYE_S):
                await self._websocket.close(code, short)
        return code


def _check_end(text: str) -> None:
    try:
        is_end = json.loads(text) == {"end": True}
    except (ValueError, RecursionError):
        is_end = False
    if not is_end:
        raise _End(UNSUPPORTED, 'The only text understood is {"end": true}; audio goes in binary frames.')
