"""A recipe takes the models' settings from params.yaml and changes what it names, strictly."""

from pathlib import Path

import pytest

from ser.architectures import load_architecture
from ser.classical import FitParams
from ser.params import ParamsError
from ser.recipes import load_recipe

ROOT = Path(__file__).parents[1]


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)

    def load(text, seed=3, model="prosody"):
        path = tmp_path / "params.yaml"
        path.write_text(f"recipes: {{one: {{{model}: {text}}}}}\n")
        return load_recipe("one", model, load_architecture(model), seed, path)

    return load


def test_what_a_recipe_does_not_name_is_that_of_params_yaml(load):
    plain = load("{pool: false}")
    changed = load("{pool: true, architecture: {units: [8]}, training: {epochs: 2}, batches: {mixup: 1}}")
    assert not plain.pool and changed.pool and not plain.start and load("{pool: false, start: true}").start
    assert plain.choose and not load("{pool: false, choose: false}").choose
    assert changed.sizes.units == (8,) and changed.sizes.dropout == plain.sizes.dropout
    assert changed.training.epochs == 2 and changed.training.learning_rate == plain.training.learning_rate
    assert changed.batches.mixup == 1.0 and changed.batches.batch_size == plain.batches.batch_size


def test_the_seed_is_that_of_the_run(load):
    assert load("{pool: false}", seed=7).training.seed == 7


def test_what_scikit_learn_fits_has_the_settings_of_a_fit(load):
    recipe = load("{pool: false, architecture: {c: 1.0}, training: {epochs: 2}}", seed=5, model="svm")
    assert recipe.training == FitParams(seed=5, epochs=2) and recipe.sizes.c == 1.0
    with pytest.raises(ParamsError, match="recipes.one.svm.training.learning_rate is unknown"):
        load("{pool: false, training: {learning_rate: 0.1}}", model="svm")


@pytest.mark.parametrize("text, message", [
    ("{pool: false, training: {epoch: 2}}", "recipes.one.prosody.training.epoch is unknown"),
    ("{pool: false, training: {epochs: many}}", "recipes.one.prosody.training.epochs must be int"),
    ("{architecture: {}}", "recipes.one.prosody.pool is missing"),
])  # fmt: skip
def test_a_mistaken_key_is_named(load, text, message):
    with pytest.raises(ParamsError, match=message):
        load(text)
