"""MLflow runs: live while training, completed from the pipeline's files, and never in the pipeline's way."""

import hashlib
import json
import logging
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import soundfile

from ser.live_tracking import LiveRun
from ser.mlflow_connection import TrackingError, connect, reason, tracking_uri
from ser.predictor import Predictor
from ser.tracking import SUPERSEDED, StateError, _requirements, log_state, read_state
from stages import track
from tests.tiny import EMOTIONS, RATE_HZ, speech

pytestmark = pytest.mark.slow  # a database of MLflow is set up

FINGERPRINTS = {"cnn": "c" * 64, "hybrid": "b" * 64}
METRICS = {"test": {"overall": {"uar": 0.55, "n": 9}}, "synthetic_demo_voices": 1}
EPOCHS = [(1, 2.0), (2, 1.5), (3, 1.25)]


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """An MLflow database as MLflow makes it (which takes seconds, so once)."""
    folder = tmp_path_factory.mktemp("database")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/mlflow.db")
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "another")
        connect()
    assert sorted(path.name for path in folder.iterdir()) == ["mlflow.db"], "no half-made database is left beside it"
    return folder / "mlflow.db"


@pytest.fixture
def database(empty_database, tmp_path, monkeypatch):
    """A fresh copy of it, in use."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for name in ("MLFLOW_EXPERIMENT_NAME", "DVC_STAGE", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "mlflow.db"


@pytest.fixture(autouse=True)
def quick_figures(request, monkeypatch):
    """Drawing is half of the time; only the tests that look at figures draw."""
    if "figures" not in request.node.name and "server" not in request.node.name:
        monkeypatch.setattr("ser.tracking.draw_model", lambda folder, *args: (folder / "curves.png").touch())
        monkeypatch.setattr("ser.tracking.draw_comparison", lambda path, *args: path.touch())


@pytest.fixture
def results(tmp_path):
    """Folders as the pipeline leaves them: two models, no network in them."""
    for model, fingerprint in FINGERPRINTS.items():
        _write_model(tmp_path, model, fingerprint)
    rows = [(f"a{n}", "ravdess", split) for n, split in enumerate(["train", "train", "validation", "test"])]
    pd.DataFrame(rows, columns=["id", "corpus", "split"]).to_csv(tmp_path / "cleaned_data.csv", index=False)
    _write_json(
        tmp_path / "metrics/comparison.json",
        {
            "best": "hybrid",
            "validation": {"cnn": {"uar": 0.5}, "hybrid": {"uar": 0.6}},
            "test": {model: {"macro_over_corpora": {"uar": 0.55, "uar_low": 0.5, "uar_high": 0.6}} for model in FINGERPRINTS},
            "synthetic_demo_voices": 1,
        },
    )
    (tmp_path / "metrics/comparison.md").write_text("# Test UAR, synthetic demo voices\n")
    return tmp_path


def test_a_state_is_one_parent_with_a_complete_child_a_model(database, results):
    assert log_state(_state(results)) == 3
    parent, children = _tree()
    assert sorted(children) == ["cnn", "hybrid"]
    assert parent.data.metrics["comparison/test/hybrid/macro_over_corpora/uar"] == 0.55
    assert parent.data.tags["ser.best_model"] == "hybrid"
    cnn = children["cnn"]
    assert cnn.info.status == "FINISHED"
    assert cnn.data.metrics["test/overall/uar"] == 0.55
    assert cnn.data.params["train.learning_rate"] == "0.001"
    assert cnn.data.params["data.ravdess.train"] == "2"
    assert cnn.data.tags["ser.backfilled"] == "true"
    assert cnn.data.tags["ser.split_sha256"] == "d" * 64
    assert cnn.data.tags["dvc.stage"] == "train@cnn"
    assert _curve(cnn, "loss") == EPOCHS
    digest = cnn.inputs.dataset_inputs[0].dataset.digest
    assert cnn.data.tags["ser.data_sha256"].startswith(digest)


@pytest.mark.parametrize(
    ("recipe", "further"),
    [
        ({"name": "prosody", "fields": {}}, []),
        ({"name": "descriptors", "fields": {}}, ["librosa"]),
        ({"name": "pretrained", "fields": {"source": "encoders/wavlm.onnx"}}, []),
        ({"name": "pretrained", "fields": {"source": "microsoft/wavlm-large"}}, ["huggingface-hub", "torch", "transformers"]),
    ],
)
def test_a_logged_model_names_the_packages_that_make_its_features(recipe, further):
    ours = _requirements({"inputs": {}})
    assert "onnxruntime" in ours and _requirements({"inputs": {"some": recipe}}) == [*ours, *further]


def test_demo_voices_are_named_in_every_run(database, results):
    log_state(_state(results))
    parent, children = _tree()
    for run in (parent, *children.values()):
        assert "synthetic demo voices" in run.info.run_name
        assert run.data.tags["ser.synthetic"] == "synthetic demo voices"
        assert "synthetic demo voices" in run.data.tags["mlflow.note.content"]


def test_tables_and_figures_are_kept(database, results):
    log_state(_state(results))
    parent, children = _tree()
    assert _artifacts(children["cnn"], "figures") == ["confusion_matrix.png", "curves.png", "reliability.png", "roc.png"]
    assert {"cnn.json", "cnn.csv", "history.csv", "roc.csv"} <= set(_artifacts(children["cnn"], "tables"))
    assert {"comparison.json", "comparison.md", "figures"} <= set(_artifacts(parent))


def test_logging_twice_adds_nothing(database, results):
    log_state(_state(results))
    before = _contents()
    assert log_state(_state(results)) == 0
    assert _contents() == before


def test_another_state_gets_its_own_parent_and_children(database, results):
    log_state(_state(results))
    _write_model(results, "cnn", "e" * 64)
    assert log_state(_state(results)) == 3
    assert len(_runs()) == 6


def test_a_live_run_is_adopted_and_completed(database, results, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "train@cnn")
    monkeypatch.setenv("DVC_EXP_NAME", "tiny-try")
    _train("cnn", EPOCHS)
    (live,) = _runs()
    log_state(_state(results))
    _, children = _tree()
    cnn = children["cnn"]
    assert cnn.info.run_id == live.info.run_id
    assert "ser.backfilled" not in cnn.data.tags
    assert cnn.data.tags["dvc.exp_name"] == "tiny-try"
    assert cnn.data.metrics["test/overall/uar"] == 0.55
    assert _curve(cnn, "loss") == EPOCHS
    assert children["hybrid"].data.tags["ser.backfilled"] == "true"


def test_a_resumed_training_goes_on_in_its_run(database):
    killed = LiveRun.start("cnn", FINGERPRINTS["cnn"], {"units": [8, 16]})
    killed.log(1, {"loss": 2.0})
    killed.log(2, {"loss": 1.5})
    _train("cnn", EPOCHS[1:])  # from the checkpoint after epoch 1
    (run,) = _runs()
    assert run.info.status == "FINISHED"
    assert _curve(run, "loss") == EPOCHS


def test_a_training_of_another_fingerprint_is_another_run(database):
    _train("cnn", EPOCHS)
    LiveRun.start("cnn", "f" * 64, {}).finish(1.0)
    assert len(_runs()) == 2


def test_a_training_repeated_by_force_is_kept_under_the_same_parent(database, results):
    _train("cnn", EPOCHS)
    log_state(_state(results))
    _train("cnn", EPOCHS)
    assert log_state(_state(results)) == 0
    _, children = _tree()
    (repeat,) = [run for run in _runs() if SUPERSEDED in run.data.tags]
    assert repeat.data.tags[SUPERSEDED] == children["cnn"].info.run_id
    assert repeat.data.tags["mlflow.parentRunId"] == children["cnn"].data.tags["mlflow.parentRunId"]


def test_a_live_run_of_other_curves_is_not_taken_for_the_model(database, results):
    """A training killed, then started over with changed code under the same fingerprint."""
    _train("cnn", [(1, 9.0)])
    log_state(_state(results))
    _, children = _tree()
    assert _curve(children["cnn"], "loss") == EPOCHS
    assert children["cnn"].data.tags["ser.backfilled"] == "true"
    assert len([run for run in _runs() if SUPERSEDED in run.data.tags]) == 1


def test_live_curves_leave_the_random_state_alone(database):
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()
    _train("cnn", EPOCHS)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


@pytest.mark.parametrize("step", ["_log_curves", "_log_numbers", "_log_dataset", "draw_model", "_set_tags", "_fill_parent"])
def test_an_interrupted_logging_is_completed_not_doubled(database, results, monkeypatch, step):
    from ser import tracking

    with monkeypatch.context() as patch:
        patch.setattr(tracking, step, _killed)
        with pytest.raises(KeyboardInterrupt):
            log_state(_state(results))
    assert log_state(_state(results)) > 0
    parent, children = _tree()
    assert len(_runs()) == 3
    assert {run.data.tags["ser.complete"] for run in (parent, *children.values())} == {"1"}
    assert _curve(children["cnn"], "loss") == EPOCHS
    assert len(children["cnn"].inputs.dataset_inputs) == 1


def test_epochs_that_an_outage_swallowed_are_filled_in(database, results):
    _train("cnn", EPOCHS[:1])
    log_state(_state(results))
    _, children = _tree()
    assert _curve(children["cnn"], "loss") == EPOCHS


def test_the_stage_writes_content_only(database, results, monkeypatch, caplog):
    monkeypatch.setattr(sys, "argv", ["track", *_stage_arguments(results)])
    with caplog.at_level(logging.INFO):
        track.main()
    assert "3 MLflow runs created or completed" in caplog.text
    assert json.loads((results / "tracked.json").read_text()) == {"state": _state(results).sha256, "models": ["cnn", "hybrid"]}


def test_without_a_server_the_stage_says_what_is_not_logged_and_ends_well(results, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    command = [sys.executable, "-m", "stages.track", *_stage_arguments(results)]
    stage = subprocess.run(command, cwd=_root(), capture_output=True, text=True, check=True)
    assert time.monotonic() - started < 20  # 3 s uncontended, most of them imports
    (line,) = stage.stderr.strip().splitlines()
    assert line.startswith("not logged to MLflow: cnn, hybrid, comparison: MLflow at http://127.0.0.1:9 does not answer")
    assert "make track" in line
    assert json.loads((results / "tracked.json").read_text())["models"] == ["cnn", "hybrid"]


def test_without_a_server_training_goes_on_after_one_warning(monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="ser"):
        _train("cnn", EPOCHS)
    assert time.monotonic() - started < 5
    (record,) = caplog.records
    assert "without live curves" in record.message and "make track" in record.message


def test_a_server_that_never_answers_is_left_after_a_few_seconds(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(TrackingError, match="does not answer"):
            connect()
        assert time.monotonic() - started < 5


def test_a_failure_while_training_stops_the_curves_not_the_training(database, caplog):
    live = LiveRun.start("cnn", FINGERPRINTS["cnn"], {})
    live.log(1, {"loss": 2.0})
    with sqlite3.connect(database) as connection:
        connection.execute("DROP TABLE metrics")
    connection.close()
    with caplog.at_level(logging.WARNING, logger="ser"):
        live.log(2, {"loss": 1.5})
        live.log(3, {"loss": 1.25})
        live.finish(1.0)
    assert len([record for record in caplog.records if record.name == "ser.live_tracking"]) == 1


@pytest.mark.slow  # three processes that import MLflow
def test_trainings_that_start_together_make_one_database(tmp_path):
    command = [sys.executable, "-c", "from ser.mlflow_connection import connect; print(connect()[1])"]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "MLFLOW_EXPERIMENT_NAME": "Default"}
    together = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert {process.communicate()[0].strip() for process in together} == {"0"}
    assert [process.returncode for process in together] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize(
    "uri", ["sqlite:///{folder}/text.db", "postgresql://me:secret@127.0.0.1:9/mlflow", "http://me:secret@127.0.0.1:9"]
)
def test_an_unusable_address_is_refused_at_once_without_its_password(tmp_path, monkeypatch, uri):
    (tmp_path / "text.db").write_text("this is not a database, only a file of that name")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(folder=tmp_path))
    with pytest.raises(TrackingError) as caught:
        connect()
    assert "does not answer" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_default_is_a_database_in_the_working_directory(monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri() == "sqlite:///mlflow.db"


def test_a_reason_is_one_line_without_passwords():
    assert reason("at postgresql://me:secret@host/db\nand more") == "at postgresql://host/db"


def test_importing_the_training_side_does_not_import_mlflow():
    code = "import sys, ser.live_tracking; sys.exit('mlflow' in sys.modules or 'tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=_root(), check=True)


def test_missing_results_are_named(results):
    (results / "models/cnn/history.csv").unlink()
    with pytest.raises(StateError, match="history.csv: missing; run `dvc repro` first"):
        _state(results)


def test_the_model_is_logged_once_and_predicts_from_mlflow_alone(database, results, tiny_bundle):
    _put_bundle(tiny_bundle, results / "models/cnn")
    log_state(_state(results))
    _, children = _tree()
    (logged,) = _logged_models(children["cnn"])
    code = (
        "import mlflow, sys; model = mlflow.pyfunc.load_model(sys.argv[1]);"
        "print(model.metadata.signature.inputs.input_names());"
        "print(model.predict(model.input_example).round(3).to_json(orient='records'));"
        "print(model.predict([{'path': sys.argv[2]}]).round(3).to_json(orient='records'));"
        "print(*{'tensorflow', 'keras'} & set(sys.modules))"
    )
    soundfile.write(results / "clip.wav", speech(0.8), RATE_HZ, subtype="PCM_16")
    # outside the repository: our code must come with the model
    command = [sys.executable, "-c", code, logged.model_uri, str(results / "clip.wav")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    answer = subprocess.run(command, cwd=results, env=environment, capture_output=True, text=True, check=True)
    names, of_example, of_file, imported = answer.stdout.splitlines()[-4:]
    assert names == "['path', 'samples', 'sampling_rate_hz']" and imported == ""
    assert sum(json.loads(of_example)[0].values()) == pytest.approx(1.0, abs=0.01)
    expected = Predictor.load(tiny_bundle).predict(speech(0.8)).probabilities
    assert json.loads(of_file)[0] == pytest.approx(dict(zip(EMOTIONS, expected, strict=True)), abs=0.001)
    assert log_state(_state(results)) == 0
    assert len(_logged_models(children["cnn"])) == 1


def test_the_winner_takes_the_alias_only_from_what_it_beats_on_the_same_split(database, results, tiny_bundle, caplog):
    def logged(fingerprint: str, validation_uar: float, split: str = "d" * 64, synthetic: int = 0) -> int:
        _write_model(results, "hybrid", fingerprint * 64)
        bundle = json.loads((results / "models/hybrid/bundle.json").read_text())
        _write_json(results / "models/hybrid/bundle.json", bundle | {"split_sha256": split})
        _put_bundle(tiny_bundle, results / "models/hybrid")
        for model in FINGERPRINTS:
            path = results / f"metrics/{model}.json"
            _write_json(path, json.loads(path.read_text()) | {"synthetic_demo_voices": synthetic})
        comparison = json.loads((results / "metrics/comparison.json").read_text())
        comparison["validation"]["hybrid"]["uar"] = validation_uar
        _write_json(results / "metrics/comparison.json", comparison)
        return log_state(_state(results))

    def holder(name: str = "ser"):
        version = connect()[0].get_model_version_by_alias(name, "champion")
        return version.tags["ser.fingerprint"][0], int(version.version), version.tags["ser.model"]

    assert logged("1", 0.6) == 4, "two models, their parent and a version"
    assert holder() == ("1", 1, "hybrid")
    assert log_state(_state(results)) == 0
    logged("2", 0.55)
    assert holder() == ("1", 1, "hybrid"), "worse on validation"
    logged("3", 0.65)
    assert holder() == ("3", 2, "hybrid")
    logged("4", 0.99, split="e" * 64)
    assert holder() == ("3", 2, "hybrid") and "another split" in caplog.text
    logged("5", 0.99, synthetic=1)
    assert holder() == ("3", 2, "hybrid") and holder("ser-demo") == ("5", 1, "hybrid")
    answer = mlflow.pyfunc.load_model("models:/ser@champion").predict(
        [{"samples": speech(0.8).tolist(), "sampling_rate_hz": RATE_HZ}]
    )
    assert list(answer.columns) == list(EMOTIONS)


def test_costs_stand_beside_the_scores(database, results, tiny_bundle):
    _train("hybrid", EPOCHS)
    _put_bundle(tiny_bundle, results / "models/hybrid")
    log_state(_state(results))
    parent, children = _tree()
    table = pd.read_csv(connect()[0].download_artifacts(parent.info.run_id, "costs.csv")).set_index("model")
    assert table.loc["hybrid", "train_s"] == 1.0 and table.loc["hybrid", "latency_ms"] > 0
    assert table.loc["hybrid", "parameters"] == 1000 and table.loc["hybrid", "test_uar"] == 0.55
    assert table.loc["cnn", ["train_s", "latency_ms"]].isna().all(), "neither trained here nor exported"


def test_a_real_server_with_a_database_holds_the_same(empty_database, results, tiny_bundle, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(empty_database, served / "server.db")
    server = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
        + ["--backend-store-uri", "sqlite:///server.db", "--artifacts-destination", str(served / "artifacts")],
        cwd=served,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        _wait_for(port, server)
        _put_bundle(tiny_bundle, results / "models/cnn")
        _train("cnn", EPOCHS)
        assert log_state(_state(results)) == 3
        before = _contents()
        assert log_state(_state(results)) == 0
        assert _contents() == before
        _, children = _tree()
        assert _curve(children["cnn"], "loss") == EPOCHS
        assert "roc.png" in _artifacts(children["cnn"], "figures")
        assert len(_logged_models(children["cnn"])) == 1
        assert any((served / "artifacts").rglob("roc.png")), "artifacts are kept by the server"
        assert not (tmp_path / "mlruns").exists()
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)


def _root() -> Path:
    return Path(__file__).parents[1]


def _write_json(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def _write_model(root: Path, model: str, fingerprint: str) -> None:
    emotions = ["happy", "sad"]
    folder, plots = root / "models" / model, root / "metrics/plots" / model
    for path in (folder, plots, root / "predictions"):
        path.mkdir(parents=True, exist_ok=True)
    bundle = {"model": model, "emotions": emotions, "fingerprint": fingerprint, "split_sha256": "d" * 64}
    _write_json(folder / "bundle.json", bundle)
    _write_json(folder / "params.json", {"train": {"learning_rate": 0.001, "epochs": 3}, "units": [8, 16]})
    history = pd.DataFrame(EPOCHS, columns=["epoch", "loss"]).assign(validation_uar=[0.3, 0.4, 0.5])
    history.to_csv(folder / "history.csv", index=False)
    _write_json(root / f"metrics/{model}.json", {**METRICS, "model": {"parameters": 1000, "size_bytes": 4000}})
    pd.DataFrame({"actual": emotions, "happy": [0.9, 0.4], "sad": [0.1, 0.6]}).to_csv(plots / "confusion_matrix.csv", index=False)
    roc = pd.DataFrame({"emotion": ["happy"] * 3, "fpr": [0.0, 0.2, 1.0], "tpr": [0.0, 0.7, 1.0]})
    roc.to_csv(plots / "roc.csv", index=False)
    reliability = pd.DataFrame({"bin": [8, 14], "confidence": [0.5, 0.9], "accuracy": [0.4, 0.8], "n": [3, 6]})
    reliability.to_csv(plots / "reliability.csv", index=False)
    pd.DataFrame({"id": ["a3"], "emotion": ["sad"]}).to_csv(root / f"predictions/{model}.csv", index=False)


def _put_bundle(bundle: Path, folder: Path) -> None:
    """A real, tiny bundle in place of the made-up one, whose name and fingerprint it takes over."""
    made_up = json.loads((folder / "bundle.json").read_text())
    shutil.copytree(bundle, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("history.csv", "params.json"))
    description = json.loads((bundle / "bundle.json").read_text())
    kept = {name: made_up[name] for name in ("model", "fingerprint", "split_sha256")}
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in description["files"]}
    _write_json(folder / "bundle.json", description | kept | {"files": files})


def _state(root: Path):
    return read_state(root / "models", root / "metrics", root / "predictions", root / "cleaned_data.csv")


def _train(model: str, epochs: list[tuple[int, float]]) -> None:
    live = LiveRun.start(model, FINGERPRINTS[model], {"train": {"learning_rate": 0.001}, "units": (8, 16)})
    for epoch, loss in epochs:
        live.log(epoch, {"loss": loss})
    live.finish(1.0)


def _stage_arguments(root: Path) -> list[str]:
    paths = ("models", "metrics", "predictions", "cleaned_data.csv", "tracked.json")
    return [*(str(root / name) for name in paths), "cnn", "hybrid"]


def _runs():
    client, experiment_id = connect()
    return list(client.search_runs([experiment_id]))


def _tree():
    runs = _runs()
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return parent, {run.data.tags["ser.model"]: run for run in children if SUPERSEDED not in run.data.tags}


def _contents():
    """Everything said about every run."""
    return sorted(json.dumps(run.to_dictionary(), sort_keys=True) for run in _runs())


def _curve(run, name: str) -> list[tuple[int, float]]:
    return sorted((point.step, point.value) for point in connect()[0].get_metric_history(run.info.run_id, name))


def _artifacts(run, folder: str | None = None) -> list[str]:
    return sorted(Path(item.path).name for item in connect()[0].list_artifacts(run.info.run_id, folder))


def _logged_models(run):
    return list(connect()[0].search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"))


def _killed(*args, **kwargs):
    raise KeyboardInterrupt


def _wait_for(port: int, server: subprocess.Popen, limit_s: float = 90.0) -> None:
    import requests

    until = time.monotonic() + limit_s
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=2).ok:
                return
        except requests.RequestException:
            time.sleep(0.5)
    pytest.fail("the MLflow server did not start")
