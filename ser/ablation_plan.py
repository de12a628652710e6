"""What the ablation trains: groups of changes, each against one recipe on some folds of one protocol."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ser.plan import Training

NAME = "ablation"


@dataclass(frozen=True)
class AblationGroup:
    """One comparison: changes that depart from the same recipe, on the same folds and seeds."""

    title: str  # heading of its section in the document
    protocol: str
    folds: tuple[str, ...]
    seeds: tuple[int, ...]
    against: str  # the recipe departed from; it is trained elsewhere unless it stands among the changes
    changes: dict[str, tuple[str, ...]]  # recipes by model

    def __post_init__(self) -> None:
        """Refuse a group that compares nothing (ValueError)."""
        if not self.folds or not self.seeds or not any(map(self.compared, self.changes)):
            raise ValueError("folds, seeds and changes must name at least one")

    def compared(self, model: str) -> tuple[str, ...]:
        """The changes of a model in order, each once, without the recipe they are held against."""
        return tuple(dict.fromkeys(recipe for recipe in self.changes[model] if recipe != self.against))


@dataclass(frozen=True)
class AblationPlan:
    """Section `ablation` of the benchmark's parameters."""

    groups: dict[str, AblationGroup]  # by the name that their entries in benchmarks/dvc.yaml have
    titles: dict[str, str]  # what each recipe changes, in words

    def __post_init__(self) -> None:
        """Refuse an empty plan, and a change without a title (ValueError)."""
        if not self.groups:
            raise ValueError("groups must name at least one")
        recipes = [recipe for group in self.groups.values() for model in group.changes for recipe in group.compared(model)]
        if untitled := [recipe for recipe in recipes if recipe not in self.titles]:
            raise ValueError(f"titles must say what {untitled[0]} changes")

    @property
    def models(self) -> list[str]:
        """Names of all models that some group changes, each once."""
        return list(dict.fromkeys(model for group in self.groups.values() for model in group.changes))


@dataclass(frozen=True)
class AblationTraining(Training):
    """One model of one fold; its stage is apart from the protocol's, its folders lie beside theirs."""

    group: str

    @property
    def stage(self) -> str:
        """Name of its stage."""
        return f"{NAME}_{self.group}_{self.model}@{self.fold}-{self.recipe}-{self.seed}"


def ablation_trainings(plan: AblationPlan, models: Sequence[str] | None = None) -> list[AblationTraining]:
    """All trainings, or those of some models, each once: what several groups ask for belongs to the first of them.

    What the changes are compared with belongs to the protocol, or to a group that has it among its changes.
    """
    every = [
        AblationTraining(group.protocol, fold, recipe, seed, model, name)
        for name, group in plan.groups.items()
        for model, recipes in group.changes.items()
        for recipe in recipes
        for fold in group.folds
        for seed in group.seeds
        if models is None or model in models
    ]
    first: dict[Path, AblationTraining] = {}
    for training in every:
        first.setdefault(training.folder, training)  # two stages with the same outputs are refused by DVC
    return list(first.values())
