"""Stage `spectrogram`: one variant of one corpus, signals to log-mel arrays."""

import argparse
import logging
from dataclasses import asdict
from pathlib import Path

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float
from ser.parallel import each
from ser.params import load_params
from ser.spectrogram import Spectrogram
from stages.running import run


def main() -> None:
    """Read a store of signals, write one of spectrograms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audio", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    front_end = load_params("spectrogram", Spectrogram)
    audio = Arrays(args.audio)
    extract = Extraction(front_end, audio)
    values = each(extract, audio.ids, total=len(audio), name=f"spectrogram {args.out.parent.name}/{args.out.name}")
    recipe = {"name": "spectrogram", "fields": asdict(front_end)}
    n = write_arrays(args.out, values, dtype="float16", recipe=recipe, columns=front_end.band_names)
    logging.info("%s: spectrograms of %d utterances, %d bands", args.out, n, len(front_end.band_names))


class Extraction:
    """Id to (id, spectrogram), sent to worker processes."""

    def __init__(self, front_end: Spectrogram, audio: Arrays) -> None:
        self.front_end, self.audio = front_end, audio

    def __call__(self, name: str):
        """Spectrogram of one stored utterance."""
        return name, self.front_end(to_float(self.audio[name]))


if __name__ == "__main__":
    run(main)
