"""`ser serve`: the HTTP and WebSocket API."""

from dataclasses import replace

import click

from ser.cli.extras import require
from ser.cli.options import model_option

EPILOG = """\b
Examples:
  ser serve
  ser serve --model hybrid --port 9000
  SER_TOKEN=secret ser serve --host 0.0.0.0

Then: curl -F file=@clip.wav http://127.0.0.1:8000/predict
The description of the API is at http://127.0.0.1:8000/docs. Limits and the token are set by
environment variables, such as SER_TOKEN and SER_MAX_DURATION_S."""


@click.command(short_help="Serve the HTTP and WebSocket API.", epilog=EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 is all of them.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 takes a free one.")
@model_option
@click.option("--processes", type=click.IntRange(min=0), help="Processes that predict; 0 predicts in the server's threads.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of each of them.")
def serve(host: str, port: int, model: str | None, processes: int | None, threads: int | None) -> None:
    """Serve the API until Ctrl-C; it listens to this computer alone unless --host says otherwise."""
    require("api", ("fastapi", "uvicorn", "websockets", "python_multipart", "prometheus_client"))
    from ser.api import app
    from ser.api.settings import Settings

    given = {"model": model, "processes": processes, "threads": threads}
    settings = replace(Settings.from_environment(), **{name: value for name, value in given.items() if value is not None})
    app.serve(settings, host, port)
