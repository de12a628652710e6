"""The benchmark as it is used: walked with the time left, scored, written up; and one protocol from end to end."""

import json

import pandas as pd
import pytest
import yaml

from benchmarks import run, training_speed
from benchmarks.run import Plans, Walk
from ser.ablation_plan import AblationGroup, AblationPlan, ablation_trainings
from ser.benchmark_table import as_markdown
from ser.bootstrap import SpeakerBootstrap
from ser.errors import SerError
from ser.honesty_plan import HonestyPlan
from ser.params import load_params
from ser.plan import MODELS, Plan, Training, trainings
from ser.progress import Progress
from ser.protocol_report import report
from ser.protocols import BENCHMARKS
from tests.conftest import raw_corpora
from tests.pipeline import ROOT, TINY_MODELS, Project, ran

PLAN = Plan(folds={"iesc_loso": ("iesc_1", "iesc_2", "iesc_3")}, recipes={"iesc_loso": ("alone",)}, seeds={"iesc_loso": (1, 2)})
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=100, seed=1)
COST = {
    "took_s": 60.0, "train_utterances_a_s": 50.0, "answered_utterances_a_s": 500.0, "n_parameters": 1000, "epoch_kept": 3,
}  # fmt: skip


def fold_table(fold):
    rows = [
        {"id": f"{speaker}{emotion}", "corpus": "iesc", "speaker": speaker, "emotion": emotion, "split": split}
        for n, speaker in enumerate(("iesc_1", "iesc_2", "iesc_3", "iesc_4"))
        for split in ["test" if speaker == fold else "validation" if n == 3 else "train"]
        for emotion in BENCHMARKS["iesc_loso"].emotions
    ]
    return pd.DataFrame(rows)


def runs(*, right, conditions=("none",)):
    """Complete runs of a model that answers `right` of the five test clips of each fold rightly."""
    emotions = BENCHMARKS["iesc_loso"].emotions
    found = {}
    for training in trainings(PLAN, "iesc_loso", ("cnn",)):
        held_out = fold_table(training.fold).query("split != 'train'").reset_index(drop=True)
        for emotion in emotions:
            chosen = [emotion == (truth if emotions.index(truth) < right else emotions[0]) for truth in held_out["emotion"]]
            held_out[f"p_{emotion}"] = pd.Series(chosen).astype(float)
        table = pd.concat([held_out.assign(condition=condition) for condition in conditions], ignore_index=True)
        found[training.fold, training.seed] = (table, COST)
    return found


@pytest.fixture
def content():
    models = {"cnn": runs(right=3), "prosody": runs(right=4, conditions=("none", "enrolled", "transductive"))}
    folds = {fold: fold_table(fold) for fold in PLAN.folds["iesc_loso"]}
    return report(BENCHMARKS["iesc_loso"], folds, {"alone": models, "pooled": {}}, BOOTSTRAP, synthetic=False)


def test_a_report_holds_figures_conditions_ensemble_pairs_and_cost(content):
    assert set(content["recipes"]) == {"alone"}
    models = content["recipes"]["alone"]["models"]
    assert models["cnn"]["none"]["uar"]["mean"] == 0.6 and models["prosody"]["none"]["uar"]["mean"] == 0.8
    assert set(models["cnn"]) == {"none", "ensemble_of_seeds", "cost"}
    assert set(models["prosody"]) == {"none", "enrolled", "transductive", "ensemble_of_seeds", "cost"}
    assert models["cnn"]["cost"]["trainings"] == 6 and models["cnn"]["cost"]["took_s"] == 360
    assert content["recipes"]["alone"]["pairs"]["prosody_minus_cnn"]["delta"] == 0.2
    assert content["folds"]["iesc_2"]["tested"] == ["iesc_2"] and content["folds"]["iesc_2"]["train"] == {
        "n": 10,
        "n_speakers": 2,
    }
    assert json.loads(json.dumps(content)) == content, "plain numbers"


def test_the_headline_is_of_the_first_recipe_that_has_run_whatever_its_name():
    folds = {fold: fold_table(fold) for fold in PLAN.folds["iesc_loso"]}
    recipes = {"base": {}, "transfer": {"cnn": runs(right=4)}, "alone": {"cnn": runs(right=3)}}
    content = report(BENCHMARKS["iesc_loso"], folds, recipes, BOOTSTRAP, synthetic=False)
    stored = json.loads(json.dumps(content, sort_keys=True))
    document = as_markdown({"iesc_loso": stored}, BENCHMARKS)
    (line,) = [line for line in document.splitlines() if line.startswith("| IESC, leave one speaker out | UAR |")]
    assert "80.0 (" in line and "60.0 (" not in line
    assert document.index("IESC, leave one speaker out: transfer") < document.index("IESC, leave one speaker out: alone")


