"""A recipe: what a benchmark trains its models on, and where their settings depart from those of `params.yaml`."""

from dataclasses import dataclass, field, fields, make_dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

from ser.batches import BatchParams
from ser.classical import FitParams
from ser.params import load_params
from ser.training import TrainParams


@dataclass(frozen=True)
class Recipe:
    """Settings of one model's training in a benchmark."""

    pool: bool  # whether the other corpora's clips train too
    start: bool  # whether training starts from the model that learned from the other corpora alone
    sizes: Any
    training: TrainParams | FitParams
    batches: BatchParams
    choose: bool = True  # whether the validation speakers choose the epoch; if not they train too, and the last epoch is kept
    clean: str = ""  # variant of the features that stands in for the pipeline's
    copies: str = ""  # the same for the augmented copies
    views: int = 0  # disturbed views of a test clip, over which the answer is averaged beside the clip's own


def load_recipe(name: str, model: str, architecture: ModuleType, seed: int, recipes: Path) -> Recipe:
    """`models.<model>` of params.yaml, changed as `recipes.<name>.<model>` says.

    Args:
        name: of the recipe.
        model: name of the architecture.
        architecture: its module.
        seed: of this training; it stands in place of the one in params.yaml.
        recipes: the benchmark's parameter file.

    Raises:
        ser.params.ParamsError: a key of either file is unknown, missing or mistyped.
    """
    training_params = FitParams if hasattr(architecture, "estimator") else TrainParams
    kinds = {"architecture": architecture.Params, "training": training_params, "batches": BatchParams}
    partial = [(kind, _partial(cls), field(default_factory=_partial(cls))) for kind, cls in kinds.items()]
    chosen = [("pool", bool), ("start", bool, field(default=False)), ("choose", bool, field(default=True))]
    chosen += [("clean", str, field(default="")), ("copies", str, field(default="")), ("views", int, field(default=0))]
    change = load_params(f"recipes.{name}.{model}", make_dataclass("Change", [*chosen, *partial]), recipes)
    settings = {}
    for kind, cls in kinds.items():
        given = {item.name: value for item in fields(cls) if (value := getattr(getattr(change, kind), item.name)) is not None}
        settings[kind] = replace(load_params(f"models.{model}.{kind}", cls), **given)
    training = replace(settings["training"], seed=seed)
    own = {item[0]: getattr(change, item[0]) for item in chosen}
    return Recipe(sizes=settings["architecture"], training=training, batches=settings["batches"], **own)


def _partial(cls: type) -> type:
    """The same fields, each of which may be left out."""
    hints = get_type_hints(cls)
    return make_dataclass(cls.__name__, [(item.name, hints[item.name] | None, field(default=None)) for item in fields(cls)])
