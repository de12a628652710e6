"""The ablation: differences on the same speakers, what knowing the speaker is worth, and a document that says which way."""

import json
import shutil
import sys

import pandas as pd
import pytest
import yaml

from benchmarks import ablation as command
from ser.ablation import change_scores, knowledge_scores
from ser.ablation_document import as_markdown
from ser.ablation_plan import AblationGroup, AblationPlan, AblationTraining, ablation_trainings
from ser.bootstrap import SpeakerBootstrap
from ser.errors import SerError
from ser.files import write_csv, write_json
from ser.params import ParamsError, load_params
from ser.plan import Plan, Training, trainings
from ser.protocols import BENCHMARKS
from tests.pipeline import ROOT

PARAMS = ROOT / "benchmarks/params.yaml"
BENCHMARK = BENCHMARKS["iesc_loso"]
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=200, seed=1)
TITLES = {"mixup": "mixup of half the examples", "noise": "noise on every column", "alone": "from scratch"}


def answered(speaker, emotions, right, *, among=None, condition="none", split="test"):
    """One clip of each emotion, the first `right` of them answered rightly, the others with the emotion before."""
    rows = pd.DataFrame({"id": [f"{speaker}{e}" for e in emotions], "speaker": speaker, "emotion": emotions})
    chosen = [truth if code < right else emotions[code - 1] for code, truth in enumerate(emotions)]
    for emotion in among or emotions:
        rows[f"p_{emotion}"] = [float(emotion == name) for name in chosen]
    return rows.assign(condition=condition, corpus="iesc", split=split)


def runs(right, *, seeds=(1,), seconds=10.0, validation=(), **conditions):
    """Answers for one clip of each emotion by three speakers; `right[n]` of speaker n's five are right, `conditions` likewise.

    `validation` is the same for the speaker who validates in the fold of speaker n; by default nobody does.
    """
    found = {}
    for seed in seeds:
        for n, speaker in enumerate("123"):
            told = {"none": right, **conditions}.items()
            parts = [answered(speaker, BENCHMARK.emotions, rights[n], condition=condition) for condition, rights in told]
            parts += [answered("8", BENCHMARK.emotions, rights, split="validation") for rights in validation[n : n + 1]]
            found[f"iesc_{speaker}", seed] = (pd.concat(parts, ignore_index=True), {"took_s": seconds})
    return found


def group(**changed):
    settings = {
        "title": "Training", "protocol": "iesc_loso", "folds": ("iesc_1", "iesc_2", "iesc_3"), "seeds": (1,),
        "against": "transfer", "changes": {"cnn": ("mixup",)},
    }  # fmt: skip
    return AblationGroup(**{**settings, **changed})


def found(of, changes, **changed):
    """What the report holds of a group."""
    benchmark = BENCHMARKS[of.protocol]
    about = {"title": of.title, "protocol": of.protocol, "protocol_title": benchmark.title, "headline": benchmark.headline}
    return {**about, "folds": [*of.folds], "seeds": [*of.seeds], "against": of.against, "changes": changes, **changed}


def report(groups, knowledge=None, *, synthetic=0):
    """As it comes back from a file, whose keys are sorted."""
    content = {"synthetic_demo_voices": synthetic, "groups": groups, "knowledge": knowledge or {}}
    return json.loads(json.dumps(content, sort_keys=True))


def test_a_change_is_compared_speaker_by_speaker():
    scores = change_scores(BENCHMARK, runs([2, 3, 4]), runs([3, 4, 5], seconds=25.0), BOOTSTRAP)
    assert scores["before"] == 0.6 and scores["after"] == 0.8
    assert scores["delta"] == scores["delta_low"] == scores["delta_high"] == 0.2, "every speaker gains as much: no doubt is left"
    assert scores["before_s"] == 30 and scores["after_s"] == 75
    mixed = change_scores(BENCHMARK, runs([2, 3, 4]), runs([5, 3, 2]), BOOTSTRAP)
    assert mixed["delta_low"] < 0 < mixed["delta_high"] and mixed["p"] > 0.2


