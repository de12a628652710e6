import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from ser.cli import workers

pytestmark = pytest.mark.slow  # processes are started and killed

ROOT = Path(__file__).parents[1]


class Doubling:
    """Doubles numbers; -1 kills its process, -2 is a mistake, -3 never ends."""

    def __call__(self, number):
        if number == -1:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == -2:
            raise ValueError("a mistake")
        while number == -3:
            time.sleep(1)
        return 2 * number


def died(number):
    return f"{number} died"


def doubled(numbers, processes):
    return list(workers.each(Doubling, numbers, processes, died))


def left_over(before):
    """Processes that were not there before and do not end by themselves."""
    end = time.monotonic() + 5
    while (left := set(multiprocessing.active_children()) - before) and time.monotonic() < end:
        time.sleep(0.01)  # `join` may return early: the pool's own thread asks after the same processes
    return left


def test_one_process_is_this_one():
    assert list(workers.each(lambda: lambda _: os.getpid(), [1, 2], 1, died)) == [os.getpid()] * 2


def test_answers_come_in_order():
    numbers = list(range(40))
    assert doubled(numbers, 2) == [2 * number for number in numbers]


def test_an_item_that_kills_its_process_costs_only_itself():
    assert doubled([1, 2, -1, 3, 4, 5, 6, 7, 8], 2) == [2, 4, "-1 died", 6, 8, 10, 12, 14, 16]
    assert doubled([-1, -1], 2) == ["-1 died"] * 2


def test_a_mistake_is_passed_on_and_leaves_no_process():
    before = set(multiprocessing.active_children())
    with pytest.raises(ValueError, match="a mistake"):
        doubled([1, -2, -3], 2)
    assert left_over(before) == set()


def test_giving_up_leaves_no_process():
    before = set(multiprocessing.active_children())
    answers = workers.each(Doubling, [1, -3, -3], 2, died)
    assert next(answers) == 2
    answers.close()
    assert left_over(before) == set()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_processes_end_with_their_parent(number, code):
    program = (
        "import click, os, signal, sys\n"
        "from ser.cli.main import LazyGroup\n"
        "from tests.test_cli_workers import Doubling, died\n"
        "from ser.cli import workers\n"
        "class Group(LazyGroup):\n"
        "    def get_command(self, ctx, name):\n"
        "        return click.Command('go', callback=go)\n"
        "def go():\n"
        "    for answer in workers.each(Doubling, [1, 2, -3, -3], 2, died):\n"
        "        print(answer, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # shells start background jobs with it ignored
        "    Group()(['go'])\n"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, text=True, **pipes) as process:
        assert [process.stdout.readline() for _ in range(2)] == ["2\n", "4\n"]
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does
        else:
            process.send_signal(number)
        process.stdout.read()  # ends when every process that holds it has ended
        said = process.stderr.read()
    assert process.returncode == code
    if number == signal.SIGINT:
        assert said == "interrupted\n"
    gone = partial(os.killpg, process.pid, 0)
    with pytest.raises(ProcessLookupError):
        for _ in range(100):  # the kernel clears up
            gone()
            time.sleep(0.05)
