"""The API: what is asked for, what may be asked for, and what is answered."""

import asyncio
import ipaddress
import logging
import math
import re
import secrets
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, File, Request, Response, Security, UploadFile, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ser.api.batching import (
    Batcher,
    Busy,
    Clip,
    Decoding,
    QueuedPredictor,
    Result,
    Served,
    Stopping,
    Task,
    first_of,
    make_workers,
)
from ser.api.monitoring import CONTENT_TYPE, Metrics, Observed
from ser.api.schemas import BatchReply, ErrorReply, HealthReply, ModelReply, PredictionReply, TimelineReply
from ser.api.settings import Settings
from ser.api.streaming import Streams, deny, points_of
from ser.errors import SerError
from ser.prediction import Prediction

if TYPE_CHECKING:
    from ser.predictor import Predictor

_UPLOADS = frozenset({"/predict", "/predict/batch", "/timeline"})
_OTHERS = frozenset({"/model", "/health", "/metrics"})
_DISCARD_S = 2.0
_GRACE_S = 30
_SHOWN_NAME = 120  # characters of a file name
_RETRY = {"Retry-After": "1"}
_HUNG_UP = Response(status_code=499)  # nginx's number; nobody is left to receive it

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Not a readable multipart form"},
    401: {"description": "The bearer token is missing or wrong"},
    408: {"description": "The upload took too long"},
    413: {"description": "The upload is too large"},
    415: {"description": "Not a multipart form"},
    422: {"description": "The file is missing, or not usable speech"},
    429: {"description": "Too busy; see Retry-After"},
    503: {"description": "Stopping"},
}
_UPLOAD_ERRORS = {status: {"model": ErrorReply} | text for status, text in _ERRORS.items()}
_QUERY_ERRORS = {401: _UPLOAD_ERRORS[401]}

logger = logging.getLogger(__name__)


