import asyncio
import json
from contextlib import asynccontextmanager

import numpy as np
import pytest
from starlette.testclient import WebSocketDenialResponse

from ser.api.app import create_app
from ser.api.settings import Settings
from tests.test_api_app import EMOTIONS, RATE_HZ, FakePredictor, audio_file, serving, tone

END = '{"end": true}'


@pytest.fixture(scope="module")
def client():
    with serving(max_frame_bytes=64_000) as client:
        yield client


def spoken(seconds):
    """Int16: what changes all the time, so that each window has an answer of its own."""
    noise = np.random.default_rng(5).normal(0, 2000, round(seconds * RATE_HZ))
    return (noise * np.linspace(0.2, 1, len(noise)) + tone(seconds)).astype(np.int16)


def streamed(client, samples, n_bytes, address="/stream"):
    """All messages of a stream whose frames have so many bytes."""
    data, messages = samples.astype("<i2").tobytes(), []
    with client.websocket_connect(address) as socket:
        for start in range(0, len(data), n_bytes):
            socket.send_bytes(data[start : start + n_bytes])
        socket.send_text(END)
        while not messages or messages[-1]["type"] != "end":
            messages.append(socket.receive_json())
        assert socket.receive()["code"] == 1000
    return messages


def closing(client, *frames, address="/stream"):
    """Code and reason with which the server answers these frames."""
    with client.websocket_connect(address) as socket:
        for frame in frames:
            socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_text(frame)
        while True:
            message = socket.receive()
            if message["type"] == "websocket.close":
                return message["code"], message["reason"]


@pytest.mark.parametrize("n_bytes", [64_000, 3200, 3201])
def test_a_stream_says_what_the_timeline_says_of_the_same_audio_to_the_bit(client, n_bytes):
    samples = spoken(7.3)
    expected = client.post("/timeline", files={"file": audio_file(samples)}).json()
    ready, *points, end = streamed(client, samples, n_bytes)
    assert [{"type": "point"} | point for point in expected["points"]] == points
    assert len(points) == 14
    assert len({point["confidence"] for point in points}) > 10
    assert end == {"type": "end", "points": len(points), "duration_s": 7.3}
    assert ready["type"] == "ready"
    assert ready["emotions"] == list(EMOTIONS)
    assert (ready["hop_s"], ready["synthetic"], ready["model"]) == (expected["hop_s"], True, "fake")


def test_points_come_while_audio_comes(client):
    with client.websocket_connect("/stream") as socket:
        assert socket.receive_json()["type"] == "ready"
        socket.send_bytes(spoken(1.2).tobytes())
        first = socket.receive_json()
        assert (first["type"], first["end_s"]) == ("point", 1.0)


@pytest.mark.parametrize("rate_hz", [8000, 44100, 48000])
def test_other_rates_give_what_a_file_at_that_rate_gives(client, rate_hz):
    samples = tone(4.0, rate_hz=rate_hz)
    expected = client.post("/timeline", files={"file": audio_file(samples, rate_hz=rate_hz)}).json()["points"]
    _, *points, _ = streamed(client, samples, 9000, f"/stream?sampling_rate_hz={rate_hz}")
    assert [{"type": "point"} | point for point in expected] == points


@pytest.mark.parametrize("rate", ["7999", "48001", "0", "-16000", "1e4", "x", "", "16000.5", "٣٢٠٠٠", "9" * 5000])
def test_a_bad_rate_is_refused_before_the_stream_begins(client, rate):
    with pytest.raises(WebSocketDenialResponse) as refusal, client.websocket_connect(f"/stream?sampling_rate_hz={rate}"):
        pass
    assert refusal.value.status_code == 422
    assert refusal.value.json() == {"error": "sampling_rate_hz must be a whole number from 8000 to 48000."}


@pytest.mark.parametrize("text", ["", "garbage", "{", "[]", '{"end": false}', '{"end": true, "x": 1}', "[" * 5000, "\ud7ff"])
def test_text_other_than_the_end_closes(client, text):
    code, reason = closing(client, text)
    assert code == 1003
    assert "only text" in reason


def test_half_a_sample_at_the_end_closes(client):
    assert closing(client, b"\0" * 801, END) == (1007, "The stream ended in the middle of a 16-bit sample.")


def test_a_giant_frame_closes(client):
    assert closing(client, b"\0" * 64_002) == (1009, "A frame may have 64000 bytes; send shorter ones.")


def test_a_stream_without_audio_ends_without_points(client):
    _, end = streamed(client, np.zeros(0, np.int16), 100)
    assert end == {"type": "end", "points": 0, "duration_s": 0.0}


def test_silence_and_noise_at_full_scale_are_no_errors(client):
    loud = np.where(np.arange(2 * RATE_HZ) % 7 < 3, 32767, -32768).astype(np.int16)
    for samples in (np.zeros(2 * RATE_HZ, np.int16), loud):
        messages = streamed(client, samples, 8000)
        assert messages[-1]["points"] == len(messages) - 2 == 3


def test_the_token_is_asked_of_streams_as_well():
    with serving(token="hush") as client:
        with pytest.raises(WebSocketDenialResponse) as refusal, client.websocket_connect("/stream"):
            pass
        assert refusal.value.status_code == 401
        with client.websocket_connect("/stream", headers={"Authorization": "Bearer hush"}) as socket:
            assert socket.receive_json()["type"] == "ready"


