"""Clips wait in one bounded queue; workers, off the event loop, take a few at once."""

import asyncio
import io
import logging
import math
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser.api.settings import Settings
from ser.audio import AudioParams, to_float, to_int16
from ser.errors import SerError
from ser.prediction import Prediction

if TYPE_CHECKING:
    from ser.api.monitoring import Metrics
    from ser.predictor import Predictor
    from ser.profile import Profile

_ONE_CLIP_BYTES = 2**20  # what is larger goes to a worker alone, so that short clips do not wait for a long one
_THREADS_WITHOUT_PROCESSES = 2
_WARM_UP_S = 3.0
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

logger = logging.getLogger(__name__)


class Busy(SerError):
    """The queue is full."""


class Stopping(SerError):
    """The server is going down."""


class WorkerLost(SerError):
    """A worker process died of a task or took too long over it."""


@dataclass(frozen=True)
class Clip:
    """An audio file to be judged as a whole."""

    content: bytes


@dataclass(frozen=True)
class Decoding:
    """An audio file to be turned into 16-bit samples at the working rate, shape (n_samples,)."""

    content: bytes


@dataclass(frozen=True)
class Window:
    """A piece of signal to be judged: mono float32, shape (n_samples,), at the working rate."""

    signal: np.ndarray


Task = Clip | Decoding | Window
Result = Prediction | np.ndarray | SerError  # a task's own failure is a value, so that its neighbours do not share it


@dataclass(frozen=True)
class Served:
    """What the server needs to know of the model that its workers hold."""

    name: str
    emotions: tuple[str, ...]
    audio: AudioParams
    description: dict[str, Any]
    process: int

    @classmethod
    def of(cls, predictor: "Predictor") -> "Served":
        """Ask a predictor."""
        return cls(predictor.folder.name, tuple(predictor.emotions), predictor.audio, predictor.description, os.getpid())


class Engine:
    """A predictor at work on batches of tasks; runs in a worker."""

    def __init__(self, predictor: "Predictor", settings: Settings) -> None:
        from ser.recording import Limits

        self.predictor = predictor
        self._limits = Limits(max_bytes=settings.max_upload_bytes, max_duration_s=settings.max_duration_s)

    def run(self, tasks: Sequence[Task]) -> list[Result]:
        """One result a task, in order; none depends on its neighbours."""
        return [self._answer(task) for task in tasks]

    def warm_up(self) -> None:
        """Judge noise once: the first answer of a runtime is slow."""
        noise = np.random.default_rng(0).normal(0, 0.1, int(_WARM_UP_S * self.predictor.audio.sampling_rate_hz))
        self.predictor.predict(to_float(to_int16(noise)))

    def _answer(self, task: Task) -> Result:
        try:
            return self._judge(task)
        except SerError as error:
            return error

    def _judge(self, task: Task) -> Prediction | np.ndarray:
        from ser.recording import open_recording
        from ser.timeline import predict_recording

        if isinstance(task, Window):
            return self.predictor.predict(task.signal)
        with open_recording(io.BytesIO(task.content), self.predictor.audio, self._limits) as recording:
            if isinstance(task, Clip):
                return predict_recording(recording, self.predictor)
            return np.concatenate([to_int16(block) for block in recording.blocks()])


def _load(folder: Path, settings: Settings) -> Engine:
    from ser.predictor import Predictor

    engine = Engine(Predictor.load(folder, settings.threads), settings)
    engine.warm_up()
    return engine


_engine: Engine | None = None  # of this worker process


def _load_in_process(folder: Path, settings: Settings) -> Served:
    global _engine
    # Signals for the whole group (Ctrl-C, a service manager) must not break what is in work: the server ends us in its time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with_server, daemon=True).start()
    _engine = _load(folder, settings)
    return Served.of(_engine.predictor)


def _end_with_server() -> None:
    server = multiprocessing.parent_process()
    if server is not None:
        server.join()
        os._exit(1)


def _run_in_process(tasks: Sequence[Task]) -> list[Result]:
    assert _engine is not None
    return _engine.run(tasks)


