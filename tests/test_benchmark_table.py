"""The document of all protocols."""

import copy
import json

import pytest

from benchmarks.table import RESULTS
from ser.benchmark_table import as_markdown
from ser.protocols import BENCHMARKS

NAME = "ravdess_19_to_24"
TITLE = BENCHMARKS[NAME].title
SECTION = "## The same trainings on another machine"


@pytest.fixture
def report():
    return json.loads((RESULTS / f"{NAME}.json").read_text(encoding="utf-8"))


def with_seeds(report, model, seeds):
    changed = copy.deepcopy(report)
    changed["recipes"][report["headline_recipe"]]["models"][model]["none"][report["headline"]]["seeds"] = seeds
    return changed


def pairs(here, there):
    """The cells of the protocol's row, of the section on processors; none without such a section."""
    _, _, section = as_markdown({NAME: here}, BENCHMARKS, elsewhere={NAME: there}).partition(SECTION)
    rows = [line for line in section.split("\n## ")[0].splitlines() if line.startswith(f"| {TITLE} |")]
    return rows[0].strip("| ").split(" | ")[2:] if rows else []


def test_two_processors_are_compared_on_the_seeds_that_both_ran(report):
    here = with_seeds(report, "cnn", {"1": 0.4, "2": 0.6, "3": 0.9, "4": 0.9})
    assert pairs(here, with_seeds(report, "cnn", {"1": 0.5, "2": 0.6}))[0] == "55.0, 50.0"


def test_a_model_that_ran_on_one_processor_alone_has_no_pair(report):
    there = copy.deepcopy(report)
    del there["recipes"][report["headline_recipe"]]["models"]["hybrid"]
    models = list(report["recipes"][report["headline_recipe"]]["models"])
    assert [cell == "-" for cell in pairs(report, there)] == [model == "hybrid" for model in models]


def test_seeds_that_differ_are_not_compared(report):
    assert pairs(report, with_seeds(report, "cnn", {"9": 0.5}))[0] == "-"


@pytest.mark.parametrize(("key", "value"), [("synthetic_demo_voices", 1), ("headline_recipe", "transfer"), ("folds", {})])
def test_runs_of_other_voices_recipes_or_folds_are_not_compared(report, key, value):
    assert pairs(report, report)
    assert pairs(report, {**report, key: value}) == []


def test_without_another_processor_there_is_no_such_section(report):
    assert SECTION not in as_markdown({NAME: report}, BENCHMARKS)