def test_the_document_shows_ours_beside_the_others_and_says_what_is_missing(content):
    text = as_markdown({"iesc_loso": content}, BENCHMARKS)
    row = next(line for line in text.splitlines() if line.startswith("| IESC"))
    assert "43.7" in row and "60.0 (60.0 to 60.0), 3 of 8 folds" in row and "80.0" in row
    assert next(line for line in text.splitlines() if line.startswith("| EmoDB")).count("not run") == 2
    assert "Not run yet: `python -m benchmarks.run emodb_loso`" in text
    assert "12 trainings took 0.2 hours one after the other, the longest 1 minutes." in text
    assert "prosody minus cnn" in text and "+20.0 (+20.0 to +20.0)" in text
    assert "synthetic demo voices" not in text
    assert "one seed" not in text
    once = json.loads(json.dumps(content))
    for model in once["recipes"]["alone"]["models"].values():
        model["none"]["uar"]["seeds"].popitem()
    rows = as_markdown({"iesc_loso": once}, BENCHMARKS).splitlines()
    assert next(line for line in rows if line.startswith("| IESC")).count("one seed") == 2
    demo = as_markdown({"iesc_loso": {**content, "synthetic_demo_voices": 1}}, BENCHMARKS)
    assert next(line for line in demo.splitlines() if line.startswith("| IESC")).count("synthetic demo voices") == 2
    assert "mean nothing about people" in demo


def test_without_any_report_the_document_holds_the_published_figures_and_none_of_ours():
    text = as_markdown({}, BENCHMARKS)
    assert text.count("Not run yet") == len(BENCHMARKS) and "75.3" in text and "not run |" not in text


def test_what_bounds_training_is_the_slower_of_the_two():
    rates = {"batches_alone_clips_a_s": 900.4, "network_alone_clips_a_s": 250.0, "both_clips_a_s": 240.0}
    network = rates | {"forward_gflop_a_clip": 0.1, "network_gflop_a_s": 75.0}
    batches = network | {"batches_alone_clips_a_s": 200.0, "both_clips_a_s": 190.0}
    machine = {"cores": 2, "processor": "X", "matrix_products_gflop_a_s": 150.0}
    about = {"protocol": "iesc_loso", "fold": "iesc_1", "recipe": "alone", **machine}
    text = as_markdown({}, BENCHMARKS, {**about, "models": {"cnn": network, "hybrid": batches}})
    assert "| cnn | 900 | 250 | 240 | the network | 75 (50 %) |" in text
    assert "| hybrid | 200 | 250 | 190 | the making of batches | 75 (50 %) |" in text
    assert "training_speed iesc_loso iesc_1 alone` on 2 cores (X)" in text


def test_the_speed_of_what_was_not_trained_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["training_speed", "iesc_loso", "iesc_1", "alone"])
    monkeypatch.setattr(training_speed, "DATA", tmp_path)
    with pytest.raises(SerError, match=r"iesc_1/alone/1/cnn: not trained yet; run `python -m benchmarks.run iesc_loso`"):
        training_speed.main()


def test_the_walk_counts_trainings_and_tells_the_time_left():
    wanted = trainings(PLAN, "iesc_loso", ("prosody",))
    walk = Walk(wanted, Progress())
    stage = "benchmarks/dvc.yaml:" + wanted[0].stage
    assert walk.see("Running stage 'collect@iesc':\n", 0) is None
    assert walk.see("> python -m stages.collect iesc\n", 1) is None
    first = walk.see(f"Running stage '{stage}':\n", 10)
    assert first == "[1 of 6] iesc_loso, iesc_1, prosody, alone, seed 1: time left unknown"
    second = walk.see(f"Running stage 'benchmarks/dvc.yaml:{wanted[1].stage}':\n", 130)
    assert second.startswith("[2 of 6]") and second.endswith("about 10 min left"), "five more of two minutes each"
    third = walk.see(f"Stage 'benchmarks/dvc.yaml:{wanted[2].stage}' is cached - skipping run, checking out outputs\n", 370)
    assert third.endswith("iesc_2, prosody, alone, seed 1: done before")
    assert walk.see(f"Running stage 'benchmarks/dvc.yaml:{wanted[3].stage}':\n", 370).endswith("about 9 min left")