class Service:
    """What the endpoints share; one an app."""

    def __init__(self, settings: Settings, predictor: "Predictor | None") -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.batcher = Batcher(make_workers(settings, self.metrics, predictor), settings, self.metrics)
        self.served: Served
        self.predictor: QueuedPredictor
        self.streams: Streams
        self.n_timelines = 0
        # For what follows a recording and mostly waits for the workers; more than these are never admitted.
        self.threads = ThreadPoolExecutor(settings.max_streams + settings.max_timelines, thread_name_prefix="ser-follow")

    @asynccontextmanager
    async def running(self, _: FastAPI) -> AsyncIterator[None]:
        """Ready on entry; on exit, what is in the queue is finished first."""
        self.served = await self.batcher.start()
        self.predictor = QueuedPredictor(self.batcher, self.served)
        self.streams = Streams(
            self.settings, self.metrics, self.threads, self._introduction(), self.new_timeline, self.served.audio.sampling_rate_hz
        )
        logger.info("Ready: %s, %d emotions", self.served.name, len(self.served.emotions))
        try:
            yield
        finally:
            await self.batcher.stop()
            self.threads.shutdown(wait=False, cancel_futures=True)

    @property
    def provenance(self) -> dict[str, Any]:
        """What every answer carries."""
        return {"model": self.served.name, "synthetic": bool(self.served.description.get("synthetic"))}

    def new_timeline(self):
        """A fresh `ser.timeline.Timeline` whose windows go through the queue."""
        from ser.timeline import Timeline

        return Timeline(self.predictor)

    def _introduction(self) -> dict[str, Any]:
        params = self.new_timeline().params
        return {"emotions": list(self.served.emotions), "window_s": params.window_s, "hop_s": params.hop_s} | self.provenance

    async def answers(self, tasks: Sequence[Task], hung_up: Callable[[], Awaitable[None]]) -> list[Result] | None:
        """Results of the queue; None once the client is gone."""
        futures = await self.batcher.submit(tasks)
        return await first_of(asyncio.gather(*futures, return_exceptions=True), hung_up())

    def reply(self, prediction: Prediction) -> dict[str, Any]:
        """Count a judged clip and word it."""
        self.metrics.judged(prediction)
        return prediction.as_dict() | self.provenance

    async def timeline(self, content: bytes, hung_up: Callable[[], Awaitable[None]]) -> dict[str, Any] | None:
        """Points of a whole recording; None once the client is gone.

        Raises:
            SerError: undecodable, too long, or too busy.
        """
        if self.n_timelines >= self.settings.max_timelines:
            raise Busy("too busy: other recordings are being followed; ask again in a moment")
        self.n_timelines += 1
        stop = threading.Event()
        try:
            answers = await self.answers([Decoding(content)], hung_up)
            if answers is None:
                return None
            (samples,) = map(_raised, answers)
            timeline, rate_hz = self.new_timeline(), self.served.audio.sampling_rate_hz
            following = asyncio.get_running_loop().run_in_executor(self.threads, points_of, samples, timeline, rate_hz, stop)
            points = await first_of(following, hung_up())
            if points is None:
                return None
            self.metrics.audio_seconds.inc(len(samples) / rate_hz)
            about = {"duration_s": len(samples) / rate_hz, "window_s": timeline.params.window_s, "hop_s": timeline.params.hop_s}
            return about | {"points": [point.as_dict() for point in points]} | self.provenance
        finally:
            stop.set()
            self.n_timelines -= 1

    def model(self) -> dict[str, Any]:
        """Chosen parts of the description: nothing of the server's folders is among them."""
        about, audio, settings = self.served.description, self.served.audio, self.settings
        server = {
            name: getattr(settings, name)
            for name in ("max_upload_bytes", "max_duration_s", "max_files", "max_streams", "max_frame_bytes")
        }
        optional = ("n_parameters", "split_sha256", "created", "commit")
        return {
            "name": self.served.name,
            "architecture": str(about.get("model", "")),
            "synthetic": bool(about.get("synthetic")),
            "emotions": list(self.served.emotions),
            "sampling_rate_hz": audio.sampling_rate_hz,
            "corpora": list(about.get("corpora", [])),
            "licences": dict(about.get("licences", {})),
            "metrics": dict(about.get("metrics", {})),
            "calibration": dict(about.get("calibration", {})),
            "limits": list(about.get("limits", [])),
            "server": server | {"minimum_s": audio.minimum_s},
        } | {name: about.get(name) for name in optional}


def _raised(result: Result) -> Any:
    if isinstance(result, BaseException):
        raise result
    return result


def _service(request: Request) -> Service:
    return request.app.state.service


Shared = Annotated[Service, Depends(_service)]
_FORMATS = File(description="wav, mp3, flac, ogg; m4a and webm where ffmpeg is installed")
AudioFile = Annotated[UploadFile, _FORMATS]
AudioFiles = Annotated[list[UploadFile], _FORMATS]
router = APIRouter()


@router.post("/predict", response_model=PredictionReply, responses=_UPLOAD_ERRORS)
async def predict(request: Request, service: Shared, file: AudioFile) -> Any:
    """Judge one recording as a whole."""
    answers = await service.answers([Clip(await file.read())], _hang_up(request))
    return _HUNG_UP if answers is None else service.reply(_raised(answers[0]))


@router.post("/predict/batch", response_model=BatchReply, response_model_exclude_none=True, responses=_UPLOAD_ERRORS)
async def predict_batch(request: Request, service: Shared, files: AudioFiles) -> Any:
    """Judge several recordings; one that is not usable is reported in its place."""
    if len(files) > service.settings.max_files:
        raise HTTPException(
            413, f"too many files: {len(files)}, at most {service.settings.max_files} are taken; send them in parts"
        )
    answers = await service.answers([Clip(await file.read()) for file in files], _hang_up(request))
    if answers is None:
        return _HUNG_UP
    results = [_item(service, shown_name(file.filename), answer) for file, answer in zip(files, answers, strict=True)]
    return {"results": results, "failed": sum("error" in result for result in results)}


def _item(service: Service, name: str, answer: Result) -> dict[str, Any]:
    if isinstance(answer, SerError):
        return {"name": name, "error": str(answer)}
    return {"name": name, "prediction": service.reply(_raised(answer))}


