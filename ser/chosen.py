"""Which models the pipeline makes, and which further feature sets and embeddings it extracts for them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Chosen:
    """Section `pipeline` of params.yaml, which dvc.yaml fans out over."""

    feature_sets: tuple[str, ...]
    models: dict[str, dict[str, str]]  # by name, paths of what must be there before its training
    encoders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty pipeline (ValueError)."""
        if not self.models:
            raise ValueError("models must name at least one")