def test_validation_is_the_mean_over_folds_and_seeds_and_leaves_the_test_figures_alone():
    before = runs([2, 3, 4], seeds=(1, 2), validation=[3, 3, 3])
    after = {**runs([3, 4, 5], seeds=(1,), validation=[5, 5, 5]), **runs([3, 4, 5], seeds=(2,), validation=[4, 3, 2])}
    scores = change_scores(BENCHMARK, before, after, BOOTSTRAP)
    assert scores["validation_before"] == 0.6 and scores["validation_after"] == 0.8
    without = change_scores(BENCHMARK, runs([2, 3, 4], seeds=(1, 2)), runs([3, 4, 5], seeds=(1, 2)), BOOTSTRAP)
    assert not [name for name in without if name.startswith("validation")]
    assert {name: score for name, score in scores.items() if not name.startswith("validation")} == without


def test_a_side_that_trains_on_its_validation_speakers_has_no_validation_figure():
    with_them, without = runs([2, 3, 4], validation=[3, 4, 5]), runs([3, 4, 5])
    scores = change_scores(BENCHMARK, with_them, without, BOOTSTRAP)
    assert scores["validation_before"] == 0.8 and "validation_after" not in scores
    partly = change_scores(BENCHMARK, with_them, runs([3, 4, 5], validation=[3, 4]), BOOTSTRAP)
    assert "validation_after" not in partly, "a mean over fewer folds would be of other clips"


def test_validation_counts_emotions_that_are_learned_and_not_tested():
    benchmark = BENCHMARKS["corpus_out"]
    learned = (*benchmark.emotions, "disgust")

    def folds(right, validation):
        """Five folds of two speakers each."""
        return {
            (fold.name, 1): (
                pd.concat(
                    [
                        answered(f"{fold.name}_a", benchmark.emotions, right, among=learned),
                        answered(f"{fold.name}_b", benchmark.emotions, right, among=learned),
                        answered("validating", learned, validation, split="validation"),
                    ],
                    ignore_index=True,
                ),
                {"took_s": 1.0},
            )
            for fold in benchmark.folds
        }

    scores = change_scores(benchmark, folds(2, 3), folds(3, 6), BOOTSTRAP)
    assert (scores["before"], scores["after"], scores["delta_low"], scores["delta_high"]) == (0.4, 0.6, 0.2, 0.2)
    assert (scores["validation_before"], scores["validation_after"]) == (0.5, 1.0), "three, then all six of six emotions"


def test_a_single_fold_is_compared_over_its_speakers():
    benchmark = BENCHMARKS["crema_d_published"]

    def fold(*right):
        tables = [answered(str(n), benchmark.emotions, count) for n, count in enumerate(right)]
        return {("published_lists", 1): (pd.concat(tables, ignore_index=True), {"took_s": 1.0})}

    scores = change_scores(benchmark, fold(3, 3, 3, 3), fold(4, 5, 6, 3), BOOTSTRAP)
    assert scores["before"] == 0.5 and scores["delta"] == 0.25
    assert 0 < scores["delta_low"] < 0.25 < scores["delta_high"] <= 0.5, "no speaker loses, and none gains more than a half"


def test_a_change_is_measured_as_its_protocol_measures_and_validated_by_uar():
    benchmark = BENCHMARKS["ravdess_19_to_24"]

    def fold(right):
        """Of the first emotion, which is always right, five clips a speaker; of the seven others one."""
        parts = []
        for split, speakers in (("test", ("19", "20")), ("validation", ("1",))):
            for speaker in speakers:
                clips = answered(speaker, benchmark.emotions, right, split=split)
                parts += [clips, *(clips[:1].assign(id=f"{speaker}{n}") for n in range(4))]
        return {("actors_19_to_24", 1): (pd.concat(parts, ignore_index=True), {"took_s": 1.0})}

    scores = change_scores(benchmark, fold(2), fold(5), BOOTSTRAP)
    assert (scores["before"], scores["after"], scores["delta"]) == (0.5, 0.75, 0.25), "6 and 9 of 12 clips"
    assert (scores["validation_before"], scores["validation_after"]) == (0.25, 0.625), "2 and 5 of 8 emotions"
    of = group(protocol="ravdess_19_to_24", folds=("actors_19_to_24",))
    plan = AblationPlan({"small": of}, TITLES)
    text = as_markdown(report({"small": found(of, {"cnn": {"mixup": scores}})}), plan, [])
    assert "| model | change | validation, points | accuracy | difference, points | p | cost |" in text
    assert "| cnn | mixup of half the examples | +37.5 | 75.0 (before 50.0) | +25.0" in text
    assert "fold actors_19_to_24, seed 1." in text


