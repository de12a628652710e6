"""What a change makes DVC run again: as little as possible, and never less than needed."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from ser.demo import DemoParams, make_demo
from tests.conftest import TINY
from tests.pipeline import FEWEST_CLIPS, Project, ran

pytestmark = pytest.mark.slow  # rests on a run of the tiny pipeline

LAST = "track"  # needs every stage but the demo corpora, which lie under data/raw already
CORPORA = ("emodb", "tess")
MODELS = ("cnn", "prosody", "hybrid")


def each(stage, names):
    return {f"{stage}@{name}" for name in names}


def features(stage, *variants, corpora=CORPORA):
    return {f"{stage}@{corpus}-{variant}" for corpus in corpora for variant in variants}


ENDS = {"compare", "track"}
CLEAN, AUGMENTED, BOTH = ("clean",), ("augmented",), ("clean", "augmented")
ALL_FEATURES = features("spectrogram", *BOTH) | features("prosody", *BOTH)


def scored(names):
    """What an evaluation of these models can change."""
    return each("evaluate", names) | each("shortcut", names) | each("bundle", names) | ENDS


PROBES = each("shortcut", MODELS) | each("bundle", MODELS) | {"track"}
PROBED_AND_SCORED = each("evaluate", MODELS) | each("shortcut", MODELS) | {"compare"}
ALL_MODELS = each("train", MODELS) | scored(MODELS)
CNN_AND_HYBRID = each("train", ["cnn", "hybrid"]) | scored(["cnn", "hybrid"])
PROSODY_AND_HYBRID = each("train", ["prosody", "hybrid"]) | scored(["prosody", "hybrid"])
HYBRID = each("train", ["hybrid"]) | scored(["hybrid"])
AUGMENTED_HALF = features("spectrogram", *AUGMENTED) | features("prosody", *AUGMENTED) | {"audit"} | ALL_MODELS


@dataclass(frozen=True)
class Change:
    """An edit, the stages it changes itself, and all that can follow if every output then differs (it includes those)."""

    name: str
    direct: set[str]
    reach: set[str]
    files: tuple[str, ...] = ()  # each gets one more line
    param: tuple[str, object] = ()


CHANGES = [
    Change("cnn learning rate", {"train@cnn"}, CNN_AND_HYBRID, param=("models.cnn.training.learning_rate", 0.01)),
    Change("cnn size", {"train@cnn"}, CNN_AND_HYBRID, param=("models.cnn.architecture.embedding", 24)),
    Change("cnn code", {"train@cnn"}, CNN_AND_HYBRID, files=("ser/models/cnn.py",)),
    Change("hybrid epochs", {"train@hybrid"}, HYBRID, param=("models.hybrid.training.epochs", 2)),
    Change("hybrid code", {"train@hybrid"}, HYBRID, files=("ser/models/hybrid.py",)),
    Change("prosody network code", {"train@prosody"}, PROSODY_AND_HYBRID, files=("ser/models/prosody.py",)),
    Change(
        "augmentation parameter",
        each("augment", CORPORA),
        each("augment", CORPORA) | AUGMENTED_HALF,
        param=("augment.max_gain_db", 3.0),
    ),
    Change("augmentation code", each("augment", CORPORA), each("augment", CORPORA) | AUGMENTED_HALF, files=("ser/augment.py",)),
    Change(  # bundles hold the measures that an app shows
        "prosody code",
        features("prosody", *BOTH) | each("bundle", MODELS) | {"track"},
        features("prosody", *BOTH) | PROSODY_AND_HYBRID | each("bundle", MODELS),
        files=("ser/prosody.py",),
    ),
    Change(
        "functionals parameter",
        features("prosody", *BOTH),
        features("prosody", *BOTH) | PROSODY_AND_HYBRID,
        param=("functionals.n_mfcc", 13),
    ),
    Change(
        "spectrogram parameter",
        features("spectrogram", *BOTH),
        features("spectrogram", *BOTH) | CNN_AND_HYBRID,
        param=("spectrogram.n_mels", 40),
    ),
    Change(
        "spectrogram code",
        features("spectrogram", *BOTH) | {"track"},  # which logs the predictor's code with the model
        features("spectrogram", *BOTH) | CNN_AND_HYBRID,
        files=("ser/spectrogram.py",),
    ),
    Change(
        "split seed",
        each("split", CORPORA) | {"audit"},
        each("split", CORPORA) | each("augment", CORPORA) | {"unify"} | AUGMENTED_HALF,
        param=("split.seed", 9),
    ),
    Change(
        "boredom kept", {"unify"} | each("train", MODELS), {"unify", "audit"} | ALL_MODELS, param=("emotions.boredom", "keep")
    ),
    Change("bootstrap", PROBED_AND_SCORED, scored(MODELS), param=("evaluate.n_bootstrap", 50)),
    Change("scoring code", PROBED_AND_SCORED, scored(MODELS), files=("ser/scoring.py",)),
    Change(
        "calibration",
        each("evaluate", MODELS),
        scored(MODELS) - each("shortcut", MODELS),
        param=("calibration.sure_accuracy", 0.7),
    ),
    Change("shortcut parameter", each("shortcut", MODELS), PROBES, param=("shortcut.pause_db", 20.0)),
    Change("export code", each("bundle", MODELS), each("bundle", MODELS) | {"track"}, files=("ser/export.py",)),
    Change("tracking code", {"track"}, {"track"}, files=("ser/tracking.py", "ser/figures.py")),
    Change(
        "shorter clips accepted",
        each("collect", CORPORA) | each("bundle", MODELS),
        each("collect", CORPORA) | each("split", CORPORA) | each("augment", CORPORA) | {"unify"} | ALL_FEATURES | AUGMENTED_HALF,
        param=("audio.minimum_s", 0.05),
    ),
    Change("parameters of demo corpora under data/raw", set(), set(), param=("demo.strength", 0.5)),
    Change("app, command line, API", set(), set(), files=("ser/cli/main.py", "ser/api/app.py", "ser/app/main.py")),
    Change(
        "tests and texts", set(), set(), files=("tests/test_split.py", "tests/test_new.py", "README.md", "docs/add-a-corpus.md")
    ),
    Change("settings of tools", set(), set(), files=("pyproject.toml", "Makefile", ".ci/run", "requirements.lock")),
]


@pytest.mark.parametrize("change", [pytest.param(change, id=change.name) for change in CHANGES])
def test_a_change_reruns_what_it_touches_and_nothing_else(undisturbed, change):
    with undisturbed.restored("params.yaml", *change.files):
        if change.param:
            undisturbed.configure(dict([change.param]))
        for name in change.files:
            path = undisturbed.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a") as file:
                file.write("\n# a change\n")
        assert undisturbed.status(LAST) == change.direct
        assert undisturbed.downstream(change.direct, LAST) == change.reach


def test_a_comment_or_another_order_in_the_parameters_reruns_nothing(undisturbed):
    with undisturbed.restored("params.yaml"):
        path = undisturbed.folder / "params.yaml"
        path.write_text("# a comment\n" + path.read_text())
        assert undisturbed.status(LAST) == set()


def test_a_file_added_to_a_corpus_concerns_that_corpus_alone(undisturbed):
    added = "data/raw/emodb/wav/03a02Wa.wav"
    with undisturbed.restored(added):
        shutil.copy(undisturbed.folder / "data/raw/emodb/wav/03a01Wa.wav", undisturbed.folder / added)
        assert undisturbed.status(LAST) == {"collect@emodb"}
        reach = undisturbed.downstream({"collect@emodb"}, LAST)
    own = features("spectrogram", *BOTH, corpora=["emodb"]) | features("prosody", *BOTH, corpora=["emodb"])
    assert reach == {"collect@emodb", "split@emodb", "unify", "augment@emodb", "audit"} | own | ALL_MODELS


def test_a_description_changed_reads_that_corpus_alone_again(undisturbed):
    with undisturbed.restored("ser/corpora/emodb.yaml"):
        path = undisturbed.folder / "ser/corpora/emodb.yaml"
        path.write_text(path.read_text() + "# a comment\n")
        bundles = each("bundle", MODELS)  # which quote the licences
        assert undisturbed.status(LAST) == {"locate", "collect@emodb"} | bundles


DESCRIPTION = """\
title: A sixth corpus
language: nl
licence: none
obtain: Make it.
pattern: 'takes/(?P<emotion>[a-z]+)/(?P<speaker>[a-z]+)_\\d+$'
emotion: {joy: happy, grief: sad, plain: neutral}
sex: {female: [anna, bea, cato], male: [dirk, eli, floor]}
"""


def add_sixth(project):
    """A corpus in none of the five layouts, its description, its entry in the list."""
    folder = project.folder / "data/raw/sixth"
    source = project.folder / "data/sixth_source"
    params = DemoParams(
        77, {**FEWEST_CLIPS["demo.speakers"], "emodb": 6}, FEWEST_CLIPS["demo.takes"], strength=1.0, variation=1.0
    )
    make_demo("emodb", source, params)
    names = dict(zip(("03", "08", "09", "10", "11", "13"), ("dirk", "anna", "bea", "eli", "floor", "cato"), strict=True))
    for path in sorted((source / "wav").glob("*a01[FTN]a.wav")):
        emotion = {"F": "joy", "T": "grief", "N": "plain"}[path.name[5]]
        target = folder / "takes" / emotion / f"{names[path.name[:2]]}_1.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.rmtree(source)
    (project.folder / "ser/corpora/sixth.yaml").write_text(DESCRIPTION)
    project.configure({"corpora.use": [*CORPORA, "sixth"]})


def test_a_sixth_corpus_is_extracted_alone(undisturbed, tmp_path):
    project = undisturbed.twin(tmp_path / "ser")
    add_sixth(project)
    new = {f"{stage}@sixth" for stage in ("collect", "split", "augment")}
    new |= features("spectrogram", *BOTH, corpora=["sixth"]) | features("prosody", *BOTH, corpora=["sixth"])
    read_the_list = ("evaluate", "shortcut", "bundle")
    listed = {"locate", "unify", "audit"}.union(*(each(stage, MODELS) for stage in read_the_list))
    assert project.status(LAST) == new | listed

    output = project.repro("unify", "spectrogram@sixth-augmented")
    assert ran(output) == {"locate", "collect@sixth", "split@sixth", "unify", "augment@sixth", "spectrogram@sixth-augmented"}
    table = (project.folder / "data/cleaned_data.csv").read_text()
    assert "sixth/takes/joy/anna_1,sixth/takes/joy/anna_1.wav,sixth,sixth_anna,female,nl,happy,joy," in table
    old = each("collect", CORPORA) | each("split", CORPORA) | each("augment", CORPORA) | ALL_FEATURES
    assert not project.status(LAST) & old


def test_a_missing_corpus_stops_the_run_before_any_work(tmp_path):
    project = Project.fresh(tmp_path / "ser", {**TINY, "corpora.use": ["tess", "crema_d"]})
    process = project.run("dvc", "repro", check=False)
    assert process.returncode != 0
    assert ran(process.stdout) == {"locate"}
    (sentence,) = [line for line in process.stdout.splitlines() if line.startswith("error: ")]
    assert str(tmp_path / "ser/data/raw/tess") in sentence and "Toronto" in sentence, "where it was looked for"
    assert "Download" in sentence and "corpora.use" in sentence, "how to get it, or do without"
    assert "Traceback" not in process.stdout
    assert {path.name for path in project.folder.glob("data/*")} <= {"raw"}


def test_a_second_repro_does_nothing(undisturbed):
    before = undisturbed.outputs()
    start = time.monotonic()
    output = undisturbed.repro(LAST)
    print(f"\nsecond dvc repro: {time.monotonic() - start:.1f} s")
    assert "Data and pipelines are up to date." in output
    assert ran(output) == set()
    assert undisturbed.outputs() == before
    assert undisturbed.run("git", "status", "--porcelain").stdout == ""


@pytest.fixture(scope="module")
def branches(undisturbed, tmp_path_factory):
    """Branch `main` as it was; branch `heard` with a random split and the prosodic model trained on it; and what that printed."""
    project = undisturbed.twin(tmp_path_factory.mktemp("branches") / "ser")
    project.run("git", "checkout", "-q", "-b", "heard")
    project.configure({"split.policy": "random"})
    output = project.repro("evaluate@prosody")
    project.commit("random split")
    return project, output


def report(folder: Path, model="prosody"):
    return json.loads((folder / f"metrics/{model}.json").read_text())


def test_a_random_split_warns_and_stamps_the_metrics(branches, undisturbed):
    project, output = branches
    expected = each("split", CORPORA) | each("augment", CORPORA) | {"unify", "audit", "train@prosody", "evaluate@prosody"}
    assert ran(output) == expected | features("prosody", "augmented")
    assert output.count("random split: speakers are heard in training AND in testing") == len(CORPORA)
    assert report(project.folder)["test_speakers_heard_in_training"] > 0
    assert report(undisturbed.folder)["test_speakers_heard_in_training"] == 0


def test_metrics_and_plots_are_shown_and_compared_across_branches(branches):
    project, _ = branches
    shown = project.json("dvc", "metrics", "show", "--json", "--all-branches")
    heard = {
        name: shown[name]["data"]["metrics/prosody.json"]["data"]["test_speakers_heard_in_training"] for name in ("main", "heard")
    }
    assert heard["main"] == 0 and heard["heard"] > 0

    changes = project.json("dvc", "metrics", "diff", "--json", "main", "heard")["metrics/prosody.json"]
    assert changes["test_speakers_heard_in_training"]["diff"] == heard["heard"]
    assert any(name.startswith("test.overall.uar") for name in changes)
    table = project.run("dvc", "metrics", "diff", "main", "heard", "--md").stdout
    assert "test_speakers_heard_in_training" in table

    params = project.json("dvc", "params", "diff", "--json", "main", "heard")
    assert params["params.yaml"]["split.policy"] == {"old": "speaker", "new": "random"}

    for command, revisions, page in (("show", ["workspace"], "shown"), ("diff", ["main", "heard"], "compared")):
        project.run("dvc", "plots", command, *revisions[: 2 * (command == "diff")], "-o", page)
        html = (project.folder / page / "index.html").read_text()
        assert all(title in html for title in ("Confusion on the test part", "ROC on the test part", "Loss while training"))
        assert "prosody/roc.csv" in html and all(f'"rev": "{revision}"' in html for revision in revisions)
        shutil.rmtree(project.folder / page)


def test_an_experiment_runs_and_is_shown_beside_the_branches(branches):
    project, _ = branches
    output = project.run("dvc", "exp", "run", "-n", "longer", "-S", "models.prosody.training.epochs=2", "evaluate@prosody").stdout
    assert ran(output) == {"train@prosody", "evaluate@prosody"}
    assert "prosody epoch 2/2" in output
    text = project.run("dvc", "exp", "show", "--csv", "--no-pager").stdout
    assert "longer" in text and "models.prosody.training.epochs" in text
    difference = project.json("dvc", "exp", "diff", "--json", "heard", "longer")
    assert difference["params"]["params.yaml"]["models.prosody.training.epochs"] == {"old": 1, "new": 2, "diff": 1}
    project.run("git", "checkout", "-q", "-f", "heard")


def test_a_value_put_back_restores_everything_without_work(branches, undisturbed):
    project, _ = branches  # it has run with another split; now the old one again, without git's or DVC's checkout
    project.run("git", "checkout", "-q", "-f", "heard")
    project.configure({"split.policy": "speaker"})
    output = project.repro("evaluate@prosody")
    assert ran(output) == set(), "no stage may run its command"
    assert "is cached - skipping run, checking out outputs" in output
    for name in ("train@prosody", "prosody@emodb-augmented", "unify"):
        assert f"'{name}' is cached" in output
    assert report(project.folder) == report(undisturbed.folder)
    assert project.outputs() == undisturbed.outputs()
    assert project.status("evaluate@prosody") == set()
