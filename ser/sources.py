"""Where the corpora lie and which of them are used."""

from dataclasses import dataclass
from pathlib import PurePath

DEMO_ROOT = "data/demo"
DEMO_CORPORA = ("ravdess", "crema_d", "tess", "emodb", "iesc")  # those the demo stage can make


@dataclass(frozen=True)
class CorporaParams:
    """The corpora root, the corpora under it to use, and which of speech and song."""

    root: str
    use: tuple[str, ...]
    channels: tuple[str, ...] = ("speech",)

    def __post_init__(self) -> None:
        if not self.use:
            raise ValueError("use must name at least one corpus")
        if len(set(self.use)) < len(self.use):
            raise ValueError(f"use names a corpus twice: {', '.join(self.use)}")
        if not self.channels or not set(self.channels) <= {"speech", "song"}:
            raise ValueError(f"channels must be taken from speech, song; got {', '.join(self.channels) or 'none'}")

    @property
    def synthetic(self) -> bool:
        """Whether the root is the demo folder, so that every result must say it comes from synthetic demo voices."""
        return is_demo(self.root)


def is_demo(root: str) -> bool:
    """Whether a corpora root is the demo folder."""
    return PurePath(root) == PurePath(DEMO_ROOT)