def test_when_all_places_are_taken_a_stream_is_refused_and_a_hang_up_frees_one():
    with serving(max_streams=1) as client:
        for _ in range(3):
            with client.websocket_connect("/stream") as socket:
                socket.receive_json()
                socket.send_bytes(spoken(0.7).tobytes())
                with pytest.raises(WebSocketDenialResponse) as refusal, client.websocket_connect("/stream"):
                    pass
                assert refusal.value.status_code == 429
                assert int(refusal.value.headers["Retry-After"]) >= 1
        assert client.app.state.service.streams.n_open == 0


class Peer:
    """The other end of a WebSocket by hand: what it sends, and whether it reads."""

    def __init__(self):
        self.inbox, self.sent = asyncio.Queue(), []
        self.reads = asyncio.Event()
        self.reads.set()
        self.inbox.put_nowait({"type": "websocket.connect"})

    async def receive(self):
        return await self.inbox.get()

    async def send(self, message):
        if message["type"] == "websocket.send":
            await self.reads.wait()
        self.sent.append(message)

    def say(self, data):
        self.inbox.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self):
        self.inbox.put_nowait({"type": "websocket.disconnect", "code": 1006})


@asynccontextmanager
async def conversation(predictor, **settings):
    app = create_app(Settings(processes=1, batch_wait_s=0.0, **settings), predictor)
    peer = Peer()
    scope = {"type": "websocket", "path": "/stream", "headers": [], "query_string": b"", "subprotocols": [], "scheme": "ws"}
    async with app.router.lifespan_context(app):
        yield peer, asyncio.create_task(app(scope, peer.receive, peer.send)), app.state.service


def closed(peer):
    return [(message["code"], message["reason"]) for message in peer.sent if message["type"] == "websocket.close"]


def test_a_client_that_hangs_up_while_the_predictor_works_frees_its_place():
    predictor = FakePredictor()

    async def run():
        async with conversation(predictor) as (peer, stream, service):
            predictor.gate.clear()
            peer.say(spoken(1.0).tobytes())
            await asyncio.to_thread(predictor.started.acquire)
            assert service.streams.n_open == 1
            peer.leave()
            predictor.gate.set()
            await asyncio.wait_for(stream, 10)
            return service.streams.n_open, closed(peer)

    assert asyncio.run(run()) == (0, [])


def test_a_client_that_sends_no_audio_is_dropped():
    async def run():
        async with conversation(FakePredictor(), stream_idle_s=0.01) as (peer, stream, service):
            await asyncio.wait_for(stream, 10)
            return service.streams.n_open, closed(peer)

    n_open, ((code, reason),) = asyncio.run(run())
    assert (n_open, code) == (0, 1008)
    assert "No audio" in reason


def test_empty_frames_are_no_audio():
    async def run():
        async with conversation(FakePredictor(), stream_idle_s=0.02) as (peer, stream, _):
            while not stream.done():
                peer.say(b"")
                await asyncio.sleep(0)
            return closed(peer)

    assert asyncio.run(run())[0][0] == 1008


def test_a_stream_has_an_end():
    async def run():
        async with conversation(FakePredictor(), max_stream_s=0.02) as (peer, stream, _):
            while not stream.done():
                peer.say(b"\0\0")
                await asyncio.sleep(0)
            return closed(peer)

    assert asyncio.run(run())[0][0] == 1008


def test_a_client_that_does_not_read_is_dropped():
    async def run():
        async with conversation(FakePredictor(), stream_send_s=0.01) as (peer, stream, service):
            peer.reads.clear()
            await asyncio.wait_for(stream, 10)
            return service.streams.n_open, closed(peer)

    n_open, ((code, _),) = asyncio.run(run())
    assert (n_open, code) == (0, 1008)


def test_a_defect_closes_and_frees_the_place():
    predictor = FakePredictor()
    predictor.predict = lambda *_, **__: 1 / 0

    async def run():
        async with conversation(predictor) as (peer, stream, service):
            peer.say(spoken(1.0).tobytes())
            (outcome,) = await asyncio.wait_for(asyncio.gather(stream, return_exceptions=True), 10)
            return outcome, service.streams.n_open, closed(peer)

    outcome, n_open, closes = asyncio.run(run())
    assert isinstance(outcome, ZeroDivisionError)  # the server's log gets it
    assert n_open == 0
    assert closes[0][0] == 1011


def test_many_tiny_frames_do_not_each_cost_a_prediction():
    predictor = FakePredictor()
    with serving(predictor) as client:
        messages = streamed(client, spoken(1.0), 20)
    assert len(messages) == 3
    assert predictor.n_calls == 1


def test_streams_are_counted():
    with serving() as client:
        streamed(client, spoken(1.0), 3200)
        closing(client, "garbage")
        text = client.get("/metrics").text
    assert 'ser_stream_ends_total{code="1000"} 1.0' in text
    assert 'ser_stream_ends_total{code="1003"} 1.0' in text
    assert "ser_stream_points_total 1.0" in text
    assert "ser_streams 0.0" in text


def test_messages_are_plain_json(client):
    for message in streamed(client, spoken(1.0), 3200):
        assert json.loads(json.dumps(message, allow_nan=False)) == message