class ThreadWorker:
    """A thread of the server; shares the predictor with its like."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ser-worker")

    async def start(self) -> Served:
        """Nothing to load."""
        return Served.of(self._engine.predictor)

    async def run(self, tasks: Sequence[Task]) -> list[Result]:
        """One result a task, in order."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._engine.run, tasks)

    def stop(self) -> None:
        """Let the thread go; it ends with what it has in work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class ProcessWorker:
    """A process with a predictor of its own, replaced when a file kills or blocks it."""

    def __init__(
        self,
        load: Callable[[], Served],
        run: Callable[[Sequence[Task]], list[Result]],
        timeout_s: float,
        restarted: Callable[[], None],
    ) -> None:
        self._load = load  # both run in the process
        self._run = run
        self._timeout_s = timeout_s
        self._restarted = restarted
        self._pool: Executor | None = None
        self._served: Served | None = None

    async def start(self) -> Served:
        """Start a process, load the model and warm it.

        Raises:
            ser.bundle.BundleError: the model cannot be loaded.
        """
        for variable in _THREAD_LIMITS:  # read by the process when it starts; there is a process a core already
            os.environ.setdefault(variable, "1")
        self._pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self._served = await asyncio.get_running_loop().run_in_executor(self._pool, self._load)
        return self._served

    async def run(self, tasks: Sequence[Task]) -> list[Result]:
        """One result a task, in order.

        Raises:
            WorkerLost: the process died of the tasks or took too long, and has been replaced.
        """
        if self._served is None:  # the last attempt to replace the process failed
            await self.start()
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._run, tasks)
        try:
            return await asyncio.wait_for(work, self._timeout_s)
        except TimeoutError:
            os.kill(self._served.process, signal.SIGKILL)
            reason = f"took more than {self._timeout_s:g} s"
        except BrokenExecutor:
            reason = "ended the process that read it"
        self._pool.shutdown(wait=False)
        self._served = None
        self._restarted()
        logger.warning("A worker was replaced: a batch of %d %s", len(tasks), reason)
        await self.start()
        raise WorkerLost(f"undecodable: it {reason}")

    def stop(self) -> None:
        """End the process after what it has in work."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def make_workers(settings: Settings, metrics: "Metrics", predictor: "Predictor | None") -> list[ThreadWorker | ProcessWorker]:
    """Processes as set, or threads around a predictor that is given (or loaded here, with `processes` 0).

    Raises:
        ser.bundle.BundleError: no such model, or it is damaged: said here, before a server is started.
    """
    from ser.bundle import find_bundle, read_bundle

    if predictor is None and settings.processes:
        folder = find_bundle(settings.model)
        read_bundle(folder)
        load = partial(_load_in_process, folder, settings)
        restarted = metrics.worker_restarts.inc
        return [ProcessWorker(load, _run_in_process, settings.job_timeout_s, restarted) for _ in range(settings.processes)]
    engine = _load(find_bundle(settings.model), settings) if predictor is None else Engine(predictor, settings)
    return [ThreadWorker(engine) for _ in range(settings.processes or _THREADS_WITHOUT_PROCESSES)]


@dataclass(eq=False, frozen=True)
class _Job:
    task: Task
    answer: asyncio.Future

    @property
    def n_bytes(self) -> int:
        return self.task.signal.nbytes if isinstance(self.task, Window) else len(self.task.content)


