"""One finished pipeline state in MLflow: a parent run, and a complete child run for each model.

Everything is logged from the files that the pipeline wrote. So a stage that came out of DVC's cache has its run all the same,
a run that was interrupted is completed, and logging the same state twice adds nothing.
"""

import hashlib
import json
import math
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser.audio import AudioParams, Decoded, to_signal
from ser.bundle import GRAPH
from ser.demo_voice import NEUTRAL, RATE_HZ, make_speaker, seeded, speak
from ser.descriptors import NAME as DESCRIPTORS
from ser.errors import SerError
from ser.figures import draw_comparison, draw_model
from ser.files import read_csv
from ser.live_tracking import PARENT, TRAIN_TIME, flat, log_metrics, log_params, steps, surroundings, unadopted_runs
from ser.mlflow_connection import HOW_TO_LOG_LATER, TrackingError, connect, failures, reason, tracking_uri
from ser.predictor import Predictor
from ser.pretrained import NAME as PRETRAINED
from ser.registry import register_winner

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models import ModelSignature

COMPLETE = "ser.complete"
SUPERSEDED = "ser.superseded_by"
SYNTHETIC = "synthetic demo voices"
EXAMPLE_S, EXAMPLE_RATE_HZ = 0.5, 8000
LATENCY, LATENCY_CLIP_S, LATENCY_RUNS = "latency_ms", 3.0, 15
# what serving the logged model needs
_REQUIREMENTS = (
    "audioread", "mlflow", "numpy", "onnxruntime", "pandas", "praat-parselmouth", "soundfile", "soxr",
)  # fmt: skip


class StateError(SerError):
    """The pipeline's results are not all there."""


@dataclass(frozen=True)
class TrainedModel:
    """What the stages wrote about one model."""

    name: str
    folder: Path
    bundle: dict[str, Any]
    params: dict[str, Any]
    history: pd.DataFrame  # one row an epoch
    metrics: dict[str, Any]
    plot_tables: dict[str, pd.DataFrame]
    result_files: tuple[Path, ...]  # kept as artifacts


@dataclass(frozen=True)
class PipelineState:
    """All results of one state of the pipeline; `sha256` names it by content alone."""

    sha256: str
    models: tuple[TrainedModel, ...]
    cleaned_csv: Path
    cleaned_sha256: str
    clip_counts: dict[str, int]  # by `corpus.split`
    comparison: dict[str, Any]
    comparison_files: tuple[Path, ...]

    @property
    def voices(self) -> str:
        """' (synthetic demo voices)' for the built-in corpora, else ''."""
        return f" ({SYNTHETIC})" if any(model.metrics.get("synthetic_demo_voices") for model in self.models) else ""


def read_state(
    models_dir: Path, metrics_dir: Path, predictions_dir: Path, cleaned_csv: Path, names: Iterable[str] = ()
) -> PipelineState:
    """Read the results of the pipeline.

    Args:
        models_dir: folder with one folder a model.
        metrics_dir: folder with <model>.json, plots/<model>/*.csv, comparison.json and comparison.md.
        predictions_dir: folder with <model>.csv.
        cleaned_csv: the table of all clips.
        names: models to log; all that have a bundle.json by default.

    Raises:
        StateError: a file is missing, or there is no model.
    """
    names = sorted(names) or sorted(path.parent.name for path in models_dir.glob("*/bundle.json"))
    if not names:
        raise StateError(f"{models_dir}: no trained model; run `dvc repro` first")
    comparison = metrics_dir / "comparison.json"
    hashed = {"cleaned": cleaned_csv, "comparison": comparison}
    for name in names:
        hashed |= {f"bundle of {name}": models_dir / name / "bundle.json", f"metrics of {name}": metrics_dir / f"{name}.json"}
    try:
        hashes = {label: hashlib.sha256(path.read_bytes()).hexdigest() for label, path in sorted(hashed.items())}
        clips = read_csv(cleaned_csv)
        counts = clips.groupby(["corpus", "split"]).size()
        return PipelineState(
            sha256=hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest(),
            models=tuple(_read_model(name, models_dir / name, metrics_dir, predictions_dir) for name in names),
            cleaned_csv=cleaned_csv,
            cleaned_sha256=hashes["cleaned"],
            clip_counts={f"{corpus}.{split}": int(count) for (corpus, split), count in sorted(counts.items())},
            comparison=json.loads(comparison.read_text(encoding="utf-8")),
            comparison_files=tuple(sorted(metrics_dir.glob("comparison.*"))),
        )
    except FileNotFoundError as error:
        raise StateError(f"{error.filename}: missing; run `dvc repro` first") from None


