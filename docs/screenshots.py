"""Take the pictures of docs/ in a real Chromium.

    python -m docs.screenshots CORPORA [MLFLOW_FOLDER]

CORPORA is a folder with the real corpora: the app answers for a few clips of speakers that the released model never heard.
MLFLOW_FOLDER is where `dvc repro` left mlflow.db and mlruns/; without it the picture of MLflow stays as it is.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from docs.outputs import ROOT, lay_out, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser

APP, MLFLOW = "http://127.0.0.1:8501", "http://127.0.0.1:5000"
SIZES = {"desktop": ((1200, 900), "light"), "phone": ((390, 844), "dark")}


@contextmanager
def serving(command: list[str], folder: Path, url: str) -> Iterator[None]:
    """A server, for as long as the block lasts."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([sys.executable, "-m", *command], cwd=folder, start_new_session=True, **silent)
    try:
        wait_for(url)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # and the processes that MLflow starts
        server.wait()


def picture_app(browser: "Browser", folder: Path) -> None:
    """The answer for one clip on a desktop, and on a phone at night."""
    for name, ((width, height), scheme) in SIZES.items():
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.goto(APP)
        page.locator("input[type=file]").first.set_input_files([folder / "clip.wav"])
        page.get_by_text("Log-mel spectrogram and pitch").wait_for()
        page.wait_for_timeout(3000)  # the charts' own animation
        page.mouse.move(0, 0)
        page.screenshot(path=ROOT / f"docs/app-{name}.png", full_page=True)
        page.close()


def picture_mlflow(browser: "Browser") -> None:
    """The newest state of the pipeline and its models, and their curves."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.goto(f"{MLFLOW}/#/experiments/1/runs")
    page.get_by_text("matching runs").wait_for()
    if (assistant := page.locator("[data-component-id='mlflow.assistant.chat_panel.close']")).count():
        assistant.click()
    page.locator("[data-component-id*=runnamecellrenderer]").first.click()  # unfolds
    page.get_by_text("hybrid").first.wait_for()
    page.locator("input[value=CHART]").evaluate("radio => radio.click()")  # it lies hidden under its picture
    page.get_by_placeholder("Search metric charts").fill("validation_")
    page.get_by_text("validation_uar").first.wait_for()
    page.wait_for_timeout(3000)
    page.screenshot(path=ROOT / "docs/mlflow.png")


def main() -> None:
    """Take all pictures."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    parser.add_argument("mlflow", type=Path, nargs="?")
    args = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        folder = Path(name)
        lay_out(folder, args.corpora)
        with serving(["ser.cli.main", "app", "--no-browser"], folder, APP):
            picture_app(browser, folder)
        if args.mlflow:
            with serving(["mlflow", "ui", "--backend-store-uri", "sqlite:///mlflow.db"], args.mlflow, MLFLOW):
                picture_mlflow(browser)
        browser.close()


if __name__ == "__main__":
    main()
