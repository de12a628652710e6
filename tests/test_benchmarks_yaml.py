"""benchmarks/dvc.yaml names exactly the code, parameters and files that its stages use, and has a stage for every training."""

import re
import shlex
from pathlib import Path, PurePosixPath

import pytest
import yaml
from dvc.repo import Repo

from benchmarks import table
from benchmarks.code_hashes import imported
from ser.ablation_plan import AblationPlan, ablation_trainings
from ser.honesty import HOME, HONESTY, honesty_fold
from ser.honesty_claims import Claims
from ser.honesty_plan import HonestyPlan, honesty_trainings
from ser.honesty_splits import SplitParams
from ser.params import load_params
from ser.plan import MODELS, Plan, trainings
from ser.protocols import BENCHMARKS
from tests.test_dvc_yaml import ROOT, closure, constant, deps, outs, related, source

FILE = "benchmarks/dvc.yaml"
PARAMS = ROOT / "benchmarks/params.yaml"
PLAN = load_params("run", Plan, PARAMS)
HONESTY_PLAN = load_params("honesty", HonestyPlan, PARAMS)
ABLATION_PLAN = load_params("ablation", AblationPlan, PARAMS)
CLAIMS = load_params("claims", Claims, PARAMS)
DESIGNS = [model for model in HONESTY_PLAN.folds if model not in MODELS]
UNDECLARED = "benchmarks/data/unfinished"
NOTHING = "ser/models/__init__.py"  # named where a training has no model to start from
NOTHING_MORE = "ser/__init__.py"  # and where it reads nothing that others do not read
# stages by what they load; those of the first pipeline load what they load there
SECTIONS = {
    "benchmarks.clips": ({"corpora"}, set()),
    "benchmarks.folds": (set(), {"run", "folds"}),
    "benchmarks.score": ({"corpora"}, {"run", "evaluate"}),
    "benchmarks.honesty_folds": (set(), {"honesty", "honesty_folds", "augment"}),
    "benchmarks.honesty_score": ({"corpora"}, {"honesty", "evaluate"}),
    "benchmarks.honesty_report": (set(), {"claims"}),
    "benchmarks.ablation": ({"corpora"}, {"ablation", "run", "evaluate"}),
    "benchmarks.speakers": ({"corpora", "spectrogram"}, {"enrolment"}),
    "benchmarks.robustness": ({"corpora"}, {"robustness", "evaluate"}),
    "benchmarks.robustness_report": (set(), set()),
    "benchmarks.code_hashes": (set(), set()),
    "benchmarks.standardise": (set(), set()),
    "benchmarks.teach": (set(), set()),
    "benchmarks.votes": (set(), set()),
    "stages.augment": (set(), {"augment"}),
    "stages.spectrogram": ({"spectrogram"}, set()),
    "stages.prosody": ({"prosody", "functionals"}, set()),
}


def resolved():
    with Repo(str(ROOT)) as repo:
        stages = {stage.addressing: stage for stage in repo.index.stages}
    return {name.partition(":")[2]: stage for name, stage in stages.items() if stage.path_in_repo == FILE}, stages


STAGES, ALL = resolved()
BY_TEXT = {re.sub(r"@.*", "", name): stage for name, stage in STAGES.items()}  # one of each entry stands for its like
each_stage = pytest.mark.parametrize("stage", [pytest.param(stage, id=name) for name, stage in sorted(BY_TEXT.items())])


def arguments(stage):
    words = shlex.split(stage.cmd)
    if "=" in words[0]:
        assert words.pop(0) == "SER_PARAMS=benchmarks/params.yaml"
    assert words[:2] == ["python", "-m"]
    return words[2], words[3:]


def roots(stage):
    module, (first, *_) = arguments(stage)
    if module == "benchmarks.code_hashes":
        return [source(module), source("benchmarks.train"), source(f"ser.models.{first}")]
    return [source(module), *([source("ser.models.cnn")] if module == "benchmarks.pretrain" else [])]


def declared_params(stage):
    found = {"params.yaml": set(), "benchmarks/params.yaml": set()}
    for dep in stage.deps:
        found.setdefault(dep.def_path, set()).update(getattr(dep, "params", None) or ())
    return found["params.yaml"], found["benchmarks/params.yaml"]


@each_stage
def test_code_deps_are_the_import_closure(stage):
    declared = {path for path in deps(stage) if path.endswith(".py")} - {NOTHING, NOTHING_MORE}
    module, (model, *_) = arguments(stage)
    if module == "benchmarks.train":
        assert not declared and f"benchmarks/data/code/{model}.csv" in deps(stage), "hashes stand for the code"
        return
    assert declared == {path.relative_to(ROOT).as_posix() for path in closure(roots(stage))}


