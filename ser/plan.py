"""What the benchmark runs: folds of each protocol, recipes and seeds."""

from dataclasses import dataclass
from pathlib import Path

MODELS = ("cnn", "prosody", "hybrid")


@dataclass(frozen=True)
class Plan:
    """Section `run` of the benchmark's parameters."""

    folds: dict[str, tuple[str, ...]]  # by protocol, as are the others
    recipes: dict[str, tuple[str, ...]]
    seeds: dict[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        """Refuse a plan that leaves a protocol without one of them (ValueError)."""
        listed = (self.folds, self.recipes, self.seeds)
        if not self.folds or not all(all(by.values()) and by.keys() == self.folds.keys() for by in listed):
            raise ValueError("folds, recipes and seeds must name the same protocols, and at least one of each for every protocol")


@dataclass(frozen=True)
class Training:
    """One model of one fold."""

    protocol: str
    fold: str
    recipe: str
    seed: int
    model: str

    @property
    def stage(self) -> str:
        """Name of its stage in benchmarks/dvc.yaml."""
        return f"{self.protocol}_{self.model}@{self.fold}-{self.recipe}-{self.seed}"

    @property
    def folder(self) -> Path:
        """Where its outputs lie, below a folder of trained models or of predictions."""
        return Path(self.protocol, self.fold, self.recipe, str(self.seed), self.model)


def trainings(plan: Plan, protocol: str, models: tuple[str, ...] = MODELS) -> list[Training]:
    """All trainings of a protocol, those that others build on first."""
    return [
        Training(protocol, fold, recipe, seed, model)
        for recipe in plan.recipes[protocol]
        for fold in plan.folds[protocol]
        for seed in plan.seeds[protocol]
        for model in models
    ]
