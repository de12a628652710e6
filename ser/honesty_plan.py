"""What the honesty report trains: folds by model, and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from ser.honesty import HonestyError, honesty_fold
from ser.plan import Training

NAME = "honesty"  # in place of a protocol's, in paths and stage names
AS_USUAL, COPIES_AS_ROWS, LONGER = "alone", "copies_as_rows", "longer"  # recipes
_ENTRIES = {AS_USUAL: NAME, COPIES_AS_ROWS: f"{NAME}_copies", LONGER: f"{NAME}_longer"}  # of benchmarks/dvc.yaml


@dataclass(frozen=True)
class HonestyPlan:
    """Section `honesty` of the benchmark's parameters."""

    seeds: tuple[int, ...]
    folds: dict[str, tuple[str, ...]]  # by model, those that others build on first; a model without any is left out
    copies: dict[str, tuple[str, ...]]  # the same for the folds whose rows hold augmented copies already
    longer: dict[str, tuple[str, ...]]  # the same for folds that run a second time, with another recipe

    @property
    def by_recipe(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Folds by model, of each recipe."""
        return {AS_USUAL: self.folds, COPIES_AS_ROWS: self.copies, LONGER: self.longer}

    def __post_init__(self) -> None:
        """Refuse an empty plan (ValueError) and folds that there are not, or in the wrong list (HonestyError)."""
        if not self.seeds or not self.every_fold:
            raise ValueError("seeds and folds must name at least one")
        for recipe, listed in self.by_recipe.items():
            for name in (name for names in listed.values() for name in names):
                if (honesty_fold(name).protocol == "copies") != (recipe == COPIES_AS_ROWS):
                    raise HonestyError(f"honesty: {name} stands in the wrong list of benchmarks/params.yaml, folds or copies")

    @property
    def every_fold(self) -> list[str]:
        """Names of all folds that some model runs, each once."""
        return list(dict.fromkeys(name for listed in self.by_recipe.values() for names in listed.values() for name in names))


@dataclass(frozen=True)
class HonestyTraining(Training):
    """One model of one fold; each recipe has entries of its own in benchmarks/dvc.yaml."""

    @property
    def stage(self) -> str:
        """Name of its stage."""
        return f"{_ENTRIES[self.recipe]}_{self.model}@{self.fold}-{self.recipe}-{self.seed}"

    @property
    def label(self) -> str:
        """What the report calls the model: by its name, and by the recipe too where a fold has run with two."""
        return f"{self.model}_{LONGER}" if self.recipe == LONGER else self.model


def honesty_trainings(plan: HonestyPlan, models: Sequence[str] | None = None) -> list[HonestyTraining]:
    """All trainings, or those of some models; those that others build on first."""
    return [
        HonestyTraining(NAME, fold, recipe, seed, model)
        for recipe, listed in plan.by_recipe.items()
        for seed in plan.seeds
        for model, folds in listed.items()
        for fold in folds
        if models is None or model in models
    ]
