import asyncio
import io
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from ser.api.app import create_app, shown_name
from ser.api.settings import Settings
from ser.audio import AudioError, AudioParams
from ser.bundle import BundleError
from ser.prediction import Prediction

RATE_HZ = 16000
EMOTIONS = ("anger", "happiness", "sadness")


class FakePredictor:
    """Answers depend on every sample; `gate` holds them back."""

    folder = Path("/srv/secret/models/fake")
    emotions = EMOTIONS
    audio = AudioParams(RATE_HZ, minimum_s=0.3, silence_peak=0.001)
    description = {
        "model": "hybrid",
        "synthetic": True,
        "corpora": ["emodb"],
        "licences": {"emodb": "CC0"},
        "metrics": {"test": {"mean_of_corpora": {"uar": 0.5}}},
        "limits": ["Acted speech."],
        "n_parameters": 7,
        "folder": "/srv/secret/models/fake",
    }

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Semaphore(0)
        self.threads = set()
        self.n_calls = 0

    def predict(self, signal, profile=None):
        self.n_calls += 1
        self.threads.add(threading.get_ident())
        self.started.release()
        assert self.gate.wait(30), "nobody opened the gate"
        return self._predict(signal)

    def predict_batch(self, signals, profile=None):
        return [self.predict(signal) for signal in signals]

    def _predict(self, signal):
        if len(signal) < 0.3 * RATE_HZ:
            raise AudioError("too short")
        weights = 1.5 + np.sin(np.outer(np.arange(1, 4), np.arange(len(signal))))
        scores = 5 * (weights @ np.abs(signal.astype(np.float64))) / (1 + np.abs(signal).sum())
        probabilities = np.exp(scores) / np.exp(scores).sum()
        return Prediction(EMOTIONS, probabilities, unsure_below=0.4, duration_s=len(signal) / RATE_HZ)


