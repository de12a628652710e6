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


def test_features_and_views_of_its_own_are_read(load):
    plain, own = load("{pool: false}"), load("{pool: false, clean: mels_80, copies: four_copies, views: 8}")
    assert (plain.clean, plain.copies, plain.views) == ("", "", 0)
    assert (own.clean, own.copies, own.views) == ("mels_80", "four_copies", 8)
    assert (own.sizes, own.training, own.batches) == (plain.sizes, plain.training, plain.batches)
    only_copies = load("{pool: false, copies: four_copies}")
    assert (only_copies.clean, only_copies.copies) == ("", "four_copies")


def test_heads_and_what_changes_the_network_are_read(load):
    headed = load("{pool: false, training: {heads: {sex: 1, speaker: -0.2}}, batches: {loss_balance: 1, absent_unknown: true}}")
    assert headed.training.heads == {"sex": 1.0, "speaker": -0.2} and load("{pool: false}").training.heads == {}
    assert headed.batches.loss_balance == 1.0 and headed.batches.absent_unknown is True
    changed = load(
        "{pool: false, architecture: {front_end: pcen, context_blocks: 2, pooling: mean, resolutions: 3}}", model="cnn"
    )
    sizes = changed.sizes
    assert (sizes.front_end, sizes.context_blocks, sizes.pooling, sizes.resolutions) == ("pcen", 2, "mean", 3)
    plain = load("{pool: false}", model="cnn").sizes
    assert (plain.front_end, plain.context_blocks, plain.pooling, plain.resolutions) == ("db", 0, "attentive", 1)


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
    ("{pool: false, views: many}", "recipes.one.prosody.views must be int"),
    ("{pool: false, clean: 80}", "recipes.one.prosody.clean must be str"),
    ("{pool: false, training: {heads: {sex: much}}}", "recipes.one.prosody.training.heads.sex must be float"),
])  # fmt: skip
def test_a_mistaken_key_is_named(load, text, message):
    with pytest.raises(ParamsError, match=message):
        load(text)
