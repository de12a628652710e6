"""Training clips of one corpus to their altered copies."""

import argparse
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ser.arrays import Arrays, write_arrays
from ser.audio import to_float, to_int16
from ser.augment import Augmenter, AugmentParams
from ser.files import read_csv
from ser.parallel import each
from ser.params import load_params
from stages.running import run


@dataclass(frozen=True)
class MakeCopy:
    """One unit of work, sent to the worker processes."""

    augmenter: Augmenter

    def __call__(self, job: tuple[str, int, np.ndarray]) -> tuple[str, np.ndarray]:
        """Parent id, number of the copy and samples, to the copy's id and samples (int16)."""
        parent, copy, samples = job
        return f"{parent}#{copy}", to_int16(self.augmenter(to_float(samples), parent, copy))


def main() -> None:
    """Augment one corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("clean", type=Path, help="store of the corpus' audio")
    parser.add_argument("splits_csv", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--copies", type=int, help="of each clip, in place of the parameters' own number")
    args = parser.parse_args()
    params = load_params("augment", AugmentParams)
    if args.copies is not None and args.copies < 0:
        parser.error(f"--copies must not be negative, got {args.copies}")
    if args.copies is not None:
        params = replace(params, copies=args.copies)

    clean = Arrays(args.clean)
    splits = read_csv(args.splits_csv)
    parents = list(splits.loc[splits["part"] == "train", "id"])
    make_copy = MakeCopy(Augmenter(params, clean.recipe["sampling_rate_hz"]))
    copies = each(
        make_copy, _jobs(clean, parents, params.copies), total=len(parents) * params.copies, name=f"augment {args.corpus}"
    )
    n_copies = write_arrays(args.out, copies, dtype="int16", recipe={**clean.recipe, "augment": asdict(params)})
    logging.info("%s: %d copies of %d training clips", args.corpus, n_copies, len(parents))


def _jobs(clean: Arrays, parents: list[str], copies: int) -> Iterator[tuple[str, int, np.ndarray]]:
    for parent in parents:
        samples = clean[parent]
        yield from ((parent, copy, samples) for copy in range(1, copies + 1))


if __name__ == "__main__":
    run(main)