def tone(seconds=1.0, f0_hz=220.0, rate_hz=RATE_HZ):
    """Int16, shape (n_samples,)."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.rint(9000 * np.sin(2 * np.pi * f0_hz * t) * (1.2 + np.sin(2 * np.pi * 1.7 * t)) / 2.2).astype(np.int16)


def audio_file(samples=None, rate_hz=RATE_HZ, form="WAV", subtype=None):
    file = io.BytesIO()
    soundfile.write(file, tone() if samples is None else samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def serving(predictor=None, **settings):
    return TestClient(create_app(Settings(**{"processes": 2, "batch_wait_s": 0.0} | settings), predictor or FakePredictor()))


@pytest.fixture
def predictor():
    predictor = FakePredictor()
    yield predictor
    predictor.gate.set()  # whatever failed, nobody waits for ever


@pytest.fixture(scope="module")
def client():
    with serving(max_duration_s=20.0) as client:
        yield client


def test_a_file_is_judged_as_the_predictor_judges_its_signal(client):
    expected = FakePredictor().predict(tone().astype(np.float32) / 32768)
    reply = client.post("/predict", files={"file": ("a.wav", audio_file())})
    assert reply.status_code == 200
    assert reply.json() == expected.as_dict() | {"model": "fake", "synthetic": True}


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3"])
def test_other_formats_are_taken(client, form):
    assert client.post("/predict", files={"file": audio_file(form=form)}).status_code == 200


def not_a_number():
    samples = tone() / 32768
    samples[100] = np.nan
    return audio_file(samples, subtype="FLOAT")


BAD = {
    "empty": (b"", "empty"),
    "text": (b"I am not a sound at all, only words.", "text"),
    "noise": (bytes(range(256)) * 20, "undecodable"),
    "header only": (audio_file()[:30], "undecodable"),
    "no samples": (audio_file(np.zeros(0, np.int16)), "no samples"),
    "not a number": (not_a_number(), "not numbers"),
    "silence": (audio_file(np.zeros(RATE_HZ, np.int16)), "silent"),
    "10 ms": (audio_file(tone(0.01)), "too short"),
    "33 channels": (audio_file(np.tile(tone(0.5)[:, None], 33)), "33 channels"),
    "too fast": (audio_file(tone(), rate_hz=800_000), "sampling rate"),
    "LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git-LFS"),
    "too long": (audio_file(tone(21)), "too long"),
    "bomb": (audio_file(np.zeros(RATE_HZ * 600, np.int16), form="FLAC"), "too long"),
}


@pytest.mark.parametrize("address", ["/predict", "/timeline"])
@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_bad_audio_is_refused_with_a_sentence(client, address, content, words):
    reply = client.post(address, files={"file": ("a.wav", content)})
    assert reply.status_code == 422
    assert set(reply.json()) == {"error"}
    assert words in reply.json()["error"]
    assert "/" not in reply.json()["error"].replace("and/or", "")  # no path of the server


def test_a_bad_file_does_not_fail_the_rest_of_a_batch(client):
    files = [("files", (name, content)) for name, content in [("a.wav", audio_file()), ("b.wav", b""), ("c.wav", audio_file())]]
    reply = client.post("/predict/batch", files=files).json()
    assert reply["failed"] == 1
    assert [(each["name"], "prediction" in each, "error" in each) for each in reply["results"]] == [
        ("a.wav", True, False),
        ("b.wav", False, True),
        ("c.wav", True, False),
    ]
    assert reply["results"][0]["prediction"] == client.post("/predict", files={"file": audio_file()}).json()


def test_too_many_files_are_refused(client):
    reply = client.post("/predict/batch", files=[("files", ("a.wav", b"x"))] * 33)
    assert (reply.status_code, reply.json()["error"]) == (413, "too many files: 33, at most 32 are taken; send them in parts")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\windows\\a.wav", "a.wav"),
        ("a\n\x1b[31m.wav", "a��[31m.wav"),
        ("‮vaw.a", "�vaw.a"),
        ("\udcff.wav", "�.wav"),
        ("x" * 500, "x" * 120),
        ("", "unnamed"),
        ("/", "unnamed"),
        (None, "unnamed"),
    ],
)
def test_names_are_shown_without_folders_and_control_characters(sent, shown):
    assert shown_name(sent) == shown


def test_a_name_that_is_not_utf8_or_a_path_is_never_used_for_one(client, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="../\xff\xfe.wav"\r\n\r\n'
    body = head + audio_file() + b"\r\n--b--\r\n"
    reply = client.post("/predict/batch", content=body, headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert reply.status_code == 200
    assert reply.json()["results"][0]["name"].endswith(".wav")
    assert "/" not in reply.json()["results"][0]["name"]
    assert not list(tmp_path.parent.glob("*.wav"))


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ({}, 415, "multipart/form-data"),
        ({"json": {"file": "a.wav"}}, 415, "multipart/form-data"),
        ({"data": {"file": "a.wav"}}, 415, "multipart/form-data"),
        ({"files": {"other": b"x"}}, 422, "form field 'file'"),
        ({"files": {"file": (None, "text")}}, 422, "must be a file"),
        ({"content": b"garbage", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 400, ""),
        ({"content": b"garbage", "headers": {"Content-Type": "multipart/form-data"}}, 400, "boundary"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b; charset=base64"}}, 400, ""),
    ],
)
def test_a_bad_form_is_refused_with_a_sentence(client, arguments, status, words):
    reply = client.post("/predict", **arguments)
    assert reply.status_code == status
    assert set(reply.json()) == {"error"}
    assert words in reply.json()["error"]


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [("GET", "/nothing", 404), ("GET", "/predict", 405), ("POST", "/model", 405), ("PUT", "/predict/", 404)],
)
def test_other_addresses_and_methods_are_refused_as_errors_are(client, method, address, status):
    reply = client.request(method, address)
    assert reply.status_code == status
    assert set(reply.json()) == {"error"}


def test_the_model_is_described_without_a_path(client):
    reply = client.get("/model")
    assert reply.json()["name"] == "fake"
    assert reply.json()["synthetic"] is True
    assert reply.json()["metrics"]["test"]["mean_of_corpora"]["uar"] == 0.5
    assert reply.json()["server"]["max_duration_s"] == 20.0
    assert "/srv" not in reply.text


def test_the_timeline_of_a_file_has_a_point_each_half_second(client):
    reply = client.post("/timeline", files={"file": audio_file(tone(4.0))}).json()
    assert reply["duration_s"] == 4.0
    assert [point["end_s"] for point in reply["points"]] == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
    assert set(reply["points"][0]["probabilities"]) == set(EMOTIONS)


def test_too_much_is_refused_by_its_declared_length(predictor):
    with serving(predictor, max_upload_bytes=1000) as client:
        reply = client.post("/predict", files={"file": b"x" * 1001})
    assert reply.status_code == 413
    assert reply.json() == {"error": "too large: a request may have 1000 bytes; compress the audio or cut it into parts"}


def asgi(app, body, scope):
    """Run one request by hand: (status, headers, body, number of chunks taken)."""
    sent, taken = [], 0

    async def receive():
        nonlocal taken
        try:
            chunk, taken = next(body), taken + 1
            return {"type": "http.request", "body": chunk, "more_body": True}
        except StopIteration:
            await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    async def run():
        async with app.router.lifespan_context(app):
            await app({"type": "http", "http_version": "1.1", "query_string": b"", "method": "POST"} | scope, receive, send)

    asyncio.run(run())
    return sent[0]["status"], sent[1]["body"], taken


FORM = [(b"content-type", b"multipart/form-data; boundary=b")]
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


def test_too_much_without_a_declared_length_is_cut_off_while_it_comes_in(predictor):
    app = create_app(Settings(max_upload_bytes=10_000), predictor)

    def endless():
        yield PART
        while True:
            yield b"x" * 1000

    status, body, taken = asgi(app, endless(), {"path": "/predict", "headers": FORM})
    assert status == 413
    assert b"too large" in body
    assert taken < 30
    assert predictor.n_calls == 0


def test_a_client_that_stops_sending_is_told_so(predictor):
    app = create_app(Settings(upload_timeout_s=0.01), predictor)
    status, body, _ = asgi(app, iter([PART]), {"path": "/predict", "headers": FORM})
    assert status == 408
    assert b"too slow" in body


def test_uploads_at_once_are_bounded_and_a_stalled_one_makes_room(predictor):
    app = create_app(Settings(max_requests=1, upload_timeout_s=0.1), predictor)
    stalled = threading.Event()

    async def run():
        async def receive():
            stalled.set()
            await asyncio.Event().wait()

        async def send(message):
            pass

        transport = httpx.ASGITransport(app)
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/predict",
            "headers": FORM,
            "query_string": b"",
            "http_version": "1.1",
        }
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            first = asyncio.create_task(app(scope, receive, send))
            while not stalled.is_set():
                await asyncio.sleep(0)
            refused = await http.post("/predict", files={"file": audio_file()})
            await first
            return refused.status_code, (await http.post("/predict", files={"file": audio_file()})).status_code

    assert asyncio.run(run()) == (429, 200)


def test_a_model_that_is_not_there_is_said_before_anything_starts(tmp_path):
    with pytest.raises(BundleError, match="no model"):
        create_app(Settings(model=str(tmp_path / "nothing")))


@pytest.mark.parametrize("given", [None, "Bearer wrong", "Basic hush", "hush", "Bearer", "Bearer \xff"])
def test_without_the_token_nothing_but_health_is_answered(given):
    headers = {"Authorization": given.encode("latin-1")} if given else {}
    with serving(token="hush") as client:
        for method, address in [
            ("GET", "/model"),
            ("GET", "/metrics"),
            ("GET", "/docs"),
            ("GET", "/openapi.json"),
            ("GET", "/nothing"),
        ]:
            assert client.request(method, address, headers=headers).status_code == 401
        reply = client.post("/predict", files={"file": audio_file()}, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert set(reply.json()) == {"error"}
        assert client.get("/health", headers=headers).json() == {"status": "ok", "ready": True}


def test_the_token_opens():
    with serving(token="hush") as client:
        headers = {"Authorization": "Bearer hush"}
        assert client.get("/model", headers=headers).status_code == 200
        assert client.post("/predict", files={"file": audio_file()}, headers=headers).status_code == 200


def test_not_ready_before_the_start_nor_after_the_end():
    app = create_app(Settings(), FakePredictor())
    client = TestClient(app)
    assert client.get("/health").status_code == 503
    with client:
        assert client.get("/health").status_code == 200
    assert client.get("/health").json()["ready"] is False


def held_requests(app, predictor, n_held, then):
    """Fill the queue with `n_held` requests that the predictor holds back, do `then(http)`, let go: their replies."""

    async def run():
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            predictor.gate.clear()
            files = {"file": audio_file()}
            held = [asyncio.create_task(http.post("/predict", files=files, timeout=30)) for _ in range(n_held)]
            while len(app.state.service.batcher._held) < n_held:
                await asyncio.sleep(0)
            try:
                seen = await then(http)
            finally:
                predictor.gate.set()
            return seen, await asyncio.gather(*held)

    return asyncio.run(run())


def test_too_busy_is_said_and_those_already_waiting_are_served(predictor):
    app = create_app(Settings(processes=1, max_queue=3, max_files=3), predictor)

    async def ask(http):
        return [
            await http.post(path, files={field: audio_file()})
            for path, field in [("/predict", "file"), ("/predict/batch", "files")]
        ]

    refused, served = held_requests(app, predictor, 3, ask)
    assert [reply.status_code for reply in refused] == [429, 429]
    assert all(int(reply.headers["Retry-After"]) >= 1 and set(reply.json()) == {"error"} for reply in refused)
    assert [reply.status_code for reply in served] == [200] * 3


def test_a_batch_that_does_not_fit_is_refused_whole(predictor):
    app = create_app(Settings(processes=1, max_queue=3, max_files=3), predictor)

    async def ask(http):
        return await http.post("/predict/batch", files=[("files", audio_file())] * 2)

    refused, served = held_requests(app, predictor, 2, ask)
    assert refused.status_code == 429
    assert [reply.status_code for reply in served] == [200] * 2


def test_the_event_loop_answers_while_the_predictor_works(predictor):
    app = create_app(Settings(processes=1), predictor)

    async def ask(http):
        return await http.get("/health")

    alive, _ = held_requests(app, predictor, 1, ask)
    assert alive.status_code == 200
    assert threading.get_ident() not in predictor.threads


def test_timelines_have_places_of_their_own(predictor):
    app = create_app(Settings(max_timelines=1), predictor)

    async def run():
        transport = httpx.ASGITransport(app)
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            predictor.gate.clear()
            first = asyncio.create_task(http.post("/timeline", files={"file": audio_file()}))
            await asyncio.to_thread(predictor.started.acquire)
            second = await http.post("/timeline", files={"file": audio_file()})
            predictor.gate.set()
            return second, await first, await http.post("/timeline", files={"file": audio_file()})

    second, first, third = asyncio.run(run())
    assert [second.status_code, first.status_code, third.status_code] == [429, 200, 200]


@pytest.mark.parametrize("path", ["/predict", "/timeline"])
def test_a_client_that_hangs_up_leaves_the_queue(predictor, path):
    app = create_app(Settings(processes=1), predictor)
    body = PART + audio_file() + b"\r\n--b--\r\n"
    sent = []

    async def run():
        gone = asyncio.Event()
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": FORM, "query_string": b"", "http_version": "1.1"}
        async with app.router.lifespan_context(app):
            predictor.gate.clear()
            request = asyncio.create_task(app(scope, receive, send))
            if path == "/predict":
                while not app.state.service.batcher._held:
                    await asyncio.sleep(0)
            else:
                await asyncio.to_thread(predictor.started.acquire)
            gone.set()
            await request
            places = app.state.service.n_timelines, len(app.state.service.batcher._waiting)
            predictor.gate.set()
            return places

    assert asyncio.run(run()) == (0, 0)
    assert sent[0]["status"] == 499


def test_a_defect_is_answered_without_its_details(predictor):
    def fail(signal, profile=None):
        raise ZeroDivisionError("/srv/secret")

    predictor.predict = fail
    app = create_app(Settings(), predictor)
    with TestClient(app, raise_server_exceptions=False) as client:
        reply = client.post("/predict", files={"file": audio_file()})
        assert reply.status_code == 500
        assert reply.json() == {"error": "a defect of the server, not of the request; its log says more"}
        assert client.get("/health").status_code == 200  # the workers go on