def test_what_is_known_of_the_speaker_is_measured_against_the_single_clip():
    scores = knowledge_scores(BENCHMARK, runs([2, 3, 4], seeds=(1, 2), enrolled=[3, 4, 5], transductive=[5, 5, 5]), BOOTSTRAP)
    assert {name: score["delta"] for name, score in scores.items()} == {
        "enrolled": 0.2, "transductive": 0.4, "ensemble_of_seeds": 0.0,
    }  # fmt: skip
    assert knowledge_scores(BENCHMARK, runs([2, 3, 4]), BOOTSTRAP) == {}


def test_the_document_names_each_change_its_difference_and_its_cost():
    plan = AblationPlan({"transfer": group(changes={"cnn": ("mixup", "noise")})}, TITLES)
    before = runs([2, 3, 4], validation=[2, 2, 2])
    mixup = change_scores(BENCHMARK, before, runs([3, 4, 5], seconds=25.0, validation=[1, 2, 2]), BOOTSTRAP)
    noise = change_scores(BENCHMARK, before, runs([3, 4, 5]), BOOTSTRAP)
    known = knowledge_scores(BENCHMARK, runs([2, 3, 4], enrolled=[3, 4, 5]), BOOTSTRAP)
    groups = {"transfer": found(plan.groups["transfer"], {"cnn": {"mixup": mixup, "noise": noise}})}
    knowledge = {"iesc_loso": {"title": BENCHMARK.title, "recipe": "transfer", "models": {"prosody": known}}}
    text = as_markdown(report(groups, knowledge), plan, ["iesc_loso"])
    assert "| cnn | mixup of half the examples | -6.7 | 80.0 (before 60.0) | +20.0 (+20.0 to +20.0) | 0.0" in text
    assert "| 2.5 |" in text
    assert "| cnn | noise on every column | - | 80.0 (before 60.0) |" in text, "no validation, no figure"
    assert f"{BENCHMARK.title}: folds iesc_1, iesc_2, iesc_3, seed 1." in text and "the recipe `transfer`" in text
    assert f"| {BENCHMARK.title} | prosody | +20.0 (+20.0 to +20.0) | - | - |" in text
    demo = as_markdown(report(groups, knowledge, synthetic=1), plan, ["iesc_loso"])
    assert "synthetic" not in text and "synthetic demo voices" in demo
    assert "python -m benchmarks.run ablation" in as_markdown(None, plan, [])


def test_the_document_is_in_the_order_of_the_plan_though_a_file_has_sorted_keys():
    changes = {"prosody": ("noise", "mixup"), "cnn": ("noise", "alone", "mixup")}
    groups = {"z": group(title="First", changes=changes), "a": group(title="Second"), "k": group(title="Third")}
    plan = AblationPlan(groups, TITLES)
    scores = change_scores(BENCHMARK, runs([2, 3, 4]), runs([3, 4, 5]), BOOTSTRAP)
    done = {name: found(groups[name], {m: dict.fromkeys(r, scores) for m, r in groups[name].changes.items()}) for name in "za"}
    del done["z"]["changes"]["cnn"]["alone"]
    known = {"prosody": {"enrolled": scores}, "hybrid": {"enrolled": scores}}
    knowledge = {name: {"title": f"On {name}", "recipe": "transfer", "models": known} for name in ("emodb_loso", "corpus_out")}
    text = as_markdown(report(done, knowledge), plan, ["emodb_loso", "iesc_loso", "corpus_out"])
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## First", "## Second", "## Third", "## What is known of the speaker, and ensembles"]
    rows = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith(("| prosody", "| cnn", "| On"))]
    assert rows == [
        ["| prosody", TITLES["noise"]], ["| prosody", TITLES["mixup"]], ["| cnn", TITLES["noise"]], ["| cnn", TITLES["mixup"]],
        ["| cnn", TITLES["mixup"]],
        ["| On emodb_loso", "prosody"], ["| On emodb_loso", "hybrid"],
        ["| On corpus_out", "prosody"], ["| On corpus_out", "hybrid"],
    ]  # fmt: skip
    third = text[text.index("## Third") : text.index("## What is known")]
    assert third.splitlines()[2] == "Not run yet: `python -m benchmarks.run ablation`."