@pytest.mark.parametrize("model", [*MODELS, *DESIGNS])
def test_hashes_stand_for_every_file_that_trains(model):
    listed = {path.as_posix() for path in imported([Path("benchmarks/train.py"), Path("ser/models", f"{model}.py")])}
    declared = {path for path in deps(STAGES[f"code@{model}"]) if path.endswith(".py")}
    assert listed == declared - {"benchmarks/code_hashes.py"} and f"ser/models/{model}.py" in listed


@each_stage
def test_params_are_those_that_are_loaded(stage):
    module, (model, recipe, *_) = arguments(stage)
    if module == "benchmarks.train":
        assert declared_params(stage) == ({f"models.{model}"}, {"enrolment", f"recipes.{recipe}.{model}"})
        return
    if module == "stages.descriptors":
        assert declared_params(stage) == ({model}, set()), "the section of the feature set"
        return
    if module == "benchmarks.front_ends":
        assert declared_params(stage) == ({"spectrogram"}, {f"front_ends.{model}"}), "what departs from the pipeline's"
        return
    if module == "benchmarks.pretrain":
        assert declared_params(stage) == ({"models.cnn"}, {"pretrain"}), "the network that learns from its views"
        return
    text = source(module).read_text()
    # the parameters' file is named wherever it is not the first pipeline's
    own = set(re.findall(r'load_params\("(\w+)", \w+, PARAMS\)', text))
    shared = set(re.findall(r'load_params\("(\w+)", \w+\)', text))
    if module == "stages.augment":
        own, shared = shared, own
    assert (shared, own) == SECTIONS[module] == declared_params(stage)


def test_every_section_is_read():
    read = {name.partition(".")[0] for stage in STAGES.values() for name in declared_params(stage)[1]}
    assert set(yaml.safe_load(PARAMS.read_text())) == read


@each_stage
def test_paths_on_the_command_line_are_declared(stage):
    declared = deps(stage) | outs(stage)
    for argument in arguments(stage)[1]:
        if "/" in argument and not argument.startswith(UNDECLARED):
            path = PurePosixPath(argument)
            assert any(path == PurePosixPath(d) or path in PurePosixPath(d).parents for d in declared), argument


@each_stage
def test_what_is_read_exists_or_is_made_by_a_stage(stage):
    made = {out for other in ALL.values() for out in outs(other)}
    for path in deps(stage) - {"benchmarks/params.yaml"}:
        if path.split("/")[0] in ("data", "models") or path.startswith(("benchmarks/data", "benchmarks/results")):
            assert any(related(path, out) for out in made), path
        else:
            assert (ROOT / path).exists(), path


def test_every_training_of_the_plan_has_its_stage_and_its_folders():
    planned = [training for name in PLAN.folds for training in trainings(PLAN, name)] + honesty_trainings(HONESTY_PLAN)
    planned += ablation_trainings(ABLATION_PLAN)
    wanted = {training.stage: training for training in planned}
    assert len(wanted) == len({training.folder for training in planned}), "no two stages with one output"
    assert set(wanted) == {name for name, stage in STAGES.items() if arguments(stage)[0] == "benchmarks.train"}
    for name, training in wanted.items():
        folders = {f"benchmarks/data/{kind}/{training.folder.as_posix()}" for kind in ("trained", "predictions")}
        assert outs(STAGES[name]) == folders
        model, recipe, seed, fold_csv, *_ = arguments(STAGES[name])[1]
        assert (model, recipe, int(seed)) == (training.model, training.recipe, training.seed)
        assert fold_csv == f"benchmarks/data/folds/{training.protocol}/{training.fold}.csv"


def test_the_plan_names_every_protocol_and_all_its_folds():
    assert {name: list(folds) for name, folds in PLAN.folds.items()} == {
        name: [fold.name for fold in benchmark.folds] for name, benchmark in BENCHMARKS.items()
    }
    assert all(len(PLAN.seeds[name]) >= 2 for name, benchmark in BENCHMARKS.items() if benchmark.first_mark)


def test_a_transfer_starts_from_the_model_that_never_heard_its_corpus():
    for name in PLAN.folds:
        for training in trainings(PLAN, name):
            start = arguments(STAGES[training.stage])[1][6]
            assert start in deps(STAGES[training.stage])
            if training.recipe.startswith("transfer"):
                corpus = BENCHMARKS[name].fold(training.fold).corpus
                assert start == f"benchmarks/data/trained/corpus_out/{corpus}/base/1/{training.model}"
            if name == "corpus_out":
                assert start == NOTHING


def test_the_honesty_report_tests_every_speaker_and_draws_the_random_split_again():
    n_groups = load_params("honesty_folds", SplitParams, PARAMS).speaker_folds
    ours = CLAIMS.ours
    folds = [honesty_fold(name) for name in (*HONESTY_PLAN.folds[ours], *HONESTY_PLAN.copies[ours])]
    numbers = {protocol: {fold.number for fold in folds if fold.protocol == protocol} for protocol in HONESTY}
    assert numbers.pop("speakers") == numbers.pop("sentences") == set(range(1, n_groups + 1))
    assert numbers.pop("corpora") == {1} and len(numbers.pop("random")) >= 2 and all(numbers.values())


