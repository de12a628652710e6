"""What the README says is so: its table comes from files, its commands and parameters exist."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from docs import outputs
from docs.results import table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_result_table_is_what_the_command_writes():
    assert table.with_table(README) == README


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?make ([a-z]+)", README))))
def test_make_targets_exist(target):
    found = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("key", sorted(set(re.findall(r"`((?:corpora|emotions|split|augment)\.[a-z_]+)", README))))
def test_parameters_exist(key):
    section, name = key.split(".")
    assert name in PARAMS[section]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_overrides_in_examples_name_parameters():
    for key in re.findall(r"-S ([\w.]+)=", README):
        node = PARAMS
        for name in key.split("."):
            node = node[name]


@pytest.mark.parametrize("page", outputs.PAGES)
def test_examples_show_output(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = re.findall(r"<!-- output: [^\n]+ -->\n```\n(.+?)\n```\n", text, re.DOTALL)
    assert len(shown) == text.count("<!-- output: ") > 0
    assert all(block.strip() for block in shown)
