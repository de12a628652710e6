"""A finished model as people pass it on: `models/<name>/`, read without Keras, refused when it is not what it says.

A bundle holds `graph.onnx` (what a predictor runs), `model.keras` (what training goes on from, unless scikit-learn fitted
it), `bundle.json` (front-end recipes, normalisation, emotion order, calibration, figures, hashes of the other files),
`card.md`, `history.csv` and `params.json`. No file of it is ever unpickled.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ser.errors import SerError

FORMAT = "ser-bundle"
VERSION = 1
DESCRIPTION = "bundle.json"
GRAPH = "graph.onnx"
MODELS = Path(__file__).parents[1] / "models"  # of the project
RELEASED = "released"
PACKAGED = Path(__file__).parent / RELEASED  # where an installed package has the released model


class BundleError(SerError):
    """A folder is no bundle, or a damaged, foreign or older one."""


def find_bundle(name_or_path: str | None = None) -> Path:
    """Folder of a bundle.

    Args:
        name_or_path: a folder, or the name of one in `models/`. None takes `$SER_MODEL` if it is set, else the released
            model, else the newest in `models/`.

    Raises:
        BundleError: there is none.
    """
    wanted = name_or_path or os.environ.get("SER_MODEL")
    if wanted:
        for folder in (Path(wanted), Path("models") / wanted, MODELS / wanted, PACKAGED.parent / wanted):
            if os.path.isfile(folder / DESCRIPTION):  # also of a name that no file can have
                return folder
        known = ", ".join(sorted(folder.name for folder in known_bundles())) or "none yet"
        raise BundleError(f"no model '{wanted}': give a folder with a {DESCRIPTION}, or one of models/ ({known})")
    folders = known_bundles()
    if not folders:
        raise BundleError("no model in models/: run `make repro` for one trained on the demo corpora, or name one with --model")
    return folders[0]


def known_bundles() -> list[Path]:
    """Folders of all bundles below `models/`, here and in the project: the released one first, then newest first."""
    found: dict[Path, Path] = {}
    for models in (Path("models"), MODELS):
        for path in sorted(models.glob(f"*/{DESCRIPTION}")):
            found.setdefault(path.parent.resolve(), path.parent)
    if (PACKAGED / DESCRIPTION).is_file():
        found.setdefault(PACKAGED.resolve(), PACKAGED)
    return sorted(
        found.values(), key=lambda folder: (folder.name != RELEASED, -(folder / DESCRIPTION).stat().st_mtime, folder.name)
    )


def read_bundle(folder: Path) -> dict[str, Any]:
    """The description of a bundle, every file held to its hash.

    Raises:
        BundleError: a file is missing or damaged, or the folder is of another program or an older format.
    """
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{folder}: no {DESCRIPTION} in it, so it is no model bundle; make one with `dvc repro`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read ({type(error).__name__}); copy the bundle again") from None
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise BundleError(f"{path}: not a description of a {FORMAT}; take a folder that `dvc repro` wrote")
    if description.get("version") != VERSION:
        raise BundleError(
            f"{path}: format {description.get('version')}, this program reads {VERSION}; "
            "make the bundle again with `dvc repro`, or use the version of ser that wrote it"
        )
    if missing := _EXPECTED - description.keys():
        raise BundleError(f"{path}: lacks {', '.join(sorted(missing))}; copy the bundle again")
    files = description["files"]
    if not isinstance(files, dict) or GRAPH not in files:
        raise BundleError(f"{path}: lists no {GRAPH}; copy the bundle again")
    for name, sha256 in files.items():
        if name in {"", ".."} or Path(name).name != name:
            raise BundleError(f"{path}: '{name}' is not a plain file name; the bundle was tampered with")
        _check(folder / name, sha256)
    return description


_EXPECTED = frozenset({"model", "emotions", "inputs", "n_frames", "audio", "calibration", "files"})


def _check(path: Path, sha256: str) -> None:
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        raise BundleError(f"{path}: missing from the bundle; copy the bundle again") from None
    if found != sha256:
        raise BundleError(f"{path}: damaged, its hash is not the one in {DESCRIPTION}; copy the bundle again")
