"""The honesty report from raw files to the document: tiny voices, tiny models, one epoch."""

import json

import pytest
import yaml

from ser.demo import DemoParams, make_demo
from tests.pipeline import FEWEST_CLIPS, TINY_MODELS, Project, ran

CORPORA = ["ravdess", "crema_d", "tess", "emodb", "iesc"]
FOLDS = ["files_twice_1", "random_1", "chosen_on_test_1", "speakers_1", "speakers_2", "sentences_1a", "corpora_1"]
DESIGNS = {"dnn_pca": ["random_1"], "conv1d": ["speakers_1", "speakers_2"]}  # the second draws augmented copies
RUN = ("python", "-m", "benchmarks.run", "honesty")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Every protocol for one model, one fold of it a second time, one for the hybrid, and two published designs."""
    folder = tmp_path_factory.mktemp("honesty") / "ser"
    epochs = {f"models.{model}.training.epochs": 1 for model in DESIGNS}
    project = Project.fresh(folder, {"corpora.root": "data/raw", "corpora.use": CORPORA, **TINY_MODELS, **epochs})
    takes = FEWEST_CLIPS["demo.takes"] | {"ravdess": 2}  # of both sentences
    for corpus in CORPORA:
        make_demo(corpus, folder / "data/raw" / corpus, DemoParams(2026, FEWEST_CLIPS["demo.speakers"], takes, 1.0, 1.0))
    path = folder / "benchmarks/params.yaml"
    params = yaml.safe_load(path.read_text())
    params["honesty"] = {
        "seeds": [1],
        "folds": {**dict.fromkeys(params["honesty"]["folds"], []), "prosody": FOLDS, **DESIGNS},
        "longer": {"cnn": [], "prosody": ["random_1"], "hybrid": []},
        "copies": {"cnn": ["copies_1"], "prosody": ["copies_1"], "hybrid": ["copies_1"]},
    }
    params["honesty_folds"]["speaker_folds"] = 2
    params["evaluate"]["n_bootstrap"] = 100
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    for made in ("benchmarks/results/honesty.json", "docs/honesty.md", "docs/honesty.png", "benchmarks/dvc.lock"):
        (folder / made).unlink(missing_ok=True)
    return project


@pytest.mark.slow
def test_the_report_runs_from_end_to_end_and_goes_on_after_a_kill(project):
    begun = project.start(*RUN, "--models", "prosody")
    begun.wait_until(lambda: begun.text.count("Running stage 'benchmarks/dvc.yaml:honesty_prosody@") >= 2)
    begun.kill()
    output = project.run(*RUN).stdout
    assert "done before" in output and "[14 of 14] honesty" in output

    report = json.loads((project.folder / "benchmarks/results/honesty.json").read_text())
    assert list(report["protocols"]) == sorted(
        ["files_twice", "copies", "random", "chosen_on_test", "speakers", "sentences", "corpora"]
    )
    for name, content in report["protocols"].items():
        assert all("prosody" in figures["models"] for figures in content["tested"].values()), name
    assert set(report["protocols"]["corpora"]["tested"]) == {"crema_d", "emodb", "tess"}
    assert set(report["protocols"]["copies"]["tested"]["ravdess"]["models"]) == {"cnn", "prosody", "hybrid"}
    assert set(report["protocols"]["random"]["tested"]["ravdess"]["models"]) == {"prosody", "prosody_longer", "dnn_pca"}
    assert set(report["protocols"]["speakers"]["tested"]["ravdess"]["pairs"]) == {"conv1d_minus_prosody"}
    assert report["protocols"]["speakers"]["tested"]["ravdess"]["n_speakers"] == 4
    assert report["protocols"]["copies"]["crossings"]["sibling"] > 0

    document = (project.folder / "docs/honesty.md").read_text()
    assert "Not run yet" not in document and "What one step is worth" in document and "synthetic" not in document
    assert (project.folder / "docs/honesty.png").read_bytes().startswith(b"\x89PNG")
    assert not ran(project.run(*RUN).stdout), "all of it is up to date"
