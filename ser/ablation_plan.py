"""What the ablation trains: one model with one change at a time, on some folds of a protocol."""

from collections.abc import Sequence
from dataclasses import dataclass

from ser.plan import Training

NAME = "ablation"


@dataclass(frozen=True)
class AblationPlan:
    """Section `ablation` of the benchmark's parameters."""

    protocol: str
    folds: tuple[str, ...]
    seeds: tuple[int, ...]
    against: str  # the recipe that the changes depart from; the protocol's own trainings
    changes: dict[str, tuple[str, ...]]  # recipes by model
    titles: dict[str, str]  # what each recipe changes, in words

    def __post_init__(self) -> None:
        """Refuse an empty plan, and a change without a title (ValueError)."""
        if not self.folds or not self.seeds or not any(self.changes.values()):
            raise ValueError("folds, seeds and changes must name at least one")
        recipes = [recipe for listed in self.changes.values() for recipe in listed]
        if untitled := [recipe for recipe in recipes if recipe not in self.titles]:
            raise ValueError(f"titles must say what {untitled[0]} changes")


@dataclass(frozen=True)
class AblationTraining(Training):
    """One model of one fold; its stage is apart from the protocol's, its folders lie beside theirs."""

    @property
    def stage(self) -> str:
        """Name of its stage."""
        return f"{NAME}_{self.model}@{self.fold}-{self.recipe}-{self.seed}"


def ablation_trainings(plan: AblationPlan, models: Sequence[str] | None = None) -> list[AblationTraining]:
    """All trainings, or those of some models; those that they are compared with belong to the protocol."""
    return [
        AblationTraining(plan.protocol, fold, recipe, seed, model)
        for model, recipes in plan.changes.items()
        for recipe in recipes
        for fold in plan.folds
        for seed in plan.seeds
        if models is None or model in models
    ]
