"""Strict parameters: what YAML or a typing slip would change in silence is one sentence instead."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml

from ser.params import ParamsError, load_params


@dataclass(frozen=True)
class Inner:
    depth: int


@dataclass(frozen=True)
class Model:
    rate: float
    units: tuple[int, ...] = (8,)
    kind: Literal["small", "large", 3] = "small"
    left_out: str | None = None
    inner: Inner | None = None
    speakers: dict[str, int] | None = None
    checked: bool = False

    def __post_init__(self):
        if self.rate < 0:
            raise ValueError(f"rate {self.rate} is below 0")


@pytest.fixture
def load(tmp_path):
    def from_text(text, section="models.cnn", cls=Model):
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        return load_params(section, cls, tmp_path / "params.yaml")

    return from_text


def test_a_section_fills_the_class(load):
    text = """
    models:
      cnn:
        rate: 2
        units: [16, 32]
        kind: large
        left_out: emodb_03
        inner: {depth: 4}
        speakers: {ravdess: 8}
        checked: true
    """
    model = load(text)
    assert model == Model(2.0, (16, 32), "large", "emodb_03", Inner(4), {"ravdess": 8}, True)
    assert type(model.rate) is float


def test_defaults_and_null(load):
    assert load("models: {cnn: {rate: 0.5, left_out: null, inner: ~}}") == Model(0.5)


def test_an_exponent_without_a_point_is_text_in_yaml_and_refused(load):
    with pytest.raises(ParamsError, match=r"params.yaml: models.cnn.rate must be float, got '1e-3' \(str\)$"):
        load("models: {cnn: {rate: 1e-3}}")
    assert load("models: {cnn: {rate: 1.0e-3}}").rate == 0.001


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("rate: true", r"models.cnn.rate must be float, got True \(bool\)"),
        ("rate: null", "models.cnn.rate must be float, got None"),
        ("rate: -1", "models.cnn: rate -1.0 is below 0"),
        ("units: 8", r"models.cnn.units must be tuple, got 8 \(int\)"),
        ("units: [8, 2.5]", r"models.cnn.units\[1\] must be int, got 2.5"),
        ("units: [8, true]", r"models.cnn.units\[1\] must be int, got True"),
        ("kind: medium", "models.cnn.kind must be one of small, large, 3, got 'medium'"),
        ("kind: 3.0", "models.cnn.kind must be one of small, large, 3, got 3.0"),
        ("kind: [small]", r"models.cnn.kind must be one of small, large, 3, got \['small'\]"),
        ("left_out: 3", r"models.cnn.left_out must be str, got 3 \(int\)"),
        ("inner: 4", "'models.cnn.inner' must be a mapping, got 4"),
        ("inner: {depth: 4.0}", "models.cnn.inner.depth must be int, got 4.0"),
        ("inner: {}", "models.cnn.inner.depth is missing"),
        ("inner: {depth: 4, width: 2}", "models.cnn.inner.width is unknown; known keys are depth"),
        ("speakers: {ravdess: many}", "models.cnn.speakers.ravdess must be int, got 'many'"),
        ("checked: 1", r"models.cnn.checked must be bool, got 1 \(int\)"),
        ("unit: [8]", "models.cnn.unit is unknown; known keys are rate, units"),
        ("on: 1, 7: 2, unit: 3", "models.cnn.7 is unknown"),  # YAML reads on as True; keys of three types cannot be sorted
    ],
)
def test_what_does_not_fit_is_one_sentence(load, entry, sentence):
    rate = "" if entry.startswith("rate") else "rate: 1.0, "
    with pytest.raises(ParamsError, match=sentence):
        load(f"models: {{cnn: {{{rate}{entry}}}}}")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("models: {cnn: {}}", "models.cnn.rate is missing"),
        ("models: {cnn: }", "'models.cnn' must be a mapping, got None"),
        ("models: {hybrid: {rate: 1.0}}", "section 'models.cnn' is missing"),
        ("models: [cnn]", "section 'models.cnn' is missing"),
        ("", "section 'models.cnn' is missing"),
        ("models: {cnn: [", "not valid YAML"),
    ],
)
def test_a_file_without_the_section_is_refused(load, text, sentence):
    with pytest.raises(ParamsError, match=f"params.yaml: {sentence}"):
        load(text)


def test_the_file_is_found_by_the_environment_or_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SER_PARAMS", raising=False)
    with pytest.raises(ParamsError, match="params.yaml: no such file; run from the project's root"):
        load_params("inner", Inner)
    Path("params.yaml").write_text("inner: {depth: 1}")
    Path("other.yaml").write_text("inner: {depth: 2}")
    assert load_params("inner", Inner).depth == 1
    monkeypatch.setenv("SER_PARAMS", "other.yaml")
    assert load_params("inner", Inner).depth == 2


def test_numbers_of_the_project_mean_the_same_to_every_yaml_reader():
    """DVC reads YAML 1.2, where 1e-3 is a number: a text that looks like one would be two things at once."""

    def leaves(node):
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
        return [node] if children is None else [leaf for child in children for leaf in leaves(child)]

    content = yaml.safe_load((Path(__file__).parents[1] / "params.yaml").read_text(encoding="utf-8"))
    for leaf in leaves(content):
        if isinstance(leaf, str):
            with pytest.raises(ValueError, match="could not convert"):
                float(leaf)
