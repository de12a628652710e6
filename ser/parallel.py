"""Work spread over processes, results in order, memory flat, a dead worker reported in a sentence."""

import logging
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

from ser.errors import SerError

T = TypeVar("T")
R = TypeVar("R")
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class WorkerError(SerError):
    """A worker process died, or none can be started."""


def workers() -> int:
    """How many processes to use: `SER_WORKERS`, or the cores this process may run on.

    Raises:
        WorkerError: the variable is not a whole number.
    """
    asked = os.environ.get("SER_WORKERS", "")
    if asked and not asked.isdecimal():
        raise WorkerError(f"SER_WORKERS is '{asked}': give a whole number, or unset it for one process a core")
    return int(asked or 0) or len(os.sched_getaffinity(0))


def each(function: Callable[[T], R], items: Iterable[T], *, total: int, name: str, chunk: int = 8) -> Iterator[R]:
    """Yield `function(item)` for each item, in order, computed in spawned processes with a progress bar.

    At most a few chunks a worker are under way, so memory does not grow with the number of items.
    Processes are spawned, not forked: forking under audio and BLAS threads deadlocks (librosa#381).

    Raises:
        WorkerError: a worker was killed (often: out of memory) or crashed.
    """
    n_workers = min(workers(), max(1, -(-total // chunk)))
    for variable in _THREAD_LIMITS:  # read by the children when they start; two threads a core only slow each other
        os.environ.setdefault(variable, "1")
    source = iter(items)
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with (
        ProcessPoolExecutor(n_workers, mp_context=context) as pool,
        tqdm(total=total, desc=name, unit="clip", mininterval=1.0) as bar,
    ):
        # A thread writes batches into a pipe, and a pool that ends waits for it. Where the last worker has died nobody reads that
        # pipe, so that a batch larger than it would keep this process for ever (cpython gh-94777: in Debian 12's 3.11.2).
        pool._call_queue.cancel_join_thread()  # noqa: SLF001 - there is no public way
        pending: deque = deque()
        try:
            while True:
                while len(pending) < 3 * n_workers and (batch := list(islice(source, chunk))):
                    pending.append(_submit(pool, function, batch))
                if not pending:
                    return
                for result in pending.popleft().result():
                    bar.update()
                    yield result
        except BrokenProcessPool:
            logging.getLogger(__name__).debug("pool broke", exc_info=True)
            # The pool ends the workers it knew of when one died, and waits for all: one started meanwhile would wait for ever.
            for worker in set(multiprocessing.active_children()).difference(others):
                worker.kill()
            raise WorkerError(
                f"{name}: a worker process died after {bar.n} of {total} clips (killed, or out of memory); "
                "nothing was kept of this stage. Run `dvc repro` again, with SER_WORKERS=1 if memory is short"
            ) from None
        finally:
            for future in pending:
                future.cancel()


def _submit(pool: ProcessPoolExecutor, function: Callable[[T], R], batch: list[T]) -> Future:
    try:
        return pool.submit(_run, function, batch)
    except OSError as error:  # starting a worker: no memory, or another one's death has closed what they share
        raise BrokenProcessPool from error


def _run(function: Callable[[T], R], batch: list[T]) -> list[R]:
    return [function(item) for item in batch]
