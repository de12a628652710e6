"""What several test files share and takes long to make: pipelines and a model bundle, each made once a session."""

import fcntl
import os
import time
from contextlib import contextmanager

import pytest

from ser.demo import DemoParams, make_demo
from tests import tiny
from tests.pipeline import FEWEST_CLIPS, TINY_MODELS, Project

TINY = {"corpora.root": "data/raw", "corpora.use": ["emodb", "tess"], **FEWEST_CLIPS, **TINY_MODELS}
TINY["models.cnn.training.epochs"] = 12  # of a step or two each: long enough to be killed in the middle


def raw_corpora(folder, *corpora):
    """Demo corpora where real ones would lie."""
    params = DemoParams(2026, FEWEST_CLIPS["demo.speakers"], FEWEST_CLIPS["demo.takes"], strength=1.0, variation=1.0)
    for corpus in corpora:
        make_demo(corpus, folder / corpus, params)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """A finished run of two tiny corpora under data/raw. To be read only: change a `twin` or restore what you touch.

    It takes a minute or two, so the first of the parallel workers makes it, and each works on a copy.
    """
    with shared(tmp_path_factory, "undisturbed") as folder:
        project = Project(folder / "ser")
        if not (folder / "repro.log").exists():
            project = Project.fresh(folder / "ser", TINY)
            raw_corpora(folder / "ser/data/raw", "emodb", "tess")
            start = time.monotonic()
            output = project.repro("track")
            project.commit("tiny results")
            (folder / "repro.log").write_text(output)
            print(f"\ntiny pipeline: {time.monotonic() - start:.0f} s")
    return project.twin(tmp_path_factory.mktemp("undisturbed") / "ser")


@contextmanager
def shared(tmp_path_factory, name):
    """A folder that all parallel workers have in common, while no other of them is in here."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield root / name


@pytest.fixture(scope="session")
def tiny_models():
    """Tiny untrained networks by architecture. To be read only."""
    return tiny.tiny_models()


@pytest.fixture(scope="session")
def tiny_trained(tiny_models, tmp_path_factory):
    """Folder of a tiny hybrid as its training would leave it. To be read only."""
    folder = tmp_path_factory.mktemp("tiny_trained") / "hybrid"
    tiny.write_trained(folder, tiny_models["hybrid"])
    return folder


@pytest.fixture(scope="session")
def tiny_bundle(request, tmp_path_factory):
    """Folder of a real bundle of a tiny untrained hybrid over `tiny.EMOTIONS`. To be read only: copy it to change it.

    Parallel workers share one: who comes first makes it, which takes TensorFlow, and the others wait.
    """
    with shared(tmp_path_factory, "tiny_bundle") as place:
        folder = place / "models/hybrid"
        if not folder.exists():
            tiny.write_tiny_bundle(request.getfixturevalue("tiny_trained"), folder)
    return folder
