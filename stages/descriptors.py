"""Stage `descriptors`: one feature set of one variant of one corpus, signals to rows or frames."""

import argparse
import logging
from pathlib import Path

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float
from ser.descriptors import Descriptors
from ser.parallel import each
from ser.params import load_params
from stages.running import run


def main() -> None:
    """Read a store of signals, write one of descriptors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", help="name of the feature set, a section of params.yaml")
    parser.add_argument("audio", type=Path, help="audio store, such as data/audio/clean/ravdess")
    parser.add_argument("out", type=Path, help="folder to write, such as data/features/r0/clean/ravdess")
    args = parser.parse_args()
    front_end = load_params(args.set, Descriptors)
    audio = Arrays(args.audio)
    values = each(Extraction(front_end, audio), audio.ids, total=len(audio), name=f"{args.set} {args.audio.name}")
    n = write_arrays(args.out, values, dtype="float32", recipe=front_end.recipe, columns=front_end.names)
    logging.info("%s: %s of %d utterances, %d columns", args.out, args.set, n, len(front_end.names))


class Extraction:
    """Id to (id, descriptors), sent to worker processes."""

    def __init__(self, front_end: Descriptors, audio: Arrays) -> None:
        self.front_end, self.audio = front_end, audio

    def __call__(self, name: str):
        """Descriptors of one stored utterance."""
        return name, self.front_end(to_float(self.audio[name]), self.audio.recipe["sampling_rate_hz"])


if __name__ == "__main__":
    run(main)
