"""The whole pipeline on fresh copies: demo corpora, a real corpus, models of others beside ours."""

import json
import shutil
import sys

import pytest
import yaml

from ser.demo import PLANTED
from ser.files import read_csv
from tests.pipeline import FEWEST_CLIPS, ROOT, Project, ran
from tests.tiny_encoder import write_onnx

pytestmark = pytest.mark.slow

MODELS = ("cnn", "prosody", "hybrid")
TWO_EPOCHS = {f"models.{model}.training.epochs": 2 for model in MODELS}
FEWER_TAKES = {"demo.takes": {**FEWEST_CLIPS["demo.takes"], "tess": 4}}
EMODB = ROOT.parent / "shared/corpora/emodb"


def made(project):
    """Every output that dvc.lock names, all of them there."""
    paths = [project.folder / path for path in project.outputs()]
    assert paths and all(path.exists() for path in paths)
    return paths


def reports(project):
    return {model: json.loads((project.folder / f"metrics/{model}.json").read_text()) for model in MODELS}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """All demo corpora with the parameters of params.yaml, but fewer takes and two epochs."""
    project = Project.fresh(tmp_path_factory.mktemp("demo") / "ser", {**TWO_EPOCHS, **FEWER_TAKES})
    return project, project.repro()


def test_the_demo_runs_through_all_stages(demo):
    project, output = demo
    with project.repo() as repo:
        assert ran(output) == {stage.addressing for stage in repo.index.stages if stage.path_in_repo == "dvc.yaml"}
    made(project)
    lines = project.run("git", "status", "--porcelain").stdout.splitlines()
    assert {line[3:].split("/")[0] for line in lines} == {"dvc.lock", "metrics"}, "everything else is ignored by git"
    for model, report in reports(project).items():
        assert report["synthetic_demo_voices"], model
        assert set(report["test"]["corpora"]) == {"ravdess", "crema_d", "tess", "emodb", "iesc"}
        assert report["test_speakers_heard_in_training"] == 0
        assert 0 <= report["test"]["overall"]["uar_low"] <= report["test"]["overall"]["uar_high"] <= 1
    assert "synthetic demo voices" in (project.folder / "metrics/comparison.md").read_text()


@pytest.mark.parametrize("corpus", sorted(PLANTED))
def test_planted_faults_are_rejected_and_oddities_used(demo, corpus):
    project, _ = demo
    rejected = read_csv(project.folder / "data/rejected.csv").set_index("path")["reason"]
    used = set(read_csv(project.folder / "data/cleaned_data.csv")["path"])
    for path, reason in PLANTED[corpus]:
        if reason:
            assert reason in rejected[f"{corpus}/{path}"]
            assert f"{corpus}/{path}" not in used
        else:
            assert f"{corpus}/{path}" in used


def test_mlflow_holds_a_parent_and_a_child_a_model_once(demo):
    project, _ = demo
    assert project.mlflow_runs() == {"parents": 1, "children": 3, "others": 0}
    assert "0 MLflow runs created or completed" in project.repro("-f", "-s", "track")
    assert project.mlflow_runs() == {"parents": 1, "children": 3, "others": 0}
    assert "up to date" in project.repro()


def test_real_recordings_run_through_all_stages(tmp_path):
    if not EMODB.is_dir():
        pytest.skip(f"real recordings are not here: {EMODB} is missing")
    project = Project.fresh(tmp_path / "ser", {**TWO_EPOCHS, "corpora.root": "data/raw", "corpora.use": ["emodb"]})
    shutil.copytree(EMODB, project.folder / "data/raw/emodb")
    project.repro("track")
    made(project)
    table = read_csv(project.folder / "data/cleaned_data.csv")
    assert len(table) == 535 - 81, "EmoDB has 535 files, 81 of them bored"
    assert table["speaker"].nunique() == 10 and table["emotion"].nunique() == 6
    parts = table.groupby("split")["speaker"].unique()
    assert set(parts.index) == {"train", "validation", "test"} and sum(map(len, parts)) == 10
    for report in reports(project).values():
        assert not report["synthetic_demo_voices"]
        assert report["test"]["overall"]["n"] == (table["split"] == "test").sum()
    assert project.mlflow_runs() == {"parents": 1, "children": 3, "others": 0}


