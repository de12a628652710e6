"""The API behind a real server in a process of its own: sockets, signals, and clients that misbehave below HTTP."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.test_api_app import FakePredictor, audio_file
from tests.test_api_streaming import END, spoken

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]


class HeldPredictor(FakePredictor):
    """Answers once somebody writes to the pipe that $HOLD names, at once without one."""

    def predict(self, signal, profile=None):
        if pipe := os.environ.get("HOLD"):
            Path(pipe).read_bytes()
        return super().predict(signal)


def main():
    import logging

    from ser.api.app import serve
    from ser.api.settings import Settings

    logging.basicConfig(level=logging.WARNING)
    serve(Settings.from_environment(), port=0, predictor=HeldPredictor())


class Server:
    """A running server: where it is, and its process."""

    def __init__(self, process):
        self.process = process
        self.log = []
        for line in process.stderr:
            self.log.append(line)
            if match := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(match[1])
                break
        else:
            raise AssertionError("no server: " + "".join(self.log))
        self._reader = threading.Thread(target=lambda: self.log.extend(process.stderr), daemon=True)
        self._reader.start()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def stream(self, **options):
        return connect(f"ws://127.0.0.1:{self.port}/stream", **options)

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.http.get("/metrics").text, re.MULTILINE)[1])

    def wait_for(self, name, value):
        for _ in range(500):
            if self.metric(name) == value:
                return
        raise AssertionError(f"{name} stays {self.metric(name)}, not {value}")

    def raw(self, data):
        """Send bytes as they are; the answer's first line and all that follows."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            answer = b""
            while b"}" not in answer and (part := connection.recv(65536)):
                answer += part
        return answer.decode()


@contextmanager
def running(**environment):
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.test_api_server import main; main()"],
        cwd=ROOT,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Server(process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server():
    with running(
        SER_MAX_UPLOAD_BYTES="1000000", SER_UPLOAD_TIMEOUT_S="3", SER_MAX_STREAMS="2", SER_MAX_FRAME_BYTES="64000"
    ) as server:
        yield server
        assert server.process.poll() is None
    assert "Exception in ASGI" not in (log := "".join(server.log)), log


def test_an_upload_is_answered(server):
    reply = server.http.post("/predict", files={"file": audio_file()})
    assert reply.status_code == 200, reply.text
    assert reply.json()["emotion"] in FakePredictor.emotions


def test_an_endless_upload_is_cut_off_with_an_answer(server):
    def body():
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(150):
            yield bytes(10_000)

    reply = server.http.post("/predict", content=body(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.status_code == 413
    assert "too large" in reply.json()["error"]


@pytest.mark.parametrize("expect", ["", "Expect: 100-continue\r\n"])
def test_two_gigabytes_are_refused_by_their_announcement(server, expect):
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 2147483648\r\n"
    answer = server.raw((head + expect + "\r\n").encode())
    assert answer.startswith("HTTP/1.1 413")
    assert '{"error":' in answer


def test_a_client_that_stops_sending_is_told_so(server):
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000\r\n\r\n--b"
    assert server.raw(head.encode()).startswith("HTTP/1.1 408")


@pytest.mark.parametrize("data", [b"\x00\xff\x16garbage\r\n\r\n", b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n"])
def test_what_is_not_http_does_no_harm(server, data):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert server.http.get("/health").json()["ready"]


def test_a_stream_over_a_socket_says_what_the_timeline_says(server):
    samples, messages = spoken(3.2), []
    with server.stream() as stream:
        data = samples.tobytes()
        for start in range(0, len(data), 3001):
            stream.send(data[start : start + 3001])
        stream.send(END)
        with pytest.raises(ConnectionClosed):
            while True:
                messages.append(httpx.Response(200, text=stream.recv()).json())
        assert stream.close_code == 1000
    expected = server.http.post("/timeline", files={"file": audio_file(samples)}).json()["points"]
    assert [{"type": "point"} | point for point in expected] == messages[1:-1]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (bytes(64_002), 1009),  # our limit
        ("garbage", 1003),
    ],
)
def test_malformed_frames_close_with_a_code(server, frame, code):
    with server.stream() as stream:
        stream.recv()
        stream.send(frame)
        with pytest.raises(ConnectionClosed):
            while True:
                stream.recv()
        assert stream.close_code == code
    server.wait_for("ser_streams", 0)


def test_a_frame_beyond_the_servers_own_limit_is_refused_by_its_length(server):
    with server.stream() as stream:
        stream.recv()
        # its head alone: a client that is still sending when the server closes may lose the code to a reset
        stream.socket.sendall(b"\x82\xff" + (3_000_000).to_bytes(8, "big") + bytes(4))
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=10)
        assert stream.close_code == 1009
    server.wait_for("ser_streams", 0)


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x82\x00\x00\x00\x00\xff\xfe",  # text that is not UTF-8
        b"\xf2\x80\x00\x00\x00\x00",  # reserved bits
        b"\x82\x02ab",  # not masked
        b"\x83\x80\x00\x00\x00\x00",  # unknown opcode
        b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff",  # a length of 2**64
        b"\x80\x82\x00\x00\x00\x00ab",  # goes on what never began
    ],
)
def test_what_is_not_a_frame_ends_the_stream_and_frees_its_place(server, frame):
    with server.stream() as stream:
        stream.recv()
        stream.socket.sendall(frame)
        with pytest.raises(ConnectionClosed):
            stream.recv(timeout=10)
    server.wait_for("ser_streams", 0)


def test_clients_that_vanish_free_their_places(server):
    for _ in range(6):  # three times as many as there are places
        stream = server.stream()
        stream.send(spoken(0.6).tobytes())
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset, not closed
        stream.socket.close()
        server.wait_for("ser_streams", 0)


def test_told_to_stop_it_finishes_what_is_in_work_and_takes_no_more(tmp_path):
    pipe = tmp_path / "hold"
    os.mkfifo(pipe)
    replies = []
    with running(HOLD=str(pipe)) as server:
        asking = threading.Thread(target=lambda: replies.append(server.http.post("/predict", files={"file": audio_file()})))
        with server.stream() as stream, httpx.Client(base_url=server.http.base_url) as other:
            stream.recv()
            asking.start()
            while "ser_queued_clips 1.0" not in other.get("/metrics").text:
                pass
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                stream.recv()
            assert stream.close_code == 1012
        with pytest.raises(httpx.ConnectError):
            while True:
                httpx.get(f"http://127.0.0.1:{server.port}/health")
        pipe.write_bytes(b"go on")
        asking.join(20)
        assert replies[0].status_code == 200
        assert server.process.wait(20) in {0, -signal.SIGTERM}  # uvicorn raises the signal again once all is done