def _read_model(name: str, folder: Path, metrics_dir: Path, predictions_dir: Path) -> TrainedModel:
    tables = {path.stem: path for path in sorted((metrics_dir / "plots" / name).glob("*.csv"))}
    files = (metrics_dir / f"{name}.json", predictions_dir / f"{name}.csv", folder / "history.csv", *tables.values())
    for path in files:
        path.stat()  # a missing one is found here, not in the middle of logging
    return TrainedModel(
        name=name,
        folder=folder,
        bundle=json.loads((folder / "bundle.json").read_text(encoding="utf-8")),
        params=json.loads((folder / "params.json").read_text(encoding="utf-8")),
        history=pd.read_csv(folder / "history.csv"),
        metrics=json.loads((metrics_dir / f"{name}.json").read_text(encoding="utf-8")),
        plot_tables={stem: pd.read_csv(path) for stem, path in tables.items()},
        result_files=files,
    )


def log_state(state: PipelineState) -> int:
    """Make MLflow hold this state completely.

    Returns:
        How many runs were created or completed; 0 when all were complete before.

    Raises:
        TrackingError: MLflow is out of reach or gave up half-way; says what is not logged and how to log it later.
    """
    left = [*(model.name for model in state.models), "comparison"]
    done = 0
    try:
        client, experiment_id = connect()
        parent = _parent(client, experiment_id, state)
        children = {}
        for model in state.models:
            child, n_filled = _complete_child(client, experiment_id, parent.info.run_id, state, model)
            children[model.name], done = child.info.run_id, done + n_filled
            left.remove(model.name)
        done += _once(client, parent, lambda run_id: _fill_parent(client, run_id, state, children))
        best = next((model for model in state.models if model.name == state.comparison.get("best")), None)
        return done + (register_winner(client, children[best.name], state, best) if best else 0)
    except failures() as error:
        raise TrackingError(f"not logged to MLflow: {', '.join(left)}: {reason(error)}; {HOW_TO_LOG_LATER}") from None


def _parent(client: "MlflowClient", experiment_id: str, state: PipelineState) -> "Run":
    found = client.search_runs([experiment_id], f"tags.`ser.state` = '{state.sha256}' and tags.`ser.kind` = 'pipeline'")
    tags = {"ser.state": state.sha256, "ser.kind": "pipeline", **surroundings()}
    name = f"pipeline {state.sha256[:8]}{state.voices}"
    return found[0] if found else client.create_run(experiment_id, tags=tags, run_name=name)


def _complete_child(
    client: "MlflowClient", experiment_id: str, parent_id: str, state: PipelineState, model: TrainedModel
) -> "tuple[Run, int]":
    """Take in the run that the training left, or make one; with 1 if there was anything to do."""
    fingerprint = model.bundle["fingerprint"]
    children = client.search_runs([experiment_id], f"tags.`{PARENT}` = '{parent_id}' and tags.`ser.model` = '{model.name}'")
    children = [run for run in children if SUPERSEDED not in run.data.tags]
    live = unadopted_runs(client, experiment_id, model.name, fingerprint)
    fitting = [run for run in live if _curves_agree(client, run, model.history)]
    if children:
        child = children[0]
    elif fitting:
        child = fitting[0]
        live.remove(child)
        client.set_tag(child.info.run_id, PARENT, parent_id)
    else:
        tags = {PARENT: parent_id, "ser.model": model.name, "ser.fingerprint": fingerprint, "ser.backfilled": "true"}
        tags |= surroundings() | {"dvc.stage": f"train@{model.name}"}
        child = client.create_run(experiment_id, tags=tags, run_name=model.name)
    for run in live:  # repeated by force, or killed and started over with other code: kept beside the run that counts
        client.set_tag(run.info.run_id, SUPERSEDED, child.info.run_id)
        client.set_tag(run.info.run_id, PARENT, parent_id)
    return child, _once(client, child, lambda run_id: _fill_child(client, run_id, state, model))


def _curves_agree(client: "MlflowClient", run: "Run", history: pd.DataFrame) -> bool:
    """Whether every point of a live run is in the history of the model that was kept."""
    kept = history.set_index("epoch")
    return all(
        point.step in kept.index and math.isclose(point.value, kept.at[point.step, name], rel_tol=1e-4, abs_tol=1e-5)
        for name in sorted(set(run.data.metrics) & set(kept.columns))
        for point in client.get_metric_history(run.info.run_id, name)
    )  # the history has six decimals


