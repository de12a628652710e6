"""A training's curves in MLflow while it trains. Training never fails because of it, nor waits for it."""

import json
import logging
import os
import random
import subprocess
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ser.mlflow_connection import HOW_TO_LOG_LATER, connect, failures, reason

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"
TRAIN_TIME = "train_s"

logger = logging.getLogger(__name__)


class LiveRun:
    """One MLflow run that grows while a model trains. After the first failure it does nothing more."""

    def __init__(self) -> None:
        self._client: MlflowClient | None = None
        self._run_id = ""
        self._epochs_logged: set[int] = set()

    @classmethod
    def start(cls, model: str, fingerprint: str, params: dict[str, Any]) -> "LiveRun":
        """Open a run, or go on in the one that a killed training of the same fingerprint left."""
        live = cls()
        live._attempt(lambda: live._open(model, fingerprint, params))
        return live

    def log(self, epoch: int, values: dict[str, float]) -> None:
        """Add a point to each curve; an epoch that the run already has is left as it is."""
        if self._client and epoch not in self._epochs_logged:
            self._attempt(lambda: log_metrics(self._client, self._run_id, [(epoch, values)]))

    def finish(self, train_s: float) -> None:
        """Mark the run finished, and log how long the training took unless it went on after a kill."""
        if self._client and not self._epochs_logged:
            self._attempt(lambda: log_metrics(self._client, self._run_id, [(0, {TRAIN_TIME: train_s})]))
        if self._client:
            self._attempt(lambda: self._client.set_terminated(self._run_id))

    def _open(self, model: str, fingerprint: str, params: dict[str, Any]) -> None:
        client, experiment_id = connect()
        found = unadopted_runs(client, experiment_id, model, fingerprint)
        if found:
            self._run_id = found[0].info.run_id
            client.update_run(self._run_id, status="RUNNING")
            self._epochs_logged = steps(client, self._run_id, next(iter(sorted(found[0].data.metrics)), None))
        else:
            tags = {"ser.model": model, "ser.fingerprint": fingerprint, **surroundings()}
            self._run_id = client.create_run(experiment_id, tags=tags, run_name=model).info.run_id
        log_params(client, self._run_id, params)
        self._client = client

    def _attempt(self, step: Callable[[], None]) -> None:
        state = random.getstate()  # MLflow draws names and waiting times; training must not notice whether it is there
        try:
            step()
        except failures() as error:
            self._client = None
            logger.warning("training goes on without live curves in MLflow: %s; %s", reason(error), HOW_TO_LOG_LATER)
        finally:
            random.setstate(state)


def unadopted_runs(client: "MlflowClient", experiment_id: str, model: str, fingerprint: str) -> "list[Run]":
    """Runs of this training that no pipeline state has taken in yet, newest first."""
    query = f"tags.`ser.model` = '{model}' and tags.`ser.fingerprint` = '{fingerprint}'"
    runs = client.search_runs([experiment_id], query, order_by=["attributes.start_time DESC"])
    return [run for run in runs if PARENT not in run.data.tags]


def surroundings() -> dict[str, str]:
    """Tags for where this runs: git commit, DVC stage and experiment; those that do not apply are left out."""
    tags = {"dvc.stage": os.environ.get("DVC_STAGE"), "dvc.exp_name": os.environ.get("DVC_EXP_NAME")}
    try:
        git = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, timeout=10, check=True)
        tags["mlflow.source.git.commit"] = git.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        tags["mlflow.source.git.commit"] = os.environ.get("GIT_COMMIT")  # a container without git or its folder
    return {name: value for name, value in tags.items() if value}


def flat(values: dict[str, Any], separator: str) -> dict[str, Any]:
    """Flatten nested mappings; keys are joined by `separator`."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = flat(value, separator) if isinstance(value, dict) else {"": value}
        found |= {f"{key}{separator}{name}" if name else str(key): leaf for name, leaf in inner.items()}
    return found


def log_params(client: "MlflowClient", run_id: str, params: dict[str, Any]) -> None:
    """Log the parameters, nested or flat, that the run does not have yet (MLflow refuses to change one)."""
    from mlflow.entities import Param

    known = client.get_run(run_id).data.params
    texts = {key: value if isinstance(value, str) else json.dumps(value, default=str) for key, value in flat(params, ".").items()}
    missing = [Param(key, value[:6000]) for key, value in sorted(texts.items()) if key not in known]  # MLflow's longest
    for start in range(0, len(missing), 100):  # MLflow's most in one request
        client.log_batch(run_id, params=missing[start : start + 100])


def log_metrics(client: "MlflowClient", run_id: str, points: list[tuple[int, dict[str, float]]]) -> None:
    """Log points of curves, each an epoch and its values."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    metrics = [Metric(name, float(value), now_ms, epoch) for epoch, values in points for name, value in values.items()]
    for start in range(0, len(metrics), 1000):  # MLflow's most in one request
        client.log_batch(run_id, metrics=metrics[start : start + 1000])


def steps(client: "MlflowClient", run_id: str, name: str | None) -> set[int]:
    """Epochs at which a run has a point of one curve."""
    return {point.step for point in client.get_metric_history(run_id, name)} if name else set()