@router.post("/timeline", response_model=TimelineReply, responses=_UPLOAD_ERRORS)
async def timeline(request: Request, service: Shared, file: AudioFile) -> Any:
    """Follow one recording in overlapping windows."""
    reply = await service.timeline(await file.read(), _hang_up(request))
    return _HUNG_UP if reply is None else reply


@router.get("/model", response_model=ModelReply, responses=_QUERY_ERRORS)
async def model(service: Shared) -> Any:
    """What answers here, how good it is on speakers it never heard, and what this server accepts."""
    return service.model()


@router.get("/metrics", response_class=Response, responses=_QUERY_ERRORS | {200: {"content": {"text/plain": {}}}})
async def metrics(service: Shared) -> Response:
    """For Prometheus."""
    return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


unsecured_router = APIRouter()  # /stream is secured by the guard as well; FastAPI's scheme for /docs knows HTTP only


@unsecured_router.get("/health", response_model=HealthReply, responses={503: {"model": HealthReply, "description": "Not ready"}})
async def health(service: Shared, response: Response) -> Any:
    """Alive if it answers; 503 while it takes no work."""
    response.status_code = 200 if service.batcher.ready else 503
    return {"status": "ok" if service.batcher.ready else "not ready", "ready": service.batcher.ready}


@unsecured_router.websocket("/stream")
async def stream(websocket: WebSocket) -> None:
    """Live audio; docs/api.md has the protocol."""
    await websocket.app.state.service.streams.serve(websocket)


def _hang_up(request: Request) -> Callable[[], Awaitable[None]]:
    """A wait until the client is gone, for use after the body has been read."""

    async def hung_up() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return hung_up


def shown_name(name: str | None) -> str:
    """A file name as sent, fit to be shown: its last part, with a sign in place of what cannot be printed."""
    last = re.split(r"[/\\]", name or "")[-1][:_SHOWN_NAME]
    return "".join(character if character.isprintable() else "\ufffd" for character in last) or "unnamed"


