"""The one way this project reaches MLflow: which server, which experiment, and no long wait for one that is gone.

Training stages depend on this file: it stays small, and MLflow is imported only when a connection is made.
"""

import logging
import os
import re
import socket
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ser.errors import SerError
from ser.files import replacing

if TYPE_CHECKING:
    from mlflow import MlflowClient

HOW_TO_LOG_LATER = "log it later with `make track` (python -m stages.track, arguments as in dvc.yaml)"
PROBE_TIMEOUT_S = 3.0
_ENVIRONMENT = {
    # MLflow's own defaults (7 retries of 120 s each) would hold a training up for minutes when its server is gone.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
_DATABASE_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mssql": 1433}


class TrackingError(SerError):
    """MLflow cannot be reached or refused; the message says where and why."""


def tracking_uri() -> str:
    """Where runs go: `MLFLOW_TRACKING_URI`, else a database file in the working directory."""
    return os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def connect() -> "tuple[MlflowClient, str]":
    """Return a client and the id of the experiment (`MLFLOW_EXPERIMENT_NAME`, else `ser`), which is made if absent.

    Raises:
        TrackingError: nothing answers at the address within a few seconds. MLflow's refusals are among `failures()`.
    """
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    uri = tracking_uri()
    _probe(uri)
    from mlflow import MlflowClient

    for name in ("alembic", "urllib3"):  # table migrations and retries, a line each
        logging.getLogger(name).setLevel(logging.ERROR)
    if _is_sqlite(uri):
        _make_tables(_database_file(uri))
    client = MlflowClient(uri)
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "ser"
    found = client.get_experiment_by_name(name)
    return client, found.experiment_id if found else client.create_experiment(name)


def _make_tables(path: Path) -> None:
    """Fill an empty database file, once: other processes that find it empty wait.

    MLflow makes its tables over seconds and cannot mend a half-made database: it appears whole or not at all.
    """
    import fcntl

    from mlflow import MlflowClient

    with open(path, "rb") as file:
        if not path.stat().st_size:
            fcntl.flock(file, fcntl.LOCK_EX)
        if not path.stat().st_size:  # by now another file of that name, if somebody else held the lock
            with replacing(path) as temporary:
                MlflowClient(f"sqlite:///{temporary}").search_experiments(max_results=1)


def failures() -> tuple[type[Exception], ...]:
    """What a missing, slow, full or refusing MLflow raises; anything else is a mistake of ours."""
    known = (TrackingError, OSError, sqlite3.Error, ImportError)  # the HTTP client's errors are OSErrors
    try:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError:
        return known
    return (*known, MlflowException, SQLAlchemyError)


def reason(error: Exception | str) -> str:
    """First line of an error, without the user and password that an address may carry."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"//[^@/\s]*@", "//", lines[0])


def _probe(uri: str) -> None:
    """Raise at once where MLflow would retry for minutes. Schemes not known here are left to MLflow."""
    try:
        address = urlsplit(uri)
        scheme = address.scheme.split("+")[0]
        if _is_sqlite(uri):
            _probe_sqlite(_database_file(uri))
        elif scheme in ("http", "https"):
            import requests

            requests.get(f"{uri.rstrip('/')}/health", timeout=PROBE_TIMEOUT_S)  # any answer will do
        elif scheme in _DATABASE_PORTS and address.hostname:
            port = address.port or _DATABASE_PORTS[scheme]
            socket.create_connection((address.hostname, port), timeout=PROBE_TIMEOUT_S).close()
    except (OSError, sqlite3.Error, ValueError) as error:
        raise TrackingError(reason(f"MLflow at {uri} does not answer ({_cause(error)})")) from None


def _probe_sqlite(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, timeout=PROBE_TIMEOUT_S, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")  # fails unless it is a database, writable and not locked for long
        database.execute("ROLLBACK")
    finally:
        database.close()


def _cause(error: BaseException) -> str:
    """The innermost reason: the HTTP client wraps 'connection refused' four times."""
    inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, BaseException)), None)
    return _cause(inner) if isinstance(inner, BaseException) else re.sub(r"^.*?>: |^<[^>]*>", "", reason(error))


def _is_sqlite(uri: str) -> bool:
    return re.match(r"sqlite(\+\w+)?:///", uri) is not None


def _database_file(uri: str) -> Path:
    return Path(re.sub(r"^sqlite(\+\w+)?:///", "", uri).split("?")[0])
