"""Pipelines that several test files share: each is run once a session."""

import time

import pytest

from ser.demo import DemoParams, make_demo
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
    """A finished run of two tiny corpora under data/raw. To be read only: change a `twin` or restore what you touch."""
    folder = tmp_path_factory.mktemp("undisturbed") / "ser"
    project = Project.fresh(folder, TINY)
    raw_corpora(folder / "data/raw", "emodb", "tess")
    start = time.monotonic()
    (folder.parent / "repro.log").write_text(project.repro("track"))
    print(f"\ntiny pipeline: {time.monotonic() - start:.0f} s")
    project.commit("tiny results")
    return project
