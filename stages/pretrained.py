"""Stage `pretrained`: embeddings of one variant of one corpus, signals to one row each."""

import argparse
import json
import logging
from pathlib import Path

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float
from ser.parallel import each
from ser.pretrained import Pretrained
from stages.running import run


def main() -> None:
    """Read a store of signals, write one of embeddings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", type=Path, help="what the stage `encoder` wrote, such as data/encoders/pretrained.json")
    parser.add_argument("audio", type=Path, help="audio store, such as data/audio/clean/ravdess")
    parser.add_argument("out", type=Path, help="folder to write, such as data/features/pretrained/clean/ravdess")
    args = parser.parse_args()
    front_end = Pretrained.from_fields(json.loads(args.encoder.read_text(encoding="utf-8"))["fields"])
    audio = Arrays(args.audio)
    values = each(Extraction(front_end, audio), audio.ids, total=len(audio), name=f"{args.encoder.stem} {args.audio.name}")
    n = write_arrays(args.out, values, dtype="float32", recipe=front_end.recipe, columns=front_end.names)
    logging.info("%s: embeddings of %d utterances, %d columns", args.out, n, len(front_end.names))


class Extraction:
    """Id to (id, embedding), sent to worker processes."""

    def __init__(self, front_end: Pretrained, audio: Arrays) -> None:
        self.front_end, self.audio = front_end, audio

    def __call__(self, name: str):
        """Embedding of one stored utterance."""
        return name, self.front_end(to_float(self.audio[name]), self.audio.recipe["sampling_rate_hz"])


if __name__ == "__main__":
    run(main)
