"""The app in a real Chromium: a server of its own, files through the file chooser, a voice through the fake microphone."""

import csv
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from tests.test_app_main import EMOTIONS, ROOT, long_speech, make_bundle, spoken

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 22, 26)"}  # as in ser/app/.streamlit/config.toml

DRAWN = "[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg.marks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; install it (apt install chromium)"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the app answers; it stands in a folder with one small model and the project's Streamlit settings."""
    folder = tmp_path_factory.mktemp("app")
    model = make_bundle(folder / "models" / "small")
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "ser/app/main.py"), "--server.headless=true"]
    command += [f"--server.port={free_port()}", "--server.address=127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SER_MODEL": str(model), "PYTHONUNBUFFERED": "1"}
    with open(folder / "errors.log", "w", encoding="utf-8") as errors:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            for line in server.stdout:
                if found := re.search(r"URL: (http://\S+)", line):
                    break
            else:
                pytest.fail(f"the app did not start: {(folder / 'errors.log').read_text(encoding='utf-8')}")
            yield found[1]
        finally:
            server.terminate()
            server.wait(timeout=20)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """The browser; its microphone plays a synthetic voice over and over."""
    from playwright.sync_api import sync_playwright

    voice = tmp_path_factory.mktemp("microphone") / "voice.wav"
    voice.write_bytes(spoken("angry", n_syllables=12))
    arguments = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*arguments, f"--use-file-for-fake-audio-capture={voice}"]
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address):
    """Open the app at a size and in a colour scheme; whatever fails in the browser's scripts fails the test."""
    contexts, errors = [], []

    def opened(size="desktop", scheme="light"):
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, permissions=["microphone"]
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: errors.append(error))
        page.goto(address)
        page.get_by_text("Make it know this voice").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors


def upload(page, **files):
    payload = [{"name": f"{name}.wav", "mimeType": "audio/wav", "buffer": data} for name, data in files.items()]
    page.locator("input[type=file]").first.set_input_files(payload)


def wait_for_answer(page):
    page.get_by_text("Log-mel spectrogram and pitch").wait_for()
    page.wait_for_function(f"document.querySelectorAll('{DRAWN}').length >= 4")  # probabilities, waveform, log-mel, pitch
    page.wait_for_function("!document.querySelector('[data-stale=true]')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_an_upload_is_answered_and_fits_the_screen(open_page, tmp_path, size, scheme):
    page = open_page(size, scheme)
    upload(page, hello=spoken(), long=long_speech())
    wait_for_answer(page)
    assert page.locator("h2").inner_text().split()[-1] in EMOTIONS
    assert page.get_by_test_id("stAudio").count() == 1
    width = page.viewport_size["width"]
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= width
    widest = page.evaluate(
        "Math.max(...[...document.querySelectorAll('" + DRAWN + "')].map(c => c.getBoundingClientRect().right))"
    )
    assert widest <= width + 1
    background = page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")
    assert background == BACKGROUND[scheme]
    page.screenshot(path=tmp_path / f"{size}-{scheme}.png", full_page=True)
    assert (tmp_path / f"{size}-{scheme}.png").stat().st_size > 10_000


def test_a_bad_file_is_one_sentence_beside_the_answer(open_page):
    page = open_page()
    upload(page, bad=b"this is text", good=spoken())
    wait_for_answer(page)
    alerts = page.get_by_test_id("stAlert")
    assert alerts.count() == 1
    assert "bad.wav" in alerts.inner_text() and "text, not audio" in alerts.inner_text()


def test_a_recording_through_the_microphone_is_answered(open_page):
    page = open_page()
    page.get_by_role("tab", name="Record").click()
    page.get_by_role("button", name="Record", exact=True).click()
    page.get_by_text("00:02").wait_for()
    page.get_by_role("button", name="Stop recording").click()
    wait_for_answer(page)
    assert page.get_by_text("recording.wav").count() == 1
    heard = re.search(r"pitch\. ([\d.]+) s, 16000 Hz, mono", page.get_by_text("Log-mel spectrogram and pitch").inner_text())
    assert 1.5 < float(heard[1]) < 10
    assert page.get_by_test_id("stAlert").count() == 0  # silence would be refused


def test_many_files_can_be_taken_home_as_csv(open_page, tmp_path):
    page = open_page()
    upload(page, one=spoken(), two=spoken("sad"), three=spoken("happy"))
    wait_for_answer(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Results as CSV").click()
    download.value.save_as(tmp_path / "emotions.csv")
    with open(tmp_path / "emotions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["one.wav", "two.wav", "three.wav"]
    assert all(abs(sum(float(row[f"p_{emotion}"]) for emotion in EMOTIONS) - 1) < 1e-4 for row in rows)


def test_the_answer_knows_an_enrolled_voice(open_page):
    page = open_page("phone")
    page.get_by_text("Make it know this voice").click()
    clips = [{"name": f"{take}.wav", "mimeType": "audio/wav", "buffer": spoken("neutral", take=take)} for take in range(3)]
    page.locator("input[type=file]").nth(1).set_input_files(clips)
    page.get_by_text("this voice is known from 3 clips").wait_for()
    upload(page, hello=spoken())
    wait_for_answer(page)
    assert page.get_by_text("this voice is known from 3 clips").count() == 1