def test_published_systems_are_taken_in_beside_ours(undisturbed, tmp_path):
    project = undisturbed.twin(tmp_path / "ser")
    before = project.outputs()
    taken = {"dnn_pca": "r0", "knn": "r2_mfcc_mean"}
    waits = {"also": "data/located.txt", "after": "data/audit.json", "beside": "ser/models/__init__.py"}
    chosen = yaml.safe_load((project.folder / "params.yaml").read_text())["pipeline"]["models"]
    chosen |= {model: {"reads": f"data/features/{kind}", **waits} for model, kind in taken.items()}
    sets = list(taken.values())
    project.configure({"pipeline.models": chosen, "pipeline.feature_sets": sets, "models.dnn_pca.training.epochs": 2})
    new = {f"{stage}@{model}" for stage in ("train", "evaluate", "shortcut", "bundle") for model in taken}
    new |= {f"descriptors@{k}-{c}-{v}" for k in sets for c in ("emodb", "tess") for v in ("clean", "augmented")}
    assert ran(project.repro("track")) == new | {"compare", "track"}
    after = project.outputs()
    follows = {*(f"metrics/comparison.{form}" for form in ("csv", "json", "md")), "data/tracked.json"}
    assert {path for path, value in before.items() if after[path] != value} == follows, "our own models are as they were"
    assert set(json.loads((project.folder / "metrics/comparison.json").read_text())["test"]) == {*MODELS, *taken}
    clip = next((project.folder / "data/raw/tess").rglob("*.wav"))
    for model in taken:
        answer = project.json(sys.executable, "-m", "ser.cli.main", "predict", "--json", "--model", f"models/{model}", str(clip))
        assert sum(answer["probabilities"].values()) == pytest.approx(1.0, abs=0.01)


def test_the_robustness_report_asks_the_bundle_that_the_pipeline_made(undisturbed, tmp_path):
    project = undisturbed.twin(tmp_path / "ser")
    path = project.folder / "benchmarks/params.yaml"
    params = yaml.safe_load(path.read_text())
    params["robustness"] |= {"clips": 3, "snr_db": [0.0], "gain_db": [-40.0], "mp3_kbps": [32], "first_s": [0.5], "t60_s": [0.6]}
    params["evaluate"]["n_bootstrap"] = 100
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    for made in ("benchmarks/results/robustness.json", "docs/robustness.md", "docs/robustness.png", "benchmarks/dvc.lock"):
        (project.folder / made).unlink(missing_ok=True)
    run = (sys.executable, "-m", "benchmarks.run", "robustness")
    assert ran(project.run(*run).stdout) == {f"benchmarks/dvc.yaml:{name}" for name in ("robustness", "robustness_report")}
    told = json.loads((project.folder / "benchmarks/results/robustness.json").read_text())
    bundle = json.loads((project.folder / "models/hybrid/bundle.json").read_text())
    assert told["bundle"]["fingerprint"] == bundle["fingerprint"] and set(told["corpora"]) == {"emodb", "tess"}
    assert "Bundle: `hybrid`" in (project.folder / "docs/robustness.md").read_text()
    assert (project.folder / "docs/robustness.png").read_bytes().startswith(b"\x89PNG")
    assert not ran(project.run(*run).stdout), "all of it is up to date"


def test_a_pretrained_encoder_is_taken_in_and_a_change_of_its_file_is_seen(undisturbed, tmp_path):
    project = undisturbed.twin(tmp_path / "ser")
    encoder = write_onnx(project.folder / "encoder.onnx")
    named = {"pretrained.source": "encoder.onnx", "pretrained.revision": None}
    project.configure({**named, "pipeline.encoders": ["pretrained"]})
    embeddings = {f"pretrained@pretrained-{c}-{v}" for c in ("emodb", "tess") for v in ("clean", "augmented")}
    assert ran(project.repro("pretrained")) == {"encoder@pretrained"} | embeddings
    assert ran(project.repro("pretrained")) == {"encoder@pretrained"}, "it is looked at, and is the same"
    write_onnx(encoder, seed=1)
    assert ran(project.repro("pretrained")) == {"encoder@pretrained"} | embeddings
