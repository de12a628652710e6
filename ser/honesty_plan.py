"""What the honesty report trains: folds by model, and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from ser.honesty import HonestyError, honesty_fold
from ser.plan import Training

NAME = "honesty"  # in place of a protocol's, in paths and stage names
AS_USUAL, COPIES_AS_ROWS = "alone", "copies_as_rows"  # recipes


@dataclass(frozen=True)
class HonestyPlan:
    """Section `honesty` of the benchmark's parameters."""

    seeds: tuple[int, ...]
    folds: dict[str, tuple[str, ...]]  # by model, those that others build on first; a model without any is left out
    copies: dict[str, tuple[str, ...]]  # the same for the folds whose rows hold augmented copies already

    def __post_init__(self) -> None:
        """Refuse an empty plan (ValueError) and folds that there are not, or in the wrong list (HonestyError)."""
        if not self.seeds or not self.every_fold:
            raise ValueError("seeds and folds must name at least one")
        for listed, of_copies in ((self.folds, False), (self.copies, True)):
            for name in (name for names in listed.values() for name in names):
                if (honesty_fold(name).protocol == "copies") != of_copies:
                    raise HonestyError(f"honesty: {name} stands in the wrong list of benchmarks/params.yaml, folds or copies")

    @property
    def every_fold(self) -> list[str]:
        """Names of all folds that some model runs, each once."""
        return list(dict.fromkeys(name for listed in (self.folds, self.copies) for names in listed.values() for name in names))


@dataclass(frozen=True)
class HonestyTraining(Training):
    """One model of one fold; the folds of copies have entries of their own in benchmarks/dvc.yaml, since their recipe differs."""

    @property
    def stage(self) -> str:
        """Name of its stage."""
        entry = f"{NAME}_copies" if self.recipe == COPIES_AS_ROWS else NAME
        return f"{entry}_{self.model}@{self.fold}-{self.recipe}-{self.seed}"


def honesty_trainings(plan: HonestyPlan, models: Sequence[str] | None = None) -> list[HonestyTraining]:
    """All trainings, or those of some models; those that others build on first."""
    return [
        HonestyTraining(NAME, fold, recipe, seed, model)
        for recipe, listed in ((AS_USUAL, plan.folds), (COPIES_AS_ROWS, plan.copies))
        for seed in plan.seeds
        for model, folds in listed.items()
        for fold in folds
        if models is None or model in models
    ]
