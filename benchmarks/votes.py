"""What listeners heard in CREMA-D's clips by voice alone, as soft targets for the ablation.

The corpus' summaryTable.csv names the emotion that most listeners heard, or several in a tie, not each one's share; so a clip's
distribution is even over those that it names. (Cao et al., IEEE Transactions on Affective Computing 2014.)
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import pandas as pd

from ser.emotions import CANONICAL
from ser.errors import SerError
from ser.files import read_csv
from ser.soft_targets import write_soft
from stages.running import run

_EMOTIONS = {"A": "angry", "D": "disgust", "F": "fear", "H": "happy", "N": "neutral", "S": "sad"}
_VOTE = "VoiceVote"


def main() -> None:
    """Write the votes of the clips that the benchmark has."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crema_d", type=Path, help="folder of the corpus")
    parser.add_argument("clips_csv", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    path = args.crema_d / "summaryTable.csv"
    try:
        votes = pd.read_csv(path, dtype=str, keep_default_na=False).set_index("FileName")[_VOTE]
    except FileNotFoundError:
        raise SerError(f"{path}: no such file; it comes with CREMA-D, beside the folder of its clips") from None
    except KeyError as error:
        raise SerError(f"{path}: no column {error}; take the file that comes with CREMA-D") from None
    clips = read_csv(args.clips_csv)
    if unknown := sorted({letter for vote in votes if vote for letter in vote.split(":")} - set(_EMOTIONS)):
        raise SerError(f"{path}: {_VOTE} holds '{unknown[0]}', and is known to hold {', '.join(_EMOTIONS)} alone")
    ids = [name for name in clips.loc[clips["corpus"] == "crema_d", "id"] if votes.get(name.rsplit("/", 1)[1])]
    heard = [votes[name.rsplit("/", 1)[1]].split(":") for name in ids]
    shares = np.array([[emotion in {_EMOTIONS[letter] for letter in letters} for emotion in CANONICAL] for letters in heard])
    labels = clips.set_index("id").loc[ids, "emotion"]
    agree = np.mean([label in {_EMOTIONS[letter] for letter in letters} for label, letters in zip(labels, heard, strict=True)])
    write_soft(args.out, ids, shares / shares.sum(axis=1, keepdims=True), CANONICAL)
    logging.info("votes on %d clips; listeners heard the acted emotion in %.1f %%", len(ids), 100 * agree)


if __name__ == "__main__":
    run(main)
