import asyncio
import os
import signal
import time

import pytest

from ser.api.batching import Batcher, Busy, Clip, Engine, ProcessWorker, Served, Stopping, ThreadWorker, Window, WorkerLost
from ser.api.monitoring import Metrics
from ser.api.settings import Settings
from ser.audio import AudioError
from tests.test_api_app import FakePredictor, audio_file, tone

SIGNAL = tone().astype("float32") / 32768


@pytest.fixture
def predictor():
    predictor = FakePredictor()
    yield predictor
    predictor.gate.set()


class Counted(Engine):
    """Notes how many tasks it gets at once."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.batches = []

    def run(self, tasks):
        self.batches.append(len(tasks))
        return super().run(tasks)


def batcher(predictor, n_workers=1, **settings):
    settings = Settings(batch_wait_s=0.0, **settings)
    engine = Counted(predictor, settings)
    return Batcher([ThreadWorker(engine) for _ in range(n_workers)], settings, Metrics()), engine.batches


async def held(queue, predictor, n_tasks):
    """Futures of tasks of which the workers hold the first ones."""
    predictor.gate.clear()
    first = await queue.submit([Window(SIGNAL)])
    await asyncio.to_thread(predictor.started.acquire)
    return first + await queue.submit([Window(SIGNAL)] * (n_tasks - 1))


def test_what_waits_is_taken_at_once_up_to_the_limit(predictor):
    async def run():
        queue, batches = batcher(predictor, max_batch=4)
        await queue.start()
        futures = await held(queue, predictor, 10)
        predictor.gate.set()
        await asyncio.gather(*futures)
        await queue.stop()
        return batches

    assert asyncio.run(run()) == [1, 4, 4, 1]


def test_free_workers_share_what_waits(predictor):
    async def run():
        queue, batches = batcher(predictor, n_workers=2)
        await queue.start()
        await asyncio.gather(*await queue.submit([Window(SIGNAL)] * 6))
        await queue.stop()
        return batches

    assert asyncio.run(run()) == [3, 3]


def test_one_bad_task_leaves_its_neighbours_their_answers(predictor):
    async def run():
        queue, _ = batcher(predictor)
        await queue.start()
        tasks = [Window(SIGNAL), Window(SIGNAL[:100]), Clip(b""), Clip(audio_file())]
        answers = await asyncio.gather(*await queue.submit(tasks), return_exceptions=True)
        await queue.stop()
        return answers

    first, short, empty, last = asyncio.run(run())
    assert isinstance(short, AudioError)
    assert isinstance(empty, AudioError)
    assert first.as_dict() == last.as_dict() == predictor.predict(SIGNAL).as_dict()


def test_a_defect_hits_the_task_that_has_it_alone(predictor):
    judge = predictor.predict

    def fragile(signal, profile=None):
        if len(signal) == 8000:
            raise ZeroDivisionError
        return judge(signal)

    predictor.predict = fragile

    async def run():
        queue, _ = batcher(predictor)
        await queue.start()
        tasks = [Window(SIGNAL), Window(SIGNAL[:8000]), Window(SIGNAL)]
        answers = await asyncio.gather(*await queue.submit(tasks), return_exceptions=True)
        await queue.stop()
        return answers

    first, bad, last = asyncio.run(run())
    assert isinstance(bad, ZeroDivisionError)
    assert first.as_dict() == last.as_dict()


def test_count_and_bytes_in_the_queue_are_bounded_but_not_for_those_admitted(predictor):
    async def run():
        queue, _ = batcher(predictor, max_queue=3, max_files=1, max_queued_bytes=300_000)
        await queue.start()
        futures = await held(queue, predictor, 3)
        with pytest.raises(Busy):
            await queue.submit([Window(SIGNAL)])
        futures += await queue.submit([Window(SIGNAL)], admitted=True)
        predictor.gate.set()
        await asyncio.gather(*futures)
        with pytest.raises(Busy):
            await queue.submit([Clip(bytes(300_001))])
        assert not queue.full()
        await queue.stop()

    asyncio.run(run())


def test_a_cancelled_task_is_not_done_and_makes_room(predictor):
    async def run():
        queue, _ = batcher(predictor, max_queue=2, max_files=1)
        await queue.start()
        running, waiting = await held(queue, predictor, 2)
        waiting.cancel()
        await asyncio.sleep(0)
        other = await queue.submit([Window(SIGNAL)])
        predictor.gate.set()
        await asyncio.gather(running, *other)
        await queue.stop()

    asyncio.run(run())
    assert predictor.n_calls == 2


def test_stopping_finishes_what_waits_and_refuses_more(predictor):
    async def run():
        queue, _ = batcher(predictor, max_batch=1)
        await queue.start()
        futures = await held(queue, predictor, 5)
        stopping = asyncio.create_task(queue.stop())
        await asyncio.sleep(0)
        assert not queue.ready
        with pytest.raises(Stopping):
            await queue.submit([Window(SIGNAL)])
        predictor.gate.set()
        await stopping
        return [future.result().emotion for future in futures]

    assert len(asyncio.run(run())) == 5


# What runs in worker processes.


def load():
    return Served("fake", FakePredictor.emotions, FakePredictor.audio, {}, os.getpid())


def obey(tasks):
    """Do what the clips say."""
    if any(task.content == b"die" for task in tasks):
        os.kill(os.getpid(), signal.SIGKILL)
    if any(task.content == b"hang" for task in tasks):
        time.sleep(600)
    return [AudioError(task.content.decode()) for task in tasks]


@pytest.mark.slow
@pytest.mark.parametrize("deed", [b"die", b"hang"])
def test_a_file_that_kills_or_blocks_its_process_is_refused_and_the_rest_is_served(deed):
    restarts = []

    async def run():
        worker = ProcessWorker(load, obey, 1.0, lambda: restarts.append(1))
        queue = Batcher([worker], Settings(), Metrics())
        first = (await queue.start()).process
        answers = await asyncio.gather(*await queue.submit([Clip(b"a"), Clip(deed), Clip(b"b")]), return_exceptions=True)
        await queue.stop()
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        return answers

    before, bad, after = asyncio.run(run())
    assert (str(before), str(after)) == ("a", "b")
    assert isinstance(bad, WorkerLost)
    assert "undecodable" in str(bad)
    assert len(restarts) == 2  # with its neighbours, then alone


def refuse():
    raise AudioError("no model here")


@pytest.mark.slow
def test_a_process_that_cannot_load_says_why():
    worker = ProcessWorker(refuse, obey, 1.0, lambda: None)
    with pytest.raises(AudioError, match="no model here"):
        asyncio.run(worker.start())
    worker.stop()
