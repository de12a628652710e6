"""`ser app`: the app in a browser."""

import os
import sys
from pathlib import Path

import click

from ser.cli.extras import require
from ser.cli.options import model_option

SCRIPT = Path(__file__).parents[1] / "app" / "main.py"
EPILOG = """\b
Examples:
  ser app
  ser app --model hybrid --port 9001"""


@click.command(short_help="Open the app in a browser.", epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all of them.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True, help="Port.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open a browser window.")
@model_option
def app(host: str, port: int, browser: bool, model: str | None) -> None:
    """Open the app: upload or record speech, look at it, compare models; Ctrl-C ends it."""
    require("app", ("streamlit", "altair", "pandas"))
    from ser.bundle import find_bundle

    # a wrong name is told here, not in the browser; an absolute path, since $SER_MODEL takes names and paths
    os.environ["SER_MODEL"] = str(find_bundle(model).absolute())
    options = {"server.address": host, "server.port": port, "server.headless": str(not browser).lower()}
    options["browser.gatherUsageStats"] = "false"
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    # the same process becomes streamlit, so that Ctrl-C and its exit code are its own
    os.execv(sys.executable, [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *arguments])
