"""Options that several commands share, and what they stand for."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ser.predictor import Predictor
    from ser.profile import Profile


class ModelName(click.ParamType):
    """A model below `models/`, or a folder; completed by the names there are."""

    name = "name or folder"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names of the models here, or folders where no name fits."""
        from ser.bundle import known_bundles

        names = [folder.name for folder in known_bundles()]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)] or [CompletionItem(incomplete, type="dir")]


_MODEL_HELP = "A name below models/, or a folder. Without it $SER_MODEL, else models/released, else the newest below models/."

model_option = click.option("--model", type=ModelName(), help=_MODEL_HELP)
models_option = click.option("--model", "models", multiple=True, type=ModelName(), help=f"{_MODEL_HELP} Repeat it to compare.")
profile_option = click.option(
    "--profile",
    "profile_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What is known of the speaker, as `ser enroll` wrote it for the same model.",
)


def load_predictor(name: str | None, threads: int = 1) -> "Predictor":
    """The predictor of `--model`.

    Raises:
        ser.bundle.BundleError: no such model, or a damaged one.
    """
    from ser.bundle import find_bundle
    from ser.predictor import Predictor

    return Predictor.load(find_bundle(name), threads)


def load_profile(path: Path | None, predictor: "Predictor") -> "Profile | None":
    """The profile of `--profile`.

    Raises:
        ser.profile.ProfileError: missing, damaged, or made with another model.
    """
    if path is None:
        return None
    from ser.profile import Profile

    return Profile.load(path, predictor)


def names_of(folders: Sequence[Path]) -> list[str]:
    """What to call the models: their folders' names, or the whole paths where those would be the same."""
    names = [Path(os.path.abspath(folder)).name for folder in folders]  # `.` has a name too
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def trained_on(predictor: "Predictor") -> str:
    """The corpora, or that there were none."""
    description = predictor.description
    return "synthetic demo voices" if description.get("synthetic") else ", ".join(description.get("corpora", ())) or "unknown"
