"""The model to use, in MLflow's registry: the winner of a pipeline state takes the alias if it beats the one that has it."""

import logging
from typing import TYPE_CHECKING

from ser.mlflow_connection import tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from ser.tracking import PipelineState, TrainedModel

NAME, DEMO_NAME, ALIAS = "ser", "ser-demo", "champion"
FINGERPRINT, SPLIT, VALIDATION_UAR = "ser.fingerprint", "ser.split_sha256", "ser.validation_uar"

logger = logging.getLogger(__name__)


def register_winner(client: "MlflowClient", run_id: str, state: "PipelineState", best: "TrainedModel") -> int:
    """Give the alias to the model that validation chose, if it beats the one that has it on the same split.

    Models of demo voices have a name of their own. Doing it twice adds nothing.

    Args:
        client: of MLflow.
        run_id: of the child run that holds the logged model; without one nothing is registered.
        state: the pipeline state.
        best: its winner.

    Returns:
        How many versions were added, 0 or 1.
    """
    name = DEMO_NAME if state.voices else NAME
    uar, split = state.comparison["validation"][best.name]["uar"], str(best.bundle.get("split_sha256", ""))
    holder = _holder(client, name)
    if holder is not None and not _beats(uar, split, best.bundle["fingerprint"], name, holder):
        return 0
    run = client.get_run(run_id)
    logged = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    ready = [model for model in logged if model.status == "READY"]
    if not ready:
        return 0
    import mlflow

    mlflow.set_tracking_uri(tracking_uri())
    tags = {FINGERPRINT: best.bundle["fingerprint"], SPLIT: split, VALIDATION_UAR: str(uar), "ser.model": best.name}
    version = mlflow.register_model(ready[0].model_uri, name, tags=tags, await_registration_for=0)
    client.set_registered_model_alias(name, ALIAS, version.version)
    logger.info("registered %s %s, the %s, as %s@%s", name, version.version, best.name, name, ALIAS)
    return 1


def _holder(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """The version that has the alias."""
    models = [model for model in client.search_registered_models(f"name = '{name}'") if ALIAS in model.aliases]
    return client.get_model_version(name, models[0].aliases[ALIAS]) if models else None


def _beats(uar: float, split: str, fingerprint: str, name: str, holder: "ModelVersion") -> bool:
    if holder.tags.get(FINGERPRINT) == fingerprint:
        return False
    if holder.tags.get(SPLIT) != split:
        logger.warning(
            "%s@%s is of another split, so the two validation scores cannot be compared and it stays; "
            "to replace it, remove the alias in MLflow and run `make track`",
            *(name, ALIAS),
        )
        return False
    return uar > float(holder.tags[VALIDATION_UAR])
