"""Make the next batches in a thread while the network works on this one."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
_END = object()


def ahead(items: Iterable[T], n: int = 2) -> Iterator[T]:
    """Yield the items in order, up to `n` of them made in advance; what their making raises is raised here.

    Abandoning the iteration stops the thread at its next item.
    """
    ready: queue.Queue = queue.Queue(maxsize=n)
    stopped = threading.Event()

    def make() -> None:
        try:
            for item in items:
                if not _put(ready, item, stopped):
                    return
            _put(ready, _END, stopped)
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, which raises it
            _put(ready, error, stopped)

    threading.Thread(target=make, daemon=True, name="prefetch").start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()


def _put(ready: queue.Queue, item: object, stopped: threading.Event) -> bool:
    """Wait for room, but not for a consumer that has gone; whether the item was taken."""
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.5)
            return True
        except queue.Full:
            continue
    return False