def test_the_honesty_report_is_asked_for_by_name_like_a_protocol():
    honesty = HonestyPlan(seeds=(1,), folds={"cnn": ("random_1",), "svm": ("random_1",)}, copies={}, longer={})
    group = AblationGroup("Small", "iesc_loso", ("iesc_1",), (1,), "alone", {"cnn": ("mixup",)})
    ablation = AblationPlan({"small": group}, {"mixup": "mixup"})
    plans = Plans(PLAN, honesty, ablation)
    before, changed = plans.trainings("ablation")
    assert before.stage == "iesc_loso_cnn@iesc_1-alone-1", "what the change is held against"
    assert changed.stage == "ablation_small_cnn@iesc_1-mixup-1" and changed.folder.as_posix() == "iesc_loso/iesc_1/mixup/1/cnn"
    assert [training.stage for training in plans.trainings("honesty", ["svm"])] == ["honesty_svm@random_1-alone-1"]
    assert {training.model for training in plans.trainings("iesc_loso", ["svm", "cnn"])} == {"cnn"}, "no protocol has the other"
    assert len(plans.trainings("honesty")) == 2 and len(plans.trainings("iesc_loso")) == 18


@pytest.mark.parametrize("asked", [["robustness"], ["robustness", "--models", "prosody"]])
def test_the_robustness_report_trains_nothing_and_needs_no_other_stage_asked_for(asked, monkeypatch):
    called = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["run", *asked])
    monkeypatch.setattr(run, "_repro", lambda arguments, walk: called.append(arguments))
    run.main()
    assert called == [["benchmarks/dvc.yaml:robustness_report"]]


def test_all_protocols_are_what_is_asked_for_by_no_name(monkeypatch):
    called = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["run"])
    monkeypatch.setattr(run, "_repro", lambda arguments, walk: called.append(arguments))
    monkeypatch.setattr(run.table, "main", lambda: None)
    run.main()
    trained, scored = called
    assert not [stage for stage in trained if "honesty" in stage or "robustness" in stage]
    assert scored == ["-s", *(f"benchmarks/dvc.yaml:score@{name}" for name in BENCHMARKS)]


@pytest.mark.parametrize("models", [["cnn", "prosody", "hybrid"], ["prosody"]])
def test_the_ablation_trains_all_its_groups_and_is_then_scored_by_itself(models, monkeypatch):
    called = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["run", "ablation", "--models", *models])
    monkeypatch.setattr(run, "_repro", lambda arguments, walk: called.append((arguments, walk.n_wanted)))
    run.main()
    wanted = ablation_trainings(load_params("ablation", AblationPlan, run.PARAMS), models)
    stages = [f"benchmarks/dvc.yaml:{training.stage}" for training in wanted]
    assert called == [(stages, len(stages)), (["-s", "benchmarks/dvc.yaml:ablation"], 0)]
    assert {stage.split("@")[0].rpartition("_")[2] for stage in stages} <= set(models)
    for model in models[:2]:
        assert f"benchmarks/dvc.yaml:ravdess_emobox_{model}@fold_1-transfer-1" in stages, "what the changes are held against"


def test_groups_of_the_ablation_run_and_are_scored_alone(monkeypatch):
    called = []
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["run", "ablation", "--groups", "networks", "absent"])
    monkeypatch.setattr(run, "_repro", lambda arguments, walk: called.extend(arguments))
    monkeypatch.setattr(run.ablation, "score", lambda plan, *others: called.append(others[-1]))
    run.main()
    assert called.pop() == ["networks", "absent"]
    entries = {stage.partition(":")[2].partition("@")[0] for stage in called}
    assert entries == {"ablation_networks_cnn", "ablation_transfer_cnn", "ablation_absent_prosody", "ablation_transfer_prosody"}
    assert "benchmarks/dvc.yaml:ablation_transfer_cnn@fold_1-base-1" in called


@pytest.mark.parametrize("named", [[], ["iesc_loso"], ["ablation", "iesc_loso"]])
def test_groups_are_refused_but_for_the_ablation_alone(named, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["run", *named, "--groups", "networks"])
    with pytest.raises(SystemExit):
        run.main()
    assert "ablation, which must be named alone" in capsys.readouterr().err