def test_each_group_has_stages_of_its_own():
    transfer = group(folds=("iesc_1", "iesc_2"), changes={"cnn": ("mixup",), "prosody": ("mixup",)})
    scratch = group(folds=("iesc_1",), against="alone", changes={"prosody": ("noise",)})
    plan = AblationPlan({"transfer": transfer, "scratch": scratch}, TITLES)
    changed = [training.stage for training in ablation_trainings(plan) if isinstance(training, AblationTraining)]
    assert [stage for stage in changed if "prosody" in stage] == [
        "ablation_transfer_prosody@iesc_1-mixup-1",
        "ablation_transfer_prosody@iesc_2-mixup-1",
        "ablation_scratch_prosody@iesc_1-noise-1",
    ]
    assert len(changed) == 5 and plan.models == ["cnn", "prosody"]


def test_a_training_is_scheduled_once_however_often_it_is_asked_for():
    transfer = group(folds=("iesc_1", "iesc_1"), changes={"cnn": ("alone", "mixup", "alone")})
    # what it departs from is trained by the other group, or here where that group does not
    scratch = group(folds=("iesc_1", "iesc_2"), against="alone", changes={"cnn": ("alone", "mixup")})
    plan = AblationPlan({"transfer": transfer, "scratch": scratch}, TITLES)
    assert [training.stage for training in ablation_trainings(plan)] == [
        "iesc_loso_cnn@iesc_1-transfer-1",  # the protocol's own, which the first group is held against
        "ablation_transfer_cnn@iesc_1-alone-1",
        "ablation_scratch_cnn@iesc_2-alone-1",
        "ablation_transfer_cnn@iesc_1-mixup-1",
        "ablation_scratch_cnn@iesc_2-mixup-1",
    ]
    assert [training.stage for training in ablation_trainings(plan, groups=["scratch"])] == [
        "ablation_transfer_cnn@iesc_1-alone-1",  # the stage of the group that has it first
        "ablation_scratch_cnn@iesc_2-alone-1",
        "ablation_transfer_cnn@iesc_1-mixup-1",
        "ablation_scratch_cnn@iesc_2-mixup-1",
    ]
    assert not ablation_trainings(plan, ["prosody"])
    assert transfer.compared("cnn") == ("alone", "mixup") and scratch.compared("cnn") == ("mixup",), "no line against itself"


def test_what_a_hybrid_builds_on_is_trained_beneath_it_without_a_line():
    of = group(folds=("iesc_1",), changes={"hybrid": ("mixup",)}, beneath={"prosody": ("mixup",)})
    plan = AblationPlan({"transfer": of}, TITLES)
    assert plan.models == ["hybrid", "prosody"]
    assert [training.stage for training in ablation_trainings(plan)] == [
        "iesc_loso_hybrid@iesc_1-transfer-1",
        "ablation_transfer_hybrid@iesc_1-mixup-1",
        "ablation_transfer_prosody@iesc_1-mixup-1",
    ]
    scores = dict.fromkeys(("before", "after", "delta", "delta_low", "delta_high", "p", "before_s", "after_s"), 0.5)
    content = report({"transfer": found(of, {"hybrid": {"mixup": scores}, "prosody": {"mixup": scores}})})
    lines = [line for line in as_markdown(content, plan, []).splitlines() if TITLES["mixup"] in line]
    assert [line.split(" | ")[0] for line in lines] == ["| hybrid"]


def test_a_plan_names_its_changes_in_words():
    with pytest.raises(ValueError, match="what column_dropout changes"):
        AblationPlan({"transfer": group(changes={"cnn": ("mixup", "column_dropout")})}, TITLES)
    AblationPlan({"base": group(against="base", changes={"cnn": ("base", "mixup")})}, TITLES)  # which needs no words for `base`
    for nothing in ({"folds": ()}, {"seeds": ()}, {"changes": {"cnn": ()}}, {"changes": {"cnn": ("transfer",)}}):
        with pytest.raises(ValueError, match="at least one"):
            group(**nothing)
    with pytest.raises(ValueError, match="at least one"):
        AblationPlan({}, TITLES)


