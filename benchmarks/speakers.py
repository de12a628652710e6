"""What voices and microphones do to a result, corpus by corpus: one JSON and docs/speakers.md."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ser.arrays import Arrays
from ser.evaluation import rounded
from ser.files import read_csv, replacing, write_json
from ser.filterbanks import mel_basis
from ser.inference import Enrolment
from ser.params import load_params
from ser.sources import CorporaParams
from ser.speaker_effects import chain, one_speaker_out, summary, variance_shares
from ser.speaker_effects_document import as_markdown
from ser.spectrogram import Spectrogram
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")
SHOWN = "iesc"  # whose speakers are listed one by one


def main() -> None:
    """Measure every corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("clips_csv", "features", "out_json", "document"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    enrolment = load_params("enrolment", Enrolment, PARAMS)
    band_hz = _band_hz(load_params("spectrogram", Spectrogram))
    corpora = load_params("corpora", CorporaParams)
    clips = read_csv(args.clips_csv)

    content = {
        "synthetic_demo_voices": int(corpora.synthetic),
        "enrolment_clips": enrolment.clips,
        "shown": SHOWN if SHOWN in corpora.use else corpora.use[0],
        "corpora": {name: _corpus(name, clips, args.features, band_hz, enrolment) for name in corpora.use},
    }
    write_json(args.out_json, rounded(content))
    with replacing(args.document) as temporary:
        temporary.write_text(as_markdown(content), encoding="utf-8")


def _corpus(name: str, clips: pd.DataFrame, features: Path, band_hz: np.ndarray, enrolment: Enrolment) -> dict[str, Any]:
    own = clips[clips["corpus"] == name].sort_values("id")
    measured, heard = (Arrays(features / kind / "clean" / name) for kind in ("prosody", "spectrogram"))
    rows = np.stack([np.ravel(measured[clip]) for clip in own["id"]]).astype(float)
    columns = [chain(np.asarray(heard[clip], np.float32)[:, : len(band_hz)], band_hz) for clip in own["id"]]
    chains = pd.DataFrame(columns).groupby(own["speaker"].to_numpy()).median().to_dict("index")
    by_speaker = one_speaker_out(rows, own["speaker"], own["emotion"], enrolment)
    return {
        "variance": variance_shares(rows, own["speaker"], own["emotion"]),
        "uar": summary(by_speaker),
        "speakers": {speaker: chains[speaker] | scores for speaker, scores in by_speaker.items()},
    }


def _band_hz(spectrogram: Spectrogram) -> np.ndarray:
    """Where each mel band is most sensitive."""
    rate, n_fft = spectrogram.sampling_rate_hz, spectrogram.n_fft
    basis = mel_basis(rate, n_fft, spectrogram.n_mels, spectrogram.minimum_hz, spectrogram.maximum_hz)
    return basis.argmax(axis=basis.shape.index(n_fft // 2 + 1)) * rate / n_fft


if __name__ == "__main__":
    run(main)
