"""dvc.yaml names exactly the first-party code, the parameters and the files that each stage uses.

DVC does not follow Python imports (treeverse/dvc#9195): a dependency too few means stale results, one too many needless reruns.
"""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from contextlib import chdir
from functools import cache
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import pytest
import yaml
from dvc.repo import Repo
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("ser", "stages")
OUTPUTS = ("data", "models", "metrics")
UNDECLARED = {"data/unfinished"}  # where a training leaves its state: neither read by another stage nor a result


FILLER = "ser/models/__init__.py"  # what a model names that has nothing more to wait for


def everything():
    """params.yaml with all models made: those that it only knows need the lines of the others, and their feature sets."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    chosen = params["pipeline"]
    for model in params["models"]:
        kinds, bases = inputs_of(model), bases_of(model)
        paths = [f"data/features/{kind}" for kind in kinds]
        paths += [f"data/trained/{base}" for base in bases] or ["data/located.txt", "data/audit.json", FILLER]
        reads, also, after, beside = paths
        chosen["models"].setdefault(model, {"reads": reads, "also": also, "after": after, "beside": beside})
        for kind in kinds:
            made_by = chosen["feature_sets" if "descriptors" in params.get(kind, ()) else "encoders"]
            if kind not in {"spectrogram", "prosody", *made_by}:
                made_by.append(kind)
    return params


def inputs_of(model):
    kinds = constant(ROOT / f"ser/models/{model}.py", "INPUTS")
    return [kind for kind in kinds if kind != "speaker"]  # made of the prosody of other clips


def bases_of(model):
    return constant(ROOT / f"ser/models/{model}.py", "BASES") or ()


def resolved(params):
    """All stages as DVC itself resolves foreach, matrix and ${...}."""
    with TemporaryDirectory() as folder, chdir(folder):
        Path("dvc.yaml").write_text((ROOT / "dvc.yaml").read_text())
        Path("params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
        with Repo.init(no_scm=True) as repo:
            return {stage.addressing: stage for stage in repo.index.stages}


@cache
def nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


def constant(path, name):
    """Value of a module-level constant, None if there is none."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and [target.id for target in node.targets] == [name]:
            return ast.literal_eval(node.value)
    return None


PARAMS = everything()
STAGES = resolved(PARAMS)
# What fans out by corpus is the same text with another name in it: the first corpus stands for all.
FIRST, *OTHERS = PARAMS["corpora"]["use"]
TELLING = {name: stage for name, stage in STAGES.items() if not any(corpus in name for corpus in OTHERS)}
each_stage = pytest.mark.parametrize("stage", [pytest.param(stage, id=name) for name, stage in sorted(TELLING.items())])
each_model = pytest.mark.parametrize("model", sorted(PARAMS["models"]))


def deps(stage):
    return {dep.def_path for dep in stage.deps} - {"params.yaml"}


def outs(stage):
    return {out.def_path for out in stage.outs}


def related(a, b):
    """Whether two paths are one, or one lies in the other."""
    return a == b or PurePosixPath(a) in PurePosixPath(b).parents or PurePosixPath(b) in PurePosixPath(a).parents


def arguments(stage):
    """(module, its arguments) of a stage's command."""
    python, dash_m, module, *rest = shlex.split(stage.cmd)
    assert (python, dash_m) == ("python", "-m")
    return module, rest


def source(module):
    """File of a first-party module, or None for a package or a name inside a module."""
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    return path if path.exists() else None


@cache
def imports(path):
    """Every name a file imports, also inside functions and under TYPE_CHECKING."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: write absolute imports"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def closure(roots):
    todo, seen = list(roots), set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += filter(None, (source(name) for name in imports(path) if name.split(".")[0] in PACKAGES))
    return seen


def calls(path, function):
    """Argument lists of the calls of a function in a file."""
    for node in nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function:
            yield node.args


def text_of(node, model):
    """A section name as written in a call; {args.model} stands for the stage's model, args.set for its feature set."""
    if isinstance(node, ast.Constant):
        return node.value
    if ast.unparse(node) == "args.set":
        return model
    assert isinstance(node, ast.JoinedStr), f"load_params takes a plain name, got {ast.unparse(node)}"
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            assert ast.unparse(part.value) == "args.model", f"no idea which sections {ast.unparse(node)} is"
        parts.append(part.value if isinstance(part, ast.Constant) else model)
    return "".join(parts)


def loaded_sections(stage):
    module, (model, *_) = arguments(stage)
    return {text_of(args[0], model) for path in closure(roots(stage)) for args in calls(path, "load_params")}