def test_the_recipes_that_the_benchmark_departs_from_are_trained_on_folds_that_there_are():
    plan, protocols = load_params("ablation", AblationPlan, PARAMS), load_params("run", Plan, PARAMS)
    trained = {training.folder for name in protocols.folds for training in trainings(protocols, name)}
    trained |= {training.folder for training in ablation_trainings(plan) if isinstance(training, AblationTraining)}
    for of in plan.groups.values():
        assert set(of.folds) <= {fold.name for fold in BENCHMARKS[of.protocol].folds}
        models = of.changes
        departed = {Training(of.protocol, f, of.against, seed, m).folder for f in of.folds for seed in of.seeds for m in models}
        assert departed <= trained


@pytest.fixture
def benchmark(tmp_path, monkeypatch):
    """Asks the command for two groups, in the second of which a change of the first is departed from; nothing has run yet."""
    groups = {
        "transfer": group(title="From the others", changes={"cnn": ("mixup", "alone"), "prosody": ("mixup",)}),
        "scratch": group(title="From nothing", against="alone", changes={"cnn": ("noise",)}),
    }
    settings = {name: {key: list(v) if isinstance(v, tuple) else v for key, v in vars(of).items()} for name, of in groups.items()}
    for of in settings.values():
        of["changes"] = {model: list(recipes) for model, recipes in of["changes"].items()}
    params = {
        "ablation": {"groups": settings, "titles": TITLES},
        "run": {"folds": {"iesc_loso": ["iesc_1"]}, "recipes": {"iesc_loso": ["transfer"]}, "seeds": {"iesc_loso": [1]}},
        "evaluate": {"n_bootstrap": 200, "seed": 1},
    }
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    monkeypatch.setattr(command, "PARAMS", path)
    monkeypatch.setenv("SER_PARAMS", str(ROOT / "params.yaml"))
    monkeypatch.setattr("sys.argv", ["ablation", *(str(tmp_path / name) for name in ("predictions", "out.json", "out.md"))])
    return tmp_path


def store(folder, model, recipe, answers):
    for (fold, seed), (table, about) in answers.items():
        to = folder / "predictions" / Training("iesc_loso", fold, recipe, seed, model).folder
        to.mkdir(parents=True)
        write_csv(to / "answers.csv", table)
        write_json(to / "report.json", about)


def test_the_command_scores_every_group_from_what_is_on_disk(benchmark):
    store(benchmark, "cnn", "transfer", runs([2, 3, 4], validation=[2, 3, 4]))
    store(benchmark, "cnn", "alone", runs([1, 2, 3], validation=[1, 2, 3]))
    store(benchmark, "cnn", "mixup", runs([3, 4, 5]))
    store(benchmark, "cnn", "noise", runs([2, 3, 4], validation=[3, 4, 5]))
    command.main()
    content = json.loads((benchmark / "out.json").read_text())
    transfer, scratch = (content["groups"][name]["changes"] for name in ("transfer", "scratch"))
    assert set(transfer) == set(scratch) == {"cnn"}, "prosody has not run"
    assert {recipe: scores["delta"] for recipe, scores in transfer["cnn"].items()} == {"mixup": 0.2, "alone": -0.2}
    assert {recipe: scores["delta"] for recipe, scores in scratch["cnn"].items()} == {"noise": 0.2}
    lines = (benchmark / "out.md").read_text().splitlines()
    cells = [line.split(" | ")[1:4] for line in lines if line.startswith("| cnn")]
    assert cells == [
        [TITLES["mixup"], "-", "80.0 (before 60.0)"],
        [TITLES["alone"], "-20.0", "40.0 (before 60.0)"],
        [TITLES["noise"], "+40.0", "60.0 (before 40.0)"],
    ]
    assert lines.index("## From the others") < lines.index("## From nothing")


