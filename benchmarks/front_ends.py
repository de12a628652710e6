"""Another spectrogram than the pipeline's, for the ablation: more bands, or several windows, one above the other in the bands."""

import argparse
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float
from ser.parallel import each
from ser.params import load_params
from ser.spectrogram import Spectrogram
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


@dataclass(frozen=True)
class FrontEnd:
    """How a front end departs from the pipeline's."""

    n_mels: int
    windows_s: tuple[float, ...]  # the first decides what is cut as silence

    def __post_init__(self) -> None:
        """Refuse a front end without a window (ValueError)."""
        if not self.windows_s:
            raise ValueError("windows_s must name at least one")


@dataclass(frozen=True)
class Extraction:
    """Id to (id, stacked spectrograms), sent to worker processes."""

    spectrograms: tuple[Spectrogram, ...]
    audio: Arrays

    def __call__(self, name: str) -> tuple[str, np.ndarray]:
        """Spectrograms of one stored utterance over the same frames: (frames, windows * bands)."""
        signal = to_float(self.audio[name])
        first, *others = self.spectrograms
        frames, start = first.trimmed(signal)
        whole = [replace(other, trim_db=1000.0)(signal)[start : start + len(frames)] for other in others]
        return name, np.concatenate([frames, *whole], axis=1)


def main() -> None:
    """Read a store of signals, write one of spectrograms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of benchmarks/params.yaml, front_ends")
    parser.add_argument("audio", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    base = load_params("spectrogram", Spectrogram)
    change = load_params(f"front_ends.{args.name}", FrontEnd, PARAMS)
    spectrograms = tuple(replace(base, n_mels=change.n_mels, window_s=window_s) for window_s in change.windows_s)
    audio = Arrays(args.audio)
    values = each(Extraction(spectrograms, audio), audio.ids, total=len(audio), name=f"{args.name} {args.out.name}")
    recipe = {"name": args.name, "fields": [asdict(spectrogram) for spectrogram in spectrograms]}
    names = [f"{n}_{band}" for n, spectrogram in enumerate(spectrograms) for band in spectrogram.band_names]
    n = write_arrays(args.out, values, dtype="float16", recipe=recipe, columns=names)
    logging.info("%s: %s of %d utterances, %d bands", args.out, args.name, n, len(names))


if __name__ == "__main__":
    run(main)