def roots(stage):
    """The stage's own file, and what it picks by name instead of importing it."""
    module, (first, *_) = arguments(stage)
    by_name = [source(f"ser.models.{first}")] if module == "stages.train" else []
    return [source(module), *by_name]


def section(name):
    node = PARAMS
    for key in name.split("."):
        node = node[key]
    return node


@each_stage
def test_code_deps_are_the_import_closure(stage):
    declared = {path for path in deps(stage) if path.endswith(".py")} - {FILLER}
    assert declared == {path.relative_to(ROOT).as_posix() for path in closure(roots(stage))}


@each_stage
def test_corpus_descriptions_read_are_deps(stage):
    module, (corpus, *_) = arguments(stage)
    declared = {path for path in deps(stage) if path.startswith("ser/corpora")}
    if not any(list(calls(path, "load_corpus")) for path in closure(roots(stage))):
        assert not declared
    else:  # one corpus by name, or all of them
        assert declared == {f"ser/corpora/{corpus}.yaml" if corpus in PARAMS["corpora"]["use"] else "ser/corpora"}


@each_stage
def test_params_are_the_sections_that_are_loaded(stage):
    declared = {name for dep in stage.deps for name in getattr(dep, "params", ())}
    loaded = loaded_sections(stage)
    for name in loaded:
        assert section(name) is not None
    assert declared == {".".join(name.split(".")[:2]) if name.startswith("models.") else name for name in loaded}


@each_model
def test_a_model_has_no_parameters_that_nobody_reads(model):
    loaded = loaded_sections(STAGES[f"train@{model}"])
    assert {f"models.{model}.{key}" for key in PARAMS["models"][model]} == {n for n in loaded if n.startswith("models.")}


def test_every_section_is_read_by_a_stage():
    loaded = {name.split(".")[0] for stage in STAGES.values() for name in loaded_sections(stage)}
    assert set(PARAMS) == loaded


@each_model
def test_a_model_depends_on_its_inputs_and_on_the_models_it_builds_on(model):
    for stage in (STAGES[f"train@{model}"], STAGES[f"evaluate@{model}"]):
        features = {path for path in deps(stage) if path.startswith("data/features")}
        assert features == {f"data/features/{kind}" for kind in inputs_of(model)}
    trained = {path for path in deps(STAGES[f"train@{model}"]) if path.startswith("data/trained/")}
    assert trained == {f"data/trained/{base}" for base in bases_of(model)}
    assert trained or "data/audit.json" in deps(STAGES[f"train@{model}"])


def test_every_architecture_has_its_parameters_and_stages():
    files = {path.stem for path in (ROOT / "ser/models").glob("*.py")} - {"__init__"}
    assert files == set(PARAMS["models"])
    for name in ("train", "evaluate", "bundle"):
        assert {stage.partition("@")[2] for stage in STAGES if stage.startswith(f"{name}@")} == files


def feature_sets(key="descriptors"):
    """Sections of params.yaml that are feature sets, or with the key `source` pretrained encoders."""
    return [name for name, fields in PARAMS.items() if key in fields]


def test_every_feature_set_and_encoder_is_read_by_a_model():
    assert set(PARAMS["pipeline"]["feature_sets"]) == set(feature_sets())
    assert set(PARAMS["pipeline"]["encoders"]) == set(feature_sets("source"))


@pytest.mark.parametrize("name", feature_sets("source"))
def test_an_encoder_is_looked_at_each_time_and_its_embeddings_made_of_what_was_found(name):
    looked = STAGES[f"encoder@{name}"]
    assert looked.always_changed and {key for dep in looked.deps for key in getattr(dep, "params", ())} == {name}
    stages = {key: stage for key, stage in STAGES.items() if key.startswith(f"pretrained@{name}-")}
    assert set(stages) == {
        f"pretrained@{name}-{corpus}-{variant}" for corpus in PARAMS["corpora"]["use"] for variant in ("clean", "augmented")
    }
    for stage in stages.values():
        assert outs(looked) < deps(stage)


@pytest.mark.parametrize("name", feature_sets())
def test_a_feature_set_is_extracted_from_every_store_by_its_own_settings(name):
    stages = {key: stage for key, stage in STAGES.items() if key.startswith(f"descriptors@{name}-")}
    assert set(stages) == {
        f"descriptors@{name}-{corpus}-{variant}" for corpus in PARAMS["corpora"]["use"] for variant in ("clean", "augmented")
    }
    for stage in stages.values():
        assert {key for dep in stage.deps for key in getattr(dep, "params", ())} == {name}


def test_the_lines_ready_to_be_taken_in_are_those_that_their_models_need():
    lines = re.findall(r"^ {4}# (\w+: \{reads: .*\})$", (ROOT / "params.yaml").read_text(), re.MULTILINE)
    ready = {name: fields for line in lines for name, fields in yaml.safe_load(line).items()}
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text())["pipeline"]["models"]
    assert chosen | ready == PARAMS["pipeline"]["models"]


