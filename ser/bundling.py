"""Makes a bundle from what the stages wrote about one model."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ser.audio import AudioParams
from ser.bundle import DESCRIPTION, FORMAT, GRAPH, VERSION
from ser.card import write_card
from ser.export import export_graph
from ser.files import replacing
from ser.prosody import Prosody
from ser.trained import NETWORK, load_description, load_model

_COPIED = (NETWORK, "history.csv", "params.json")


@dataclass(frozen=True)
class Making:
    """What a bundle says beside what its training wrote."""

    audio: AudioParams
    display_prosody: Prosody  # for models that read no prosody themselves
    licences: Mapping[str, str]  # by corpus
    synthetic: bool


def write_bundle(trained: Path, metrics: Mapping[str, Any], making: Making, out: Path) -> None:
    """Write `models/<name>/`.

    Args:
        trained: folder that the training wrote.
        metrics: of this model, as the stage `evaluate` wrote them, and as `shortcut` what `ser.shortcut` found.
        making: the rest.
        out: the bundle.

    Raises:
        TrainedModelError: the trained folder is damaged.
        ExportError: the exported graph does not answer as the network does.
    """
    description, shortcut = load_description(trained), dict(metrics.get("shortcut", {}))
    content = {
        "format": FORMAT,
        "version": VERSION,
        **description,
        "audio": asdict(making.audio),
        "display_prosody": asdict(making.display_prosody),
        "calibration": metrics["calibration"],
        "metrics": _figures(metrics),
        "licences": {corpus: making.licences[corpus] for corpus in description["corpora"]},
        "limits": [*LIMITS, *filter(None, [shortcut.pop("warning", "")])],
        "shortcut": shortcut,
        "synthetic": making.synthetic,
    }
    with replacing(out) as temporary:
        temporary.mkdir()
        export_graph(load_model(trained), temporary / GRAPH)
        for name in (name for name in _COPIED if (trained / name).exists()):  # no network where scikit-learn fitted the model
            shutil.copyfile(trained / name, temporary / name)
        content["files"] = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        (temporary / DESCRIPTION).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        write_card(temporary / "card.md", content)
    size = sum(path.stat().st_size for path in out.iterdir())
    logging.getLogger(__name__).info("%s: bundle of %.1f MB", out, size / 1e6)


LIMITS = (
    "Trained on acted speech of few speakers; spontaneous emotion is weaker and more mixed, so expect worse there.",
    "Few languages: the accent, the language and the recording chain change its answers.",
    "It hears how something is said, not what is meant; a label is a guess about a voice, not about a person.",
    "Not for inferring the emotions of people at work or in education: Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), "
    "prohibits that in the Union.",
)


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The honest part of the metrics: test scores on unheard speakers, by corpus, with their intervals."""
    test = metrics["test"]
    kept = ("uar", "uar_low", "uar_high", "accuracy", "n", "n_speakers", "interval_over_clips")
    return {
        "test": {
            "per_corpus": {
                corpus: {name: scores[name] for name in kept if name in scores} for corpus, scores in test["corpora"].items()
            },
            "mean_of_corpora": test["macro_over_corpora"],
            "enrolled": test.get("enrolled", {}),
            "speakers_heard_in_training": metrics["test_speakers_heard_in_training"],
        },
        "validation": metrics.get("validation", {}).get("macro_over_corpora", {}),
    }


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
