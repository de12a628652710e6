"""The whole project copied into a folder of its own, where tests may run, change and kill its pipeline."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import chdir, closing, contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from dvc.repo import Repo
from dvc.utils.serialize import _yaml

ROOT = Path(__file__).parents[1]
GIT = ("git", "-c", "user.name=tests", "-c", "user.email=tests@localhost")

TINY_MODELS = {
    "models.cnn.architecture.stem_filters": 4,
    "models.cnn.architecture.filters": [8, 8],
    "models.cnn.architecture.attention_units": 8,
    "models.cnn.architecture.embedding": 16,
    **{
        f"models.{model}.{name}": value
        for model in ("cnn", "prosody", "hybrid")
        for name, value in {"training.epochs": 1, "batches.batch_size": 16, "batches.n_frames": 64}.items()
    },
    "models.prosody.architecture.units": [16],
    "models.hybrid.architecture.fused_units": 16,
    "evaluate.n_bootstrap": 100,
}
FEWEST_CLIPS = {
    "demo.speakers": {"ravdess": 4, "crema_d": 4, "emodb": 4, "iesc": 4},
    "demo.takes": {"ravdess": 1, "crema_d": 1, "tess": 1, "emodb": 1, "iesc": 1},
}


class Project:
    """A working copy with its own git history, DVC cache and MLflow database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._graphs: dict[tuple[str, ...], dict[str, set[str]]] = {}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "SER_", "GIT_"))},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
            "DVC_SITE_CACHE_DIR": f"{folder}/.dvc/tmp/site",
            "DVC_NO_ANALYTICS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **{f"GIT_{who}_{what}": "tests@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }

    @classmethod
    def fresh(cls, folder: Path, params: dict[str, Any]) -> "Project":
        """Copy what git tracks or would track (no data, no models, no cache), set parameters, commit."""
        listed = subprocess.run([*GIT, "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
        for name in sorted(set(listed.stdout.decode().split("\0")) - {""}):
            if (ROOT / name).is_file() and not name.startswith(("metrics/", "dvc.lock")):  # results are to be made anew
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        project = cls(folder)
        project.configure(params)
        project.run("git", "init", "-q", "-b", "main")
        project.commit("start")
        return project

    def twin(self, folder: Path) -> "Project":
        """A second copy of everything, the cache included."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def run(self, *command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the project; its stdout and stderr come as one text in `stdout`."""
        process = subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert not check or process.returncode == 0, f"{' '.join(command)}: exit {process.returncode}\n{process.stdout[-6000:]}"
        return process

    def repro(self, *arguments: str, **environment: str) -> str:
        """`dvc repro`; returns what it printed."""
        return self.run("dvc", "repro", *arguments, **environment).stdout

    def json(self, *command: str) -> Any:
        """What a command printed to stdout, as JSON."""
        process = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=300)
        assert process.returncode == 0, process.stderr[-3000:]
        return json.loads(process.stdout)

    def commit(self, message: str) -> None:
        """Commit all that is not ignored."""
        self.run("git", "add", "-A")
        self.run("git", "commit", "-q", "--allow-empty", "-m", message)

    def configure(self, params: dict[str, Any]) -> None:
        """Change parameters, named by dotted keys."""
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for name, value in params.items():
            *sections, key = name.split(".")
            node = content
            for section in sections:
                node = node[section]
            assert key in node, f"no parameter {name}"
            node[key] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    @contextmanager
    def restored(self, *names: str) -> Iterator[None]:
        """Put files back (or remove those that were not there) at the end of the block."""
        before = {name: (self.folder / name).read_bytes() if (self.folder / name).exists() else None for name in names}
        try:
            yield
        finally:
            for name, content in before.items():
                path = self.folder / name
                if content is not None:
                    path.write_bytes(content)
                elif path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)

    @contextmanager
    def repo(self) -> Iterator[Repo]:
        """DVC's view of the project, in this process, which is quicker than `dvc`."""
        before = dict(os.environ)
        with chdir(self.folder), patch.object(_yaml, "parse_yaml", _parse_yaml):
            os.environ.update({name: value for name, value in self.environment.items() if name.startswith("DVC_")})
            try:
                with Repo(str(self.folder)) as repo:
                    yield repo
            finally:
                os.environ.clear()
                os.environ.update(before)

    def status(self, target: str) -> set[str]:
        """Stages above (and including) a target that `dvc status` calls changed: those that run whatever others give."""
        with self.repo() as repo:
            return set(repo.status(targets=[target], with_deps=True))

    def downstream(self, stages: Iterable[str], target: str) -> set[str]:
        """The stages and all between them and a target: what runs if every output turns out different."""
        needs = self._needs()
        above = _reachable(needs, {target})
        needed_by = {name: {other for other in needs if name in needs[other]} for name in needs}
        return _reachable(needed_by, set(stages) & above) & above

    def _needs(self) -> dict[str, set[str]]:
        """The stages that each stage needs; asked for once, as the list of corpora alone changes it."""
        corpora = tuple(yaml.safe_load((self.folder / "params.yaml").read_text())["corpora"]["use"])
        if corpora not in self._graphs:
            with self.repo() as repo:
                needs: dict[str, set[str]] = {stage.addressing: set() for stage in repo.index.stages}
                for stage, needed in repo.index.graph.edges:
                    needs[stage.addressing].add(needed.addressing)
            self._graphs[corpora] = needs
        return self._graphs[corpora]

    def outputs(self) -> dict[str, str]:
        """Hash of every output by path, from dvc.lock."""
        lock = yaml.safe_load((self.folder / "dvc.lock").read_text())
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}

    def mlflow_runs(self) -> dict[str, int]:
        """How many runs the database holds: parents (which have children), children, and any others."""
        with closing(sqlite3.connect(self.folder / "mlflow.db")) as database:
            runs = {run for (run,) in database.execute("SELECT run_uuid FROM runs")}
            parent_of = dict(database.execute("SELECT run_uuid, value FROM tags WHERE key = 'mlflow.parentRunId'"))
        parents = set(parent_of.values())
        return {"parents": len(parents), "children": len(parent_of), "others": len(runs - parents - set(parent_of))}

    def start(self, *command: str) -> "Running":
        """Start a command in a process group of its own."""
        return Running(self, command)