def test_the_groups_that_are_not_asked_for_stay_as_the_report_has_them(benchmark, monkeypatch):
    for recipe, right in {"transfer": [2, 3, 4], "alone": [1, 2, 3], "noise": [2, 3, 4]}.items():
        store(benchmark, "cnn", recipe, runs(right))
    command.main()
    before = json.loads((benchmark / "out.json").read_text())
    shutil.rmtree(benchmark / "predictions")
    store(benchmark, "cnn", "alone", runs([1, 2, 3]))
    store(benchmark, "cnn", "noise", runs([3, 4, 5]))
    monkeypatch.setattr("sys.argv", [*sys.argv, "--groups", "scratch"])
    command.main()
    after = json.loads((benchmark / "out.json").read_text())
    assert after["groups"]["scratch"]["changes"]["cnn"]["noise"]["delta"] == 0.4
    assert before["groups"]["scratch"]["changes"]["cnn"]["noise"]["delta"] == 0.2
    assert after["groups"]["transfer"] == before["groups"]["transfer"] and after["knowledge"] == before["knowledge"]
    text = (benchmark / "out.md").read_text()
    assert TITLES["alone"] in text and "80.0 (before 40.0)" in text


def test_models_that_have_not_run_stay_in_their_group_if_it_is_measured_alike(benchmark, monkeypatch):
    store(benchmark, "cnn", "transfer", runs([2, 3, 4]))
    store(benchmark, "cnn", "mixup", runs([3, 4, 5]))
    command.main()
    before = json.loads((benchmark / "out.json").read_text())["groups"]["transfer"]["changes"]["cnn"]
    shutil.rmtree(benchmark / "predictions")
    store(benchmark, "prosody", "transfer", runs([2, 3, 4]))
    store(benchmark, "prosody", "mixup", runs([1, 2, 3]))
    monkeypatch.setattr("sys.argv", [*sys.argv, "--groups", "transfer"])
    command.main()
    changes = json.loads((benchmark / "out.json").read_text())["groups"]["transfer"]["changes"]
    assert changes["cnn"] == before and changes["prosody"]["mixup"]["delta"] == -0.2
    assert "| cnn | mixup" in (benchmark / "out.md").read_text()

    report = benchmark / "out.json"
    content = json.loads(report.read_text())
    content["groups"]["transfer"]["against"] = "scratch"
    write_json(report, content)
    command.main()
    assert set(json.loads(report.read_text())["groups"]["transfer"]["changes"]) == {"prosody"}, "heading holds for one"


def test_demo_voices_and_real_ones_do_not_meet_in_a_report(benchmark, monkeypatch, caplog):
    store(benchmark, "cnn", "transfer", runs([2, 3, 4]))
    store(benchmark, "cnn", "alone", runs([1, 2, 3]))
    command.main()
    report = benchmark / "out.json"
    report.write_text(report.read_text().replace('"synthetic_demo_voices": 1', '"synthetic_demo_voices": 0'))
    store(benchmark, "cnn", "noise", runs([2, 3, 4]))
    monkeypatch.setattr("sys.argv", [*sys.argv, "--groups", "scratch"])
    command.main()
    content = json.loads(report.read_text())
    assert content["synthetic_demo_voices"] == 1 and set(content["groups"]) == {"scratch"}
    assert "out.json was of real voices, and none of it stays" in caplog.text


def test_a_change_whose_other_side_has_not_run_is_left_out_and_named(benchmark, caplog):
    with pytest.raises(SerError, match="python -m benchmarks.run ablation"):
        command.main()
    assert not caplog.text
    store(benchmark, "cnn", "noise", runs([2, 3, 4]))
    store(benchmark, "prosody", "transfer", runs([2, 3, 4]))
    store(benchmark, "prosody", "mixup", runs([3, 4, 5]))
    command.main()
    assert "scratch: alone cnn has not run" in caplog.text
    content = json.loads((benchmark / "out.json").read_text())
    assert set(content["groups"]) == {"transfer"} and set(content["groups"]["transfer"]["changes"]) == {"prosody"}


def test_a_mistyped_group_is_named(benchmark):
    params = yaml.safe_load(command.PARAMS.read_text())
    params["ablation"]["groups"]["scratch"]["agianst"] = "alone"
    command.PARAMS.write_text(yaml.safe_dump(params))
    with pytest.raises(ParamsError, match=r"ablation\.groups\.scratch\.agianst is unknown"):
        command.main()
