"""Work spread over processes: answers in order, and an item that kills its process costs nobody else theirs."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_AHEAD = 3  # items handed to each process before their turn, so that none waits and memory stays flat

_function: Callable[[Any], Any]  # of a worker process


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def each(make: Callable[[], Callable[[T], R]], items: Iterable[T], processes: int, died: Callable[[T], R]) -> Iterator[R]:
    """Yield `make()(item)` for each item, in order.

    Args:
        make: called once in each process, such as to load a model; can be pickled.
        items: what to work on; can be pickled if there is more than one process.
        processes: 1 works in this process.
        died: the answer for an item whose process died twice, once of them alone (a crash in a decoder, no memory left).
    """
    if processes == 1:
        yield from map(make(), items)
    else:
        yield from _pooled(make, deque(items), processes, processes * _AHEAD, died)


def _pooled(make: Callable, queue: deque, processes: int, at_once: int, died: Callable) -> Iterator:
    while queue:
        under_way: deque[tuple[Any, Future]] = deque()
        try:
            with _pool(make, processes) as pool:
                yield from _in_order(pool, queue, under_way, at_once)
        except BrokenProcessPool:  # one of those under way did it; nobody says which, so each is tried alone
            if at_once > 1:
                yield from _pooled(make, deque(item for item, _ in under_way), 1, 1, died)
            elif under_way:
                yield died(under_way[0][0])


def _in_order(pool: ProcessPoolExecutor, queue: deque, under_way: deque, at_once: int) -> Iterator:
    while queue or under_way:
        while queue and len(under_way) < at_once:
            with _interrupts_held():
                future = pool.submit(_work, queue[0])
            under_way.append((queue.popleft(), future))
        answer = under_way[0][1].result()
        under_way.popleft()
        yield answer


@contextmanager
def _pool(make: Callable, processes: int) -> Iterator[ProcessPoolExecutor]:
    """Spawned processes (forking under audio and BLAS threads deadlocks), ended at once if the work is given up."""
    for variable in _THREAD_LIMITS:  # read by the processes when they start; two threads a core only slow each other
        os.environ.setdefault(variable, "1")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _start, (make,))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    pool.shutdown()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which the terminal sends to all: ending them is for their parent."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start(make: Callable) -> None:
    global _function
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _function = make()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()  # a killed parent cannot tell its processes, which would wait for work for ever
        os._exit(1)


def _work(item: Any) -> Any:
    return _function(item)
