"""Hundreds of requests, right and wrong, made from the API's own description; and real audio with damaged bytes."""

import hypothesis
import hypothesis.strategies as st
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from ser.api.app import create_app
from ser.api.settings import Settings
from tests.test_api_app import FakePredictor, audio_file, serving, tone
from tests.test_api_server import running

pytestmark = pytest.mark.slow
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]
SETTINGS = hypothesis.settings(
    max_examples=100, deadline=None, derandomize=True, database=None, suppress_health_check=list(hypothesis.HealthCheck)
)


schema = schemathesis.openapi.from_dict(create_app(Settings(), FakePredictor()).openapi())


@pytest.fixture(scope="module")
def address():
    with running() as server:
        yield f"http://127.0.0.1:{server.port}"
        assert server.process.poll() is None
    assert "Exception in ASGI" not in (log := "".join(server.log)), log


@schema.parametrize()
@SETTINGS
def test_the_api_keeps_to_its_description(case, address):
    case.call_and_validate(base_url=address, checks=CHECKS, timeout=20)


SOUNDS = [audio_file(tone(0.5), form=form) for form in ("WAV", "FLAC", "OGG", "MP3", "AIFF")]


@st.composite
def damaged(draw):
    """A real file, cut and with bytes changed."""
    sound = bytearray(draw(st.sampled_from(SOUNDS)))
    for place in draw(st.lists(st.integers(0, len(sound) - 1), max_size=8)):
        sound[place] = draw(st.integers(0, 255))
    for place in draw(st.lists(st.integers(0, 63), max_size=4)):  # headers
        sound[place] = draw(st.sampled_from([0, 1, 127, 128, 255]))
    return bytes(sound[: draw(st.integers(0, len(sound)))])


@pytest.fixture(scope="module")
def client():
    with serving() as client:
        yield client


@pytest.mark.parametrize("address", ["/predict", "/timeline"])
@hypothesis.settings(SETTINGS, max_examples=300)
@hypothesis.given(content=damaged())
def test_damaged_audio_is_judged_or_refused(client, address, content):
    reply = client.post(address, files={"file": content})
    assert reply.status_code in {200, 422}
    assert ("error" in reply.json()) == (reply.status_code == 422)
