"""Where a pretrained encoder lies, and what it is by its content: the files that decide its output, and their hash.

Nothing else of a folder or repository is ever read: no pickled weights, no code.
"""

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from ser.errors import SerError

GRAPH, SETTINGS = "model.onnx", "preprocessor_config.json"
OVERRIDE = "SER_ENCODER"  # where this machine has the encoder, if not where the bundle says
_NAME_ANOTHER = "; take another source, and with a name on the Hugging Face hub its revision"
_WEIGHTS = ("model.safetensors", "model-*-of-*.safetensors")
_HUGGING_FACE = ("config.json", SETTINGS, "processor_config.json", "model.safetensors.index.json", *_WEIGHTS)


class EncoderError(SerError):
    """A pretrained encoder is missing, is none, has changed, or lacks the libraries that run it."""


def fetch(source: str, revision: str | None) -> dict[str, Path]:
    """The files of an encoder, downloaded first if it is on the Hugging Face hub: the one place that does.

    The hub's library shows its progress, and decides where they are kept (`HF_HOME`) and whether it may ask at all
    (`HF_HUB_OFFLINE`).

    Args:
        source: a folder that `save_pretrained` wrote, an .onnx file, or with a revision the name of a repository on the hub.
        revision: a commit, tag or branch of the repository; None for a path.

    Raises:
        EncoderError: as `find`, or the download failed.
    """
    if revision is None:
        return _files(Path(source))
    logging.getLogger(__name__).info("%s at %s: fetched from the Hugging Face hub, unless it is here already", source, revision)
    return _folder_files(_snapshot(source, revision, local_files_only=False), source)


def find(source: str, revision: str | None) -> dict[str, Path]:
    """The files of an encoder on this machine, by the names that the hash knows them under.

    Where `SER_ENCODER` names a folder or an .onnx file, that is taken instead: what counts is the content.

    Args:
        source: as of `fetch`.
        revision: as of `fetch`.

    Raises:
        EncoderError: nothing is there, or it is no encoder.
    """
    if elsewhere := os.environ.get(OVERRIDE):
        return _files(Path(elsewhere), f"; {OVERRIDE} says so")
    if revision is None:
        return _files(Path(source), f"; where it is on this machine can be said with {OVERRIDE}")
    return _folder_files(_snapshot(source, revision, local_files_only=True), source)


def content_hash(files: Mapping[str, Path]) -> str:
    """SHA-256 over the names and contents of an encoder's files, wherever they lie."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        with open(path, "rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def reason(error: Exception) -> str:
    """Class and first line of another library's error, short enough for a sentence."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]:.160}"


def _snapshot(name: str, revision: str, *, local_files_only: bool) -> Path:
    try:
        import huggingface_hub
    except ImportError:
        raise EncoderError(
            f"{name} is on the Hugging Face hub, whose library is not here; pip install 'ser[pretrained]'"
        ) from None
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(_HUGGING_FACE), local_files_only=local_files_only
        )
    except Exception as error:  # the hub's own classes, and whatever its HTTP client of the day raises
        if local_files_only:
            raise EncoderError(
                f"{name} at {revision}: not on this machine; fetch it with `hf download {name} --revision {revision}`, or say "
                f"with {OVERRIDE} where it is"
            ) from None
        raise EncoderError(
            f"{name} at {revision}: cannot be fetched ({reason(error)}); look at the name, the revision and the network"
        ) from None
    return Path(found)


def _files(path: Path, way_out: str = _NAME_ANOTHER) -> dict[str, Path]:
    path = path.expanduser()
    if path.suffix == ".onnx" and path.is_file():
        settings = path.with_name(SETTINGS)
        return {GRAPH: path} | ({SETTINGS: settings} if settings.is_file() else {})
    if not path.is_dir():
        raise EncoderError(f"{path}: no such folder or .onnx file{way_out}")
    return _folder_files(path, str(path))


def _folder_files(folder: Path, shown: str) -> dict[str, Path]:
    files = {path.name: path for pattern in _HUGGING_FACE for path in sorted(folder.glob(pattern)) if path.is_file()}
    if "config.json" not in files:
        raise EncoderError(f"{shown}: no config.json in it, so it is no Hugging Face encoder; an ONNX file is named by its path")
    if not any(name.endswith(".safetensors") for name in files):
        raise EncoderError(
            f"{shown}: no model.safetensors in it; weights in a pickle (pytorch_model.bin) are never loaded, since that can run "
            "code. Take a revision with safetensors, or convert it once (docs/pretrained.md)"
        )
    return files