def _refused(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


class Guard:
    """ASGI middleware: who may ask, and how much may be sent. Refuses before anything is read, or while it is."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._settings = service.settings
        self._n_uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] == "/health":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is None and scope["type"] == "websocket":
            return await self._app(scope, receive, send)
        if refusal is None:
            return await self._admit(scope, receive, send)
        if scope["type"] == "websocket":
            return await deny(WebSocket(scope, receive, send), refusal)
        if "expect" not in headers:  # a client that waits for our word sends nothing
            await self._discard(receive)
        await refusal(scope, receive, send)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["path"] in _UPLOADS
        self._n_uploads += is_upload
        try:
            await self._app(scope, self._capped(receive), send)
        finally:
            self._n_uploads -= is_upload

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if not self._authorised(headers):
            return _refused(401, "unauthorised: send the header `Authorization: Bearer <token>`", {"WWW-Authenticate": "Bearer"})
        if scope["type"] == "websocket" or scope["method"] != "POST" or scope["path"] not in _UPLOADS:
            return None
        length = headers.get("content-length", "")
        if length.isascii() and length.isdigit() and int(length[:20]) > self._settings.max_upload_bytes:
            return _refused(413, self._too_large())
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "multipart/form-data":
            return _refused(415, "not a form: send the audio as multipart/form-data, as `curl -F file=@clip.wav` does")
        if self._n_uploads >= self._settings.max_requests or self._service.batcher.full():
            return _refused(429, "too busy: the queue is full; ask again in a moment", _RETRY)
        return None

    def _authorised(self, headers: Headers) -> bool:
        if self._settings.token is None:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        same = secrets.compare_digest(given.strip().encode(), self._settings.token.encode())
        return same and scheme.lower() == "bearer"

    def _capped(self, receive: Receive) -> Receive:
        """Counts the bytes and the seconds of a body while it comes in."""
        n_bytes, complete = 0, False
        deadline_s = asyncio.get_running_loop().time() + self._settings.upload_timeout_s

        async def capped() -> Message:
            nonlocal n_bytes, complete
            if complete:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"too slow: an upload may take {self._settings.upload_timeout_s:g} s") from None
            n_bytes += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if n_bytes > self._settings.max_upload_bytes:
                if not complete:
                    await self._discard(receive)
                raise HTTPException(413, self._too_large())
            return message

        return capped

    async def _discard(self, receive: Receive) -> None:
        """Let a client finish sending a little too much, so that it reads the answer; one that sends far more is cut off."""
        n_bytes = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_S):
                while n_bytes <= self._settings.max_upload_bytes:
                    message = await receive()
                    n_bytes += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _too_large(self) -> str:
        return f"too large: a request may have {self._settings.max_upload_bytes} bytes; compress the audio or cut it into parts"


def create_app(settings: Settings, predictor: "Predictor | None" = None) -> FastAPI:
    """An app around one model, which is loaded when the app starts.

    Args:
        settings: limits and the model's name.
        predictor: used in threads of this process instead of loading one.

    Raises:
        ser.bundle.BundleError: no such model.
    """
    service = Service(settings, predictor)
    app = FastAPI(
        title="ser",
        summary="Speech emotion recognition",
        description='Errors are `{"error": sentence}`. Live audio: WebSocket `/stream`.',
        lifespan=service.running,
        redirect_slashes=False,
        exception_handlers={
            SerError: _on_ser_error,
            HTTPException: _on_http_error,
            RequestValidationError: _on_invalid,
            Exception: _on_defect,
        },
    )
    app.state.service = service
    secured = [Security(HTTPBearer(auto_error=False))] if settings.token else []  # for /docs; the guard does the checking
    app.include_router(router, dependencies=secured)
    app.include_router(unsecured_router)
    app.add_middleware(Guard, service=service)
    app.add_middleware(Observed, metrics=service.metrics, paths=_UPLOADS | _OTHERS)
    return app


async def _on_ser_error(_: Request, error: SerError) -> Response:
    if isinstance(error, Busy):
        return JSONResponse({"error": str(error)}, 429, _RETRY)
    return JSONResponse({"error": str(error)}, 503 if isinstance(error, Stopping) else 422)


async def _on_http_error(_: Request, error: HTTPException) -> Response:
    known = {404: "no such address: /docs lists what there is", 405: "this address does not take that method"}
    return JSONResponse({"error": known.get(error.status_code, str(error.detail))}, error.status_code, error.headers)


async def _on_invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    field = next((part for part in first["loc"][1:] if isinstance(part, str)), "form")
    if first["type"] == "missing":
        sentence = f"no file: send the audio in the form field '{field}', as `curl -F {field}=@clip.wav` does"
    else:
        sentence = f"the form field '{field}' must be a file with a name, as `curl -F {field}=@clip.wav` sends it"
    return JSONResponse({"error": sentence}, 422)


async def _on_defect(_: Request, __: Exception) -> Response:
    return JSONResponse({"error": "a defect of the server, not of the request; its log says more"}, 500)


def serve(settings: Settings, host: str = "127.0.0.1", port: int = 8000, predictor: "Predictor | None" = None) -> None:
    """Serve until SIGINT or SIGTERM; then refuse new requests and finish those in work.

    Args:
        settings: as for `create_app`.
        host: address to listen on.
        port: 0 takes a free one; the log says which.
        predictor: as for `create_app`.

    Raises:
        ser.bundle.BundleError: no such model.
    """
    import uvicorn

    if settings.token is None and not _is_local(host):
        logger.warning("Everybody who reaches %s may ask: set SER_TOKEN, or put a proxy in front that asks who they are", host)
    uvicorn.run(
        create_app(settings, predictor),
        host=host,
        port=port,
        ws="websockets-sansio",
        ws_max_size=2 * settings.max_frame_bytes,  # up to that our own refusal is clearer
        ws_per_message_deflate=False,  # PCM hardly shrinks, and a small frame must not swell
        timeout_graceful_shutdown=math.ceil(_GRACE_S),
        access_log=False,
        server_header=False,
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