class Batcher:
    """The queue between the doors and the workers. All methods belong to the event loop."""

    def __init__(self, workers: Sequence[ThreadWorker | ProcessWorker], settings: Settings, metrics: "Metrics") -> None:
        self._workers = workers
        self._settings = settings
        self._metrics = metrics
        self._waiting: deque[_Job] = deque()
        self._held: set[_Job] = set()  # waiting or in work
        self._arrived = asyncio.Condition()
        self._free = len(workers)  # workers without work
        self._stopping = False
        self._serving: list[asyncio.Task] = []

    async def start(self) -> Served:
        """Load the workers; back when all of them are ready."""
        served = await asyncio.gather(*(worker.start() for worker in self._workers))
        self._serving = [asyncio.create_task(self._serve(worker)) for worker in self._workers]
        return served[0]

    @property
    def ready(self) -> bool:
        """Whether tasks are taken."""
        return bool(self._serving) and not self._stopping

    def full(self, n_tasks: int = 1, n_bytes: int = 0) -> bool:
        """Whether so much more would be refused."""
        held_bytes = sum(job.n_bytes for job in self._held)
        return len(self._held) + n_tasks > self._settings.max_queue or held_bytes + n_bytes > self._settings.max_queued_bytes

    async def submit(self, tasks: Sequence[Task], *, admitted: bool = False) -> list[asyncio.Future]:
        """Put tasks into the queue, all or none; a future of a `Result` each. Cancelling one takes its task out.

        Args:
            tasks: what to do.
            admitted: for the windows of a stream or timeline that has its place already, and keeps at most a few in here.

        Raises:
            Busy: the queue is full.
            Stopping: the server is going down.
        """
        jobs = [_Job(task, asyncio.get_running_loop().create_future()) for task in tasks]
        async with self._arrived:
            if self._stopping:
                raise Stopping("the server is stopping; ask again in a moment")
            if not admitted and self.full(len(jobs), sum(job.n_bytes for job in jobs)):
                raise Busy("too busy: the queue is full; ask again in a moment")
            for job in jobs:
                self._held.add(job)
                job.answer.add_done_callback(partial(self._release, job))
            self._metrics.queued.set(len(self._held))
            self._waiting.extend(jobs)
            self._arrived.notify(len(jobs))
        return [job.answer for job in jobs]

    async def stop(self) -> None:
        """Finish what is in the queue, refuse more, end the workers."""
        self._stopping = True
        async with self._arrived:
            self._arrived.notify_all()
        await asyncio.gather(*self._serving)
        for job in list(self._held):  # nobody is left to do it; a thread may be waiting for it
            job.answer.cancel()
        await asyncio.gather(*(asyncio.to_thread(worker.stop) for worker in self._workers))

    def _release(self, job: _Job, _: asyncio.Future) -> None:
        self._held.discard(job)
        if job.answer.cancelled() and job in self._waiting:
            self._waiting.remove(job)
        self._metrics.queued.set(len(self._held))

    async def _serve(self, worker: ThreadWorker | ProcessWorker) -> None:
        while self._waiting or not self._stopping:
            if jobs := await self._take():
                self._free -= 1
                await self._run(worker, jobs)
                self._free += 1

    async def _take(self) -> list[_Job]:
        async with self._arrived:
            await self._arrived.wait_for(lambda: self._waiting or self._stopping)
        if self._settings.batch_wait_s:
            await asyncio.sleep(self._settings.batch_wait_s)
        share = math.ceil(len(self._waiting) / self._free)  # leave as much to each other worker that is free
        jobs: list[_Job] = []
        while self._waiting and len(jobs) < min(share, self._settings.max_batch):
            large = self._waiting[0].n_bytes > _ONE_CLIP_BYTES
            if jobs and large:
                break
            jobs.append(self._waiting.popleft())
            if large:
                break
        return jobs

    async def _run(self, worker: ThreadWorker | ProcessWorker, jobs: list[_Job]) -> None:
        started = time.perf_counter()
        (results,) = await asyncio.gather(worker.run([job.task for job in jobs]), return_exceptions=True)
        if isinstance(results, BaseException) and len(jobs) > 1:  # one of them did it; alone, the others get their answers
            for job in jobs:
                await self._run(worker, [job])
            return
        self._metrics.batch_clips.observe(len(jobs))
        self._metrics.batch_seconds.observe(time.perf_counter() - started)
        for job, result in zip(jobs, results if isinstance(results, list) else [results], strict=True):
            if not job.answer.done():
                if isinstance(result, BaseException):
                    job.answer.set_exception(result)
                else:
                    job.answer.set_result(result)


class QueuedPredictor:
    """Stands for the predictor in a thread of the server that follows a recording: the windows go through the queue."""

    def __init__(self, batcher: Batcher, served: Served) -> None:
        self._batcher = batcher
        self._loop = asyncio.get_running_loop()
        self.emotions = served.emotions
        self.audio = served.audio
        self.description = served.description

    def predict(self, signal: np.ndarray, profile: "Profile | None" = None) -> Prediction:
        """As `ser.predictor.Predictor.predict`; not to be called on the event loop."""
        return self.predict_batch([signal], profile)[0]

    def predict_batch(self, signals: Sequence[np.ndarray], profile: "Profile | None" = None) -> list[Prediction]:
        """As `ser.predictor.Predictor.predict_batch`; not to be called on the event loop."""
        assert profile is None, "the API knows nothing of speakers"
        return asyncio.run_coroutine_threadsafe(self._judge(signals), self._loop).result()

    async def _judge(self, signals: Sequence[np.ndarray]) -> list[Prediction]:
        return await asyncio.gather(*await self._batcher.submit([Window(each) for each in signals], admitted=True))


async def first_of(work: Awaitable[Any], hung_up: Awaitable[None]) -> Any:
    """The result of `work`, or None when the client hangs up first: then the work is cancelled."""
    tasks = [asyncio.ensure_future(work), asyncio.ensure_future(hung_up)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return tasks[0].result() if tasks[0].done() else None
    finally:
        for task in tasks:
            task.cancel()