class Running:
    """A command under way, its output in a file."""

    def __init__(self, project: Project, command: tuple[str, ...]) -> None:
        self.log = project.folder.parent / f"{project.folder.name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=project.folder,
                env=project.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace")

    def wait_until(self, seen: Callable[[], bool], *, seconds: float = 300) -> bool:
        """Wait until something is seen; False if the process ended before."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if seen():
                return True
            if self.process.poll() is not None:
                return seen()
            time.sleep(0.005)
        raise AssertionError(f"not seen within {seconds} s; the log ends\n{self.text[-3000:]}")

    def kill(self) -> None:
        """SIGKILL to the process and all its descendants, wherever they are."""
        import psutil

        family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        os.killpg(self.process.pid, signal.SIGKILL)
        for member in family:
            try:
                member.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait()
        psutil.wait_procs(family[1:], timeout=10)

    def close(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.kill()


def _parse_yaml(text: str, path: str, typ: str = "safe", *, parse: Callable = _yaml.parse_yaml) -> Any:
    """As DVC's own, but each text once: DVC reads params.yaml anew for every stage, and lengthily."""
    if (text, typ) not in _parsed:
        _parsed[text, typ] = parse(text, path, typ)
    return deepcopy(_parsed[text, typ])


_parsed: dict[tuple[str, str], Any] = {}


def ran(output: str) -> set[str]:
    """Stages whose command ran, from what `dvc repro` printed."""
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")}


def _reachable(edges: dict[str, set[str]], start: set[str]) -> set[str]:
    found, todo = set(start), list(start)
    while todo:
        new = edges[todo.pop()] - found
        found |= new
        todo += new
    return found