def test_an_empty_plan_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Plan(folds={"iesc_loso": ()}, recipes={"iesc_loso": ("alone",)}, seeds={"iesc_loso": (1,)})
    with pytest.raises(ValueError, match="the same protocols"):
        Plan(folds={"iesc_loso": ("iesc_1",)}, recipes={"iesc_loso": ("alone",)}, seeds={"tess_both_ways": (1,)})


def test_stage_and_folder_name_the_training():
    training = Training("iesc_loso", "iesc_1", "alone", 2, "cnn")
    assert training.stage == "iesc_loso_cnn@iesc_1-alone-2"
    assert training.folder.as_posix() == "iesc_loso/iesc_1/alone/2/cnn"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """All corpora of few synthetic speakers where the real ones would lie, one fold, tiny models of one epoch."""
    folder = tmp_path_factory.mktemp("benchmark") / "ser"
    project = Project.fresh(folder, {"corpora.root": "data/raw", **TINY_MODELS})
    raw_corpora(folder / "data/raw", "ravdess", "crema_d", "tess", "emodb", "iesc")
    path = folder / "benchmarks/params.yaml"
    params = yaml.safe_load(path.read_text())
    params["run"]["folds"]["iesc_loso"] = ["iesc_1"]
    params["run"]["seeds"]["iesc_loso"] = [1]
    for models in params["recipes"].values():
        for change in models.values():
            change["training"] = {}  # as long as the tiny models train: one epoch
    params["evaluate"]["n_bootstrap"] = 100
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    (folder / "benchmarks/results/iesc_loso.json").unlink(missing_ok=True)
    (folder / "benchmarks/dvc.lock").unlink(missing_ok=True)
    return project


@pytest.mark.slow
def test_a_protocol_runs_from_end_to_end_and_goes_on_after_a_kill(project):
    begun = project.start("python", "-m", "benchmarks.run", "iesc_loso")
    begun.wait_until(lambda: begun.text.count("Running stage 'benchmarks/dvc.yaml:iesc_loso_") >= 2)
    begun.kill()
    done = begun.text.count("Updating lock file 'benchmarks/dvc.lock'")
    output = project.run("python", "-m", "benchmarks.run", "iesc_loso").stdout
    assert done and "done before" in output and "[3 of 3] iesc_loso" in output
    content = json.loads((project.folder / "benchmarks/results/iesc_loso.json").read_text())
    models = content["recipes"]["all_speakers_small"]["models"]
    assert set(models) == {"cnn", "prosody", "hybrid"}
    assert set(models["hybrid"]) == {"none", "enrolled", "transductive", "cost"} and "enrolled" not in models["cnn"]
    assert content["folds"]["iesc_1"]["tested"] == ["iesc_1"]
    assert "1 of 8 folds" in (project.folder / "docs/benchmarks.md").read_text()
    again = project.run("python", "-m", "benchmarks.run", "iesc_loso").stdout
    assert not ran(again)


@pytest.mark.slow
def test_what_bounds_training_is_measured_on_a_trained_fold(project):
    project.run("python", "-m", "benchmarks.run", "iesc_loso")
    project.run("python", "-m", "benchmarks.training_speed", "iesc_loso", "iesc_1", "all_speakers_small")
    speed = json.loads((project.folder / "benchmarks/results/training_speed.json").read_text())
    assert list(speed["models"]) == sorted(MODELS) and speed["matrix_products_gflop_a_s"] > 0 and speed["processor"]
    for found in speed["models"].values():
        assert len(found) == 5 and all(value > 0 for value in found.values())
    project.run("python", "-m", "benchmarks.table")
    text = (project.folder / "docs/benchmarks.md").read_text()
    assert "`python -m benchmarks.training_speed iesc_loso iesc_1 all_speakers_small`" in text


@pytest.mark.slow
def test_an_edit_of_one_model_trains_that_model_and_what_builds_on_it(project):
    project.run("python", "-m", "benchmarks.run", "iesc_loso")
    project.configure({"models.prosody.architecture.units": [8]})
    output = project.run("python", "-m", "benchmarks.run", "iesc_loso").stdout
    names = {stage.partition(":")[2].partition("@")[0] for stage in ran(output)}
    asked = {"iesc_loso_prosody", "iesc_loso_hybrid", "score"}
    assert names == {*asked, "corpus_out_prosody", "corpus_out_hybrid"}, "those they start from too"
