"""Work over processes: order kept, memory flat, failures told."""

import math
import os
import signal
import time
from multiprocessing.context import SpawnProcess

import pytest

from ser.parallel import _THREAD_LIMITS, WorkerError, each, workers


@pytest.fixture(autouse=True)
def two_workers(monkeypatch):
    monkeypatch.setenv("SER_WORKERS", "2")
    for name in _THREAD_LIMITS:  # set, then removed: so that what `each` sets is taken back after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def slow_at_first(n):
    time.sleep(0.3 if n == 0 else 0)
    return n, os.getpid(), os.environ["OMP_NUM_THREADS"]


def die_at_five(n):
    if n == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def test_results_come_in_order_from_several_processes_while_few_items_are_under_way():
    taken, ahead = [], []

    def items():
        for n in range(200):
            taken.append(n)
            yield n

    results = []
    for result in each(slow_at_first, items(), total=200, name="test", chunk=2):
        results.append(result)
        ahead.append(len(taken) - len(results))
    assert [n for n, *_ in results] == list(range(200))
    assert max(ahead) <= 3 * 2 * 2
    assert os.getpid() not in {pid for _, pid, _ in results}
    assert len({pid for _, pid, _ in results}) == 2
    assert {threads for *_, threads in results} == {"1"}


def test_an_error_in_a_worker_is_raised_here():
    found = []
    with pytest.raises(ValueError, match="math domain error"):
        for result in each(math.sqrt, [4, 9, -1, 16], total=4, name="test", chunk=1):
            found.append(result)
    assert found == [2, 3]


def test_a_killed_worker_is_one_sentence_with_the_way_out():
    with pytest.raises(WorkerError, match=r"spectrogram: a worker process died after \d of 40 clips .*SER_WORKERS=1"):
        list(each(die_at_five, range(40), total=40, name="spectrogram", chunk=1))


def die_at_the_sixth(item):
    if item[0] == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)


def test_a_worker_killed_while_a_batch_larger_than_a_pipe_is_handed_over_is_told_too():
    """The pool's thread is in the midst of writing it, and nobody reads on."""
    items = ((n, bytes(1_000_000)) for n in range(40))
    with pytest.raises(WorkerError, match="test: a worker process died"):
        list(each(die_at_the_sixth, items, total=40, name="test", chunk=1))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_killed_while_the_next_one_starts_is_told_too(monkeypatch, moment):
    """The pool ends the workers that it knows of, and does not know of the second one yet."""
    start, started = SpawnProcess.start, []

    def kill_the_first():
        started[0].kill()
        time.sleep(0.5)  # for the pool to notice

    def start_and_kill(worker):
        if started and moment == "before":
            kill_the_first()
        start(worker)
        started.append(worker)
        if len(started) == 2 and moment == "after":
            kill_the_first()

    monkeypatch.setattr(SpawnProcess, "start", start_and_kill)
    with pytest.raises(WorkerError, match="test: a worker process died after 0 of 40 clips"):
        list(each(time.sleep, [5] + [0] * 39, total=40, name="test", chunk=1))
    assert not any(worker.is_alive() for worker in started)


def test_nothing_to_do_starts_nothing():
    assert list(each(math.sqrt, [], total=0, name="test")) == []


def test_workers_are_those_asked_for_or_the_cores_at_hand(monkeypatch):
    assert workers() == 2
    monkeypatch.delenv("SER_WORKERS")
    assert workers() == len(os.sched_getaffinity(0))


def test_a_number_of_workers_that_is_none_is_one_sentence(monkeypatch):
    monkeypatch.setenv("SER_WORKERS", "many")
    with pytest.raises(WorkerError, match="SER_WORKERS is 'many'"):
        workers()