def _once(client: "MlflowClient", run: "Run", fill: Callable[[str], None]) -> int:
    """Fill a run unless it is marked complete, which is the last thing done; 1 if there was anything to do."""
    if run.data.tags.get(COMPLETE) == "1":
        return 0
    fill(run.info.run_id)
    client.set_terminated(run.info.run_id)
    client.set_tag(run.info.run_id, COMPLETE, "1")
    return 1


def _fill_child(client: "MlflowClient", run_id: str, state: PipelineState, model: TrainedModel) -> None:
    log_params(client, run_id, {**model.params, "data": state.clip_counts})
    _log_curves(client, run_id, model.history)
    _log_numbers(client, run_id, model.metrics)
    _log_dataset(client, run_id, state)
    for path in model.result_files:
        client.log_artifact(run_id, str(path), "tables")
    with tempfile.TemporaryDirectory() as folder:
        draw_model(Path(folder), model.plot_tables, model.history, f"{model.name}{state.voices}")
        client.log_artifacts(run_id, folder, "figures")
    if (model.folder / GRAPH).exists():
        _log_model(client, run_id, model)
        log_metrics(client, run_id, [(0, {LATENCY: _latency_ms(model.folder)})])
    params_text = json.dumps(model.params, sort_keys=True)
    tags = {"ser.params_sha256": hashlib.sha256(params_text.encode()).hexdigest()}
    tags["ser.split_sha256"] = str(model.bundle.get("split_sha256", ""))
    _set_tags(client, run_id, tags | _common_tags(state))
    client.update_run(run_id, name=f"{model.name}{state.voices}")


def _fill_parent(client: "MlflowClient", run_id: str, state: PipelineState, children: dict[str, str]) -> None:
    log_params(client, run_id, {"data": state.clip_counts})
    _log_numbers(client, run_id, {"comparison": state.comparison})
    _log_dataset(client, run_id, state)
    for path in state.comparison_files:
        client.log_artifact(run_id, str(path))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "costs.csv"
        _costs(client, state, children).to_csv(path, index=False, lineterminator="\n")
        client.log_artifact(run_id, str(path))
    scores = {name: parts["macro_over_corpora"] for name, parts in state.comparison.get("test", {}).items()}
    if scores:
        with tempfile.TemporaryDirectory() as folder:
            draw_comparison(Path(folder) / "comparison.png", scores, f"models{state.voices}")
            client.log_artifacts(run_id, folder, "figures")
    best = next((model for model in state.models if model.name == state.comparison.get("best")), None)
    tags = {"ser.best_model": best.name, "ser.best_fingerprint": best.bundle["fingerprint"]} if best else {}
    texts = [path.read_text(encoding="utf-8") for path in state.comparison_files if path.suffix == ".md"]
    _set_tags(client, run_id, _common_tags(state) | tags | ({"mlflow.note.content": texts[0]} if texts else {}))


def _costs(client: "MlflowClient", state: PipelineState, children: dict[str, str]) -> pd.DataFrame:
    """What each model takes on this machine, beside its score; empty where it was not measured here.

    Times differ from run to run, so they are kept here and not among the pipeline's results, which never do.
    """
    rows = []
    for model in state.models:
        measured = client.get_run(children[model.name]).data.metrics
        sizes = model.metrics.get("model", {})
        uar = state.comparison.get("test", {}).get(model.name, {}).get("macro_over_corpora", {}).get("uar")
        times = {name: measured.get(name) for name in (TRAIN_TIME, LATENCY)}
        rows.append({"model": model.name, "test_uar": uar, **sizes, **times})
    return pd.DataFrame(rows)


def _latency_ms(bundle: Path) -> float:
    """Median time of one prediction of a clip of 3 s, after a first one that warms up."""
    predictor = Predictor.load(bundle)
    clip = _spoken(LATENCY_CLIP_S, predictor.audio)
    took_s = []
    for _ in range(1 + LATENCY_RUNS):
        start = time.perf_counter()
        predictor.predict(clip)
        took_s.append(time.perf_counter() - start)
    return 1000 * float(np.median(took_s[1:]))


def _spoken(seconds: float, params: AudioParams) -> np.ndarray:
    """A synthetic sentence with pauses and breath: a steady tone would keep the pitch tracker busy for twice as long."""
    speaker = make_speaker("latency", "female", seed=1)
    sentence = speak(speaker, "latency", NEUTRAL, seeded("latency", 1), n_syllables=12, sung=False)
    repeated = np.resize(sentence, (round(seconds * RATE_HZ), 1))
    return to_signal(Decoded(repeated, RATE_HZ), params)


