from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from ser.api.app import create_app
from ser.api.settings import Settings
from tests.test_api_app import FakePredictor, audio_file, serving


def values(client):
    reply = client.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    samples = (sample for family in text_string_to_metric_families(reply.text) for sample in family.samples)
    return {(sample.name, *sorted(sample.labels.values())): sample.value for sample in samples}


def test_requests_clips_and_refusals_are_counted():
    with serving() as client:
        for content in (audio_file(), audio_file(), b""):
            client.post("/predict", files={"file": content})
        client.post("/predict/batch", files=[("files", audio_file()), ("files", b"")])
        seen = values(client)
    assert seen["ser_requests_total", "/predict", "200", "POST"] == 2
    assert seen["ser_requests_total", "/predict", "422", "POST"] == 1
    assert seen["ser_requests_total", "/predict/batch", "200", "POST"] == 1
    assert sum(value for key, value in seen.items() if key[0] == "ser_predictions_total") == 3
    assert seen["ser_audio_seconds_total",] == 3.0
    assert seen["ser_queued_clips",] == 0
    assert seen["ser_batch_clips_sum",] == 5


def test_strangers_cannot_make_labels():
    with serving() as client:
        for n in range(20):
            client.request(f"M{n}", f"/nothing/{n}")
        seen = values(client)
    assert seen["ser_requests_total", "404", "other", "other"] == 20


def test_apps_in_one_process_count_apart():
    with serving() as one, TestClient(create_app(Settings(), FakePredictor())) as other:
        one.post("/predict", files={"file": audio_file()})
        assert ("ser_requests_total", "/predict", "200", "POST") in values(one)
        assert ("ser_requests_total", "/predict", "200", "POST") not in values(other)


def test_defects_are_counted_as_such():
    predictor = FakePredictor()
    predictor.predict = lambda signal, profile=None: 1 / 0
    with TestClient(create_app(Settings(), predictor), raise_server_exceptions=False) as client:
        client.post("/predict", files={"file": audio_file()})
        assert values(client)["ser_requests_total", "/predict", "500", "POST"] == 1