FANNED_OUT = ("train", "evaluate", "bundle", "descriptors", "encoder", "pretrained")


def test_models_are_chosen_by_one_list_and_bring_nothing_that_is_not_asked_for():
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text())["pipeline"]
    assert list(chosen["models"]) == ["cnn", "prosody", "hybrid"]
    assert not chosen["feature_sets"] and not chosen["encoders"]
    alone = {"feature_sets": [], "encoders": [], "models": {"prosody": chosen["models"]["prosody"]}}
    one = resolved(PARAMS | {"pipeline": alone})
    fanned_out = {name for name in one if name.split("@")[0] in FANNED_OUT}
    assert fanned_out == {"train@prosody", "evaluate@prosody", "bundle@prosody"}
    for name in ("compare", "track"):
        assert deps(one[name]) == deps(STAGES[name]), "folders, whatever is in them"


@each_stage
def test_paths_on_the_command_line_are_declared(stage):
    declared = deps(stage) | outs(stage)
    for argument in arguments(stage)[1]:
        if "/" in argument or argument in OUTPUTS or (ROOT / argument).is_dir():
            assert argument in UNDECLARED or any(related(argument, path) for path in declared), argument


@each_stage
def test_no_stage_but_locate_can_start_a_run(stage):
    # DVC runs stages that do not wait for each other in any order
    made = {path for other in STAGES.values() for path in outs(other)}
    waits = any(related(path, out) for path in deps(stage) for out in made)
    assert waits == (stage.addressing != "locate")


@each_stage
def test_every_stage_reads_and_writes(stage):
    assert deps(stage) and outs(stage)
    for path in outs(stage):
        assert path.split("/")[0] in OUTPUTS, path
    for path in deps(stage):
        made = path.split("/")[0] in OUTPUTS
        assert made or (ROOT / path).exists(), f"{path}: no such file"


@each_stage
def test_outputs_that_are_not_cached_are_small_text(stage):
    for out in stage.outs:
        if not out.use_cache:
            assert out.def_path.startswith("metrics/"), out.def_path


@pytest.mark.parametrize(
    "path", [p.relative_to(ROOT).as_posix() for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py"))]
)
def test_nobody_imports_a_stage(path):
    found = {name for name in imports(ROOT / path) if name.split(".")[0] == "stages"}
    assert found <= {"stages.running", "stages.running.run"}
    if path.startswith("ser/"):
        assert not found


@pytest.mark.parametrize("package", ["ser", "ser/models", "stages"])
def test_package_init_has_no_code(package):
    # __init__ files are in no deps, so DVC would not see a change there
    body = ast.parse((ROOT / package / "__init__.py").read_text()).body
    assert all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@pytest.mark.parametrize(
    "modules, never",
    [
        ("ser.spectrogram ser.audio ser.corpus", "tensorflow keras mlflow dvc torch jax librosa"),
        ("ser.descriptors", "tensorflow keras mlflow dvc torch jax librosa sklearn"),
        ("ser.pretrained", "tensorflow keras mlflow dvc torch jax librosa sklearn transformers huggingface_hub onnxruntime"),
        ("ser.prosody ser.functionals ser.prosodic_frontend", "tensorflow keras mlflow dvc torch jax"),
    ],
)
def test_feature_code_does_not_drag_in_heavy_libraries(modules, never):
    code = f"import sys, {', '.join(modules.split())}; print(*(set({never.split()!r}) & set(sys.modules)))"
    process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert process.stdout.split() == []


def lock_entries():
    """Requirement lines of the lock file, continuation lines joined."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_the_lock_file_pins_everything_by_hash_and_names_no_host():
    entries = lock_entries()
    assert len(entries) > 50
    for line in entries:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==\S+( *; [^@]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", line), line[:120]
    assert "://" not in (ROOT / "requirements.lock").read_text()


NOT_LOCKED = {"pretrained"}  # torch's usual build brings gigabytes of CUDA; the smaller one can only be had by a URL


def test_the_lock_file_holds_what_the_project_asks_for():
    pinned = {}
    for line in lock_entries():
        name, version = line.split(" ")[0].split("==")
        pinned[canonicalize_name(name)] = version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = project.get("optional-dependencies", {})
    extras = [wanted for name, group in groups.items() if name not in NOT_LOCKED for wanted in group]
    for wanted in map(Requirement, [*project["dependencies"], *extras]):
        version = pinned.get(canonicalize_name(wanted.name))
        assert version and wanted.specifier.contains(version), f"{wanted} against {version}"