def _common_tags(state: PipelineState) -> dict[str, str]:
    tags = {"ser.state": state.sha256, "ser.data_sha256": state.cleaned_sha256, "mlflow.source.name": "stages.track"}
    if state.voices:
        tags |= {"ser.synthetic": SYNTHETIC, "mlflow.note.content": f"Trained and tested on {SYNTHETIC}, not on real speech."}
    return tags


def _set_tags(client: "MlflowClient", run_id: str, tags: dict[str, str]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in sorted(tags.items())])


def _log_curves(client: "MlflowClient", run_id: str, history: pd.DataFrame) -> None:
    """Add the points that the run does not have: all of a back-filled run, those after a failure of a live one."""
    points: dict[int, dict[str, float]] = {}
    for name in history.columns.drop("epoch"):
        known = steps(client, run_id, name)
        for epoch, value in zip(history["epoch"], history[name], strict=True):
            if epoch not in known and pd.notna(value):
                points.setdefault(int(epoch), {})[name] = float(value)
    log_metrics(client, run_id, sorted(points.items()))


def _log_numbers(client: "MlflowClient", run_id: str, values: dict[str, Any]) -> None:
    known = client.get_run(run_id).data.metrics
    numbers = {
        re.sub(r"[^\w\-./ :]", "_", name): float(value)  # the characters that MLflow takes
        for name, value in flat(values, "/").items()
        if isinstance(value, int | float)
    }
    log_metrics(client, run_id, [(0, {name: value for name, value in numbers.items() if name not in known})])


def _log_dataset(client: "MlflowClient", run_id: str, state: PipelineState) -> None:
    """Where the clips are listed and the hash of that list; the table itself stays with DVC."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if client.get_run(run_id).inputs.dataset_inputs:
        return
    dataset = Dataset(
        name=state.cleaned_csv.name,
        digest=state.cleaned_sha256[:36],  # MLflow's longest
        source_type="local",
        source=json.dumps({"uri": state.cleaned_csv.as_posix()}),
        profile=json.dumps({"sha256": state.cleaned_sha256, "clips": state.clip_counts}),
    )
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training and evaluation")])])


def _log_model(client: "MlflowClient", run_id: str, model: TrainedModel) -> None:
    """Log the model with signature and input example, once; what an interruption left half-made is removed."""
    import mlflow

    experiment_id = client.get_run(run_id).info.experiment_id
    for logged in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
        if logged.status == "READY":
            return
        client.delete_logged_model(logged.model_id)
    mlflow.set_tracking_uri(tracking_uri())
    # MLflow warns, whatever the filter, that `predict` has no type hints of the kinds it knows; the signature says it all.
    with warnings.catch_warnings(record=True), mlflow.start_run(run_id=run_id):
        from ser import served_model

        mlflow.pyfunc.log_model(
            name=model.name,
            python_model=served_model.__file__,
            artifacts={"bundle": str(model.folder)},
            code_paths=[str(Path(__file__).parent)],
            signature=_signature(model.bundle["emotions"]),
            input_example=_example(),
            pip_requirements=[f"{name}=={version(name)}" for name in _requirements(model.bundle)],
        )


def _requirements(bundle: dict[str, Any]) -> list[str]:
    """Packages that serving a model needs, those among them that make its feature sets."""
    further = set()
    for recipe in bundle.get("inputs", {}).values():
        if recipe.get("name") == DESCRIPTORS:
            further.add("librosa")
        if recipe.get("name") == PRETRAINED and not recipe["fields"]["source"].endswith(".onnx"):
            further |= {"huggingface-hub", "torch", "transformers"}
    return [*_REQUIREMENTS, *sorted(further)]


def _signature(emotions: list[str]) -> "ModelSignature":
    """A path, or samples with their rate, in; a probability an emotion out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    inputs = [
        ColSpec("string", "path", required=False),
        ColSpec(Array(DataType.double), "samples", required=False),
        ColSpec("long", "sampling_rate_hz", required=False),
    ]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema([ColSpec("float", emotion) for emotion in emotions]))


def _buzz(times_s: np.ndarray) -> np.ndarray:
    """A voice-like tone at 150 Hz."""
    return sum(np.sin(2 * np.pi * 150 * n * times_s) / n for n in range(1, 20)) / 10


def _example() -> pd.DataFrame:
    """A buzz at 150 Hz: MLflow asks the model about it once, and shows it as a request to send."""
    times_s = np.arange(round(EXAMPLE_S * EXAMPLE_RATE_HZ)) / EXAMPLE_RATE_HZ
    samples = _buzz(times_s)
    return pd.DataFrame({"samples": [[round(float(x), 4) for x in samples]], "sampling_rate_hz": [EXAMPLE_RATE_HZ]})
