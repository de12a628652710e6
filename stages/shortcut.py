"""Stage `shortcut`: does a model read the voice, or the microphone?"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ser.bootstrap import SpeakerBootstrap
from ser.evaluation import HELD_OUT, rounded
from ser.features import Clip
from ser.files import read_csv, write_json
from ser.inference import Scorer, predict
from ser.params import load_params
from ser.shortcut import (
    FORM,
    TARGETS,
    PausesOnly,
    ShortcutParams,
    edge_kept,
    embeddings,
    has_embedding,
    pause_features,
    probe,
    warning,
)
from ser.sources import CorporaParams
from stages.running import run


def main() -> None:
    """Write one model's report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name, for the log")
    for name in ("cleaned_csv", "features_dir", "model_dir", "report_json"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    params, bootstrap = load_params("shortcut", ShortcutParams), load_params("evaluate", SpeakerBootstrap)

    scorer = Scorer(args.model_dir, args.features_dir)
    clips = read_csv(args.cleaned_csv)
    held_out = clips[clips["split"].isin(HELD_OUT)].reset_index(drop=True)
    named = [Clip(*row) for row in zip(held_out["id"], held_out["corpus"], strict=True)]
    read_from = {"form of the file": (held_out[list(FORM)].to_numpy(dtype=float), held_out)}
    if has_embedding(scorer.model):
        inner = embeddings(scorer.model, named, scorer.features, scorer.description["n_frames"])
        read_from = {"embedding": (inner, held_out), **read_from}
    paused: list[Clip] = []
    if "spectrogram" in scorer.description["inputs"]:
        between_words = PausesOnly(scorer.features, params.pause_db)
        has_pauses = np.array([between_words.has(clip) for clip in named])
        paused = [clip for clip, has in zip(named, has_pauses, strict=True) if has]
    if paused:
        spectra = np.stack([pause_features(scorer.features.get("spectrogram", clip), params.pause_db) for clip in paused])
        read_from["pauses"] = (spectra, held_out[has_pauses].reset_index(drop=True))
    report = {
        "synthetic_demo_voices": int(load_params("corpora", CorporaParams).synthetic),
        "probes": {
            source: {target: found for target in TARGETS if (found := probe(x, rows, target, bootstrap, params.seed))}
            for source, (x, rows) in read_from.items()
        },
    }
    if paused:
        report["pauses_alone"] = _pauses_alone(scorer, held_out[has_pauses], paused, between_words)
    report["warning"] = warning(report, params)
    write_json(args.report_json, rounded(report))
    logging.info("%s: %s", args.model, report["warning"] or "what lies between the words does not carry its answers")


def _pauses_alone(scorer: Scorer, rows: pd.DataFrame, clips: list[Clip], between_words: PausesOnly) -> dict[str, float]:
    emotions = scorer.description["emotions"]
    kinds = [tensor.name for tensor in scorer.model.inputs]
    truth = rows["emotion"].map({name: code for code, name in enumerate(emotions)}).to_numpy()
    whole = scorer.probabilities(clips).argmax(axis=1)
    heard = predict(scorer.model, clips, between_words, kinds, scorer.description["n_frames"]).argmax(axis=1)
    return edge_kept(truth, whole, heard, len(emotions))


if __name__ == "__main__":
    run(main)