def folds_by_protocol(model):
    found = {}
    for name in HONESTY_PLAN.folds[model]:
        found.setdefault(honesty_fold(name).protocol, []).append(name)
    return found


@pytest.mark.parametrize("model", HONESTY_PLAN.folds)
def test_a_model_runs_all_folds_of_a_protocol_or_none(model):
    ours = folds_by_protocol(CLAIMS.ours)
    for protocol, names in folds_by_protocol(model).items():
        assert names == ours[protocol], "or it would be compared on other clips"


@pytest.mark.parametrize("claim", CLAIMS.systems, ids=lambda claim: f"{claim.system}-{claim.model}")
def test_each_system_has_its_design_run_under_its_own_protocol_and_on_unheard_speakers(claim):
    assert {claim.protocol, "speakers"} <= set(folds_by_protocol(claim.model))


def test_copies_that_are_rows_are_not_drawn_besides():
    for recipe in yaml.safe_load(PARAMS.read_text())["recipes"]["copies_as_rows"].values():
        assert recipe == {"pool": False, "architecture": {}, "training": {}, "batches": {"augmented_share": 0.0}}


@pytest.mark.parametrize("model", MODELS)
def test_a_model_depends_on_its_inputs_and_on_the_models_it_builds_on(model):
    kinds = {kind for kind in constant(ROOT / f"ser/models/{model}.py", "INPUTS") if kind != "speaker"}
    bases = constant(ROOT / f"ser/models/{model}.py", "BASES") or ()
    stage = STAGES[f"iesc_loso_{model}@iesc_2-all_speakers_small-1"]
    features = {f"data/features/{kind}/clean" for kind in kinds} | {
        f"benchmarks/data/features/{kind}/augmented" for kind in kinds
    }
    assert {path for path in deps(stage) if "/features/" in path} == features
    trained = {f"benchmarks/data/trained/iesc_loso/iesc_2/all_speakers_small/1/{base}" for base in bases}
    trained.add(f"benchmarks/data/trained/corpus_out/iesc/base/1/{model}")
    assert {path for path in deps(stage) if "/trained/" in path} == trained


@pytest.mark.parametrize("model", DESIGNS)
def test_a_published_design_depends_on_its_feature_set_which_has_copies_if_it_draws_them(model):
    (kind,) = constant(ROOT / f"ser/models/{model}.py", "INPUTS")
    stage = STAGES[f"honesty_{model}@speakers_1-alone-1"]
    folder = f"benchmarks/data/features/{kind}"
    assert {path for path in deps(stage) if "/features/" in path} == {folder}
    assert arguments(stage)[1][4:6] == ["benchmarks/data/features"] * 2
    own = yaml.safe_load((ROOT / "params.yaml").read_text())["models"][model]["batches"]
    recipe = yaml.safe_load(PARAMS.read_text())["recipes"]["alone"][model]["batches"]
    variants = ["clean", "augmented"] if {**own, **recipe}["augmented_share"] else ["clean"]
    made = {out for other in STAGES.values() for out in outs(other) if out.startswith(f"{folder}/")}
    assert made == {f"{folder}/{variant}/{HOME}" for variant in variants}, "folds of these protocols hold one corpus"


def test_a_feature_set_is_extracted_from_the_audio_of_its_variant_for_a_model_that_reads_it():
    stores = {"clean": f"data/audio/clean/{HOME}", "augmented": f"benchmarks/data/audio/augmented/{HOME}"}
    stages = [stage for stage in STAGES.values() if arguments(stage)[0] == "stages.descriptors"]
    for stage in stages:
        kind, audio, out = arguments(stage)[1]
        variant = PurePosixPath(out).parent.name
        assert out == f"benchmarks/data/features/{kind}/{variant}/{HOME}" and outs(stage) == {out}
        assert audio == stores[variant] and audio in deps(stage)
    read = {constant(ROOT / f"ser/models/{model}.py", "INPUTS")[0] for model in DESIGNS}
    assert {arguments(stage)[1][0] for stage in stages} == read


def test_clean_features_of_our_models_come_from_the_first_pipeline_alone():
    made = [out for stage in STAGES.values() for out in outs(stage) if "/variants/" not in out and "/front_ends/" not in out]
    clean = [out for out in made if "/clean" in out]
    assert not [out for out in clean if "/spectrogram/" in out or "/prosody/" in out]


def test_a_published_figure_or_a_score_can_be_edited_without_training_again():
    for name, stage in STAGES.items():
        if arguments(stage)[0] == "benchmarks.train":
            assert not deps(stage) & {"ser/protocols.py", "ser/evaluation.py", "ser/scoring.py", "ser/bootstrap.py"}, name


def test_the_document_is_what_the_command_writes():
    assert (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8") == table.content()
