"""What the benchmark runs: folds of each protocol, recipes and seeds."""

from dataclasses import dataclass
from pathlib import Path

MODELS = ("cnn", "prosody", "hybrid")


@dataclass(frozen=True)
class Plan:
    """Section `run` of the benchmark's parameters."""

    folds: dict[str, tuple[str, ...]]  # by protocol
    recipes: tuple[str, ...]
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse an empty plan (ValueError)."""
        if not self.folds or not all(self.folds.values()) or not self.recipes or not self.seeds:
            raise ValueError("folds (of every protocol), recipes and seeds must each name at least one")


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
        for recipe in plan.recipes
        for fold in plan.folds[protocol]
        for seed in plan.seeds
        for model in models
    ]
