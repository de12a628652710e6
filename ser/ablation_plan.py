"""What the ablation trains: groups of changes, each against one recipe on some folds of one protocol."""

from collections.abc import Collection
from dataclasses import dataclass, field
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
    beneath: dict[str, tuple[str, ...]] = field(default_factory=dict)  # likewise, of no interest but to the hybrids above them

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
        return list(dict.fromkeys(model for group in self.groups.values() for model in (*group.changes, *group.beneath)))


@dataclass(frozen=True)
class AblationTraining(Training):
    """One model of one fold; its stage is apart from the protocol's, its folders lie beside theirs."""

    group: str

    @property
    def stage(self) -> str:
        """Name of its stage."""
        return f"{NAME}_{self.group}_{self.model}@{self.fold}-{self.recipe}-{self.seed}"


def ablation_trainings(
    plan: AblationPlan, models: Collection[str] | None = None, groups: Collection[str] | None = None
) -> list[Training]:
    """All trainings, or those of some models or groups, each once: what several groups ask for belongs to the first of them.

    First what the changes are compared with; where no group has it among its changes, it belongs to the protocol.
    """
    changed = [
        AblationTraining(group.protocol, fold, recipe, seed, model, name)
        for name, group in plan.groups.items()
        for recipes_by_model in (group.changes, group.beneath)
        for model, recipes in recipes_by_model.items()
        for recipe in recipes
        for fold in group.folds
        for seed in group.seeds
    ]
    owned: dict[Path, Training] = {}
    for training in changed:
        owned.setdefault(training.folder, training)  # two stages with the same outputs are refused by DVC
    asked = [training for training in changed if groups is None or training.group in groups]
    departed = [
        Training(training.protocol, training.fold, plan.groups[training.group].against, training.seed, training.model)
        for training in asked
        if training.model in plan.groups[training.group].changes
    ]
    once = {training.folder: owned.get(training.folder, training) for training in [*departed, *asked]}
    return [training for training in once.values() if models is None or training.model in models]
