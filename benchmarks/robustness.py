"""What a bundle answers about noisy, soft, telephoned, coded, short and reverberant test clips.

`python -m benchmarks.run robustness` asks the first pipeline's hybrid.

    python -m benchmarks.robustness models/released data/cleaned_data.csv data/audio/clean robustness.json

asks another bundle. It has to be of the same split: the test speakers of another one may have trained it.
"""

import argparse
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ser.arrays import Arrays
from ser.audio import AudioError, to_float
from ser.bootstrap import SpeakerBootstrap
from ser.files import read_csv, write_json
from ser.parallel import each
from ser.params import load_params
from ser.predictor import Predictor
from ser.robustness import Key, RobustnessError, RobustnessParams, disturbed, sample
from ser.robustness_scores import Answer, report
from ser.sources import CorporaParams
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")


@dataclass(frozen=True)
class Ask:
    """One unit of work, sent to the worker processes."""

    bundle: Path
    params: RobustnessParams

    def __call__(self, job: tuple[str, np.ndarray]) -> dict[Key, Answer]:
        """A clip's id and samples (int16) to what is answered in each condition."""
        clip_id, samples = job
        predictor = _predictor(self.bundle)
        rate_hz = predictor.audio.sampling_rate_hz
        return {key: answer(predictor, signal) for key, signal in disturbed(to_float(samples), rate_hz, clip_id, self.params)}


@lru_cache(maxsize=1)
def _predictor(bundle: Path) -> Predictor:
    """One a process."""
    return Predictor.load(bundle)


def answer(predictor: Predictor, signal: np.ndarray) -> Answer:
    """What a user would be told."""
    try:
        prediction = predictor.predict(signal)
    except AudioError as error:
        return Answer(refused=str(error).partition(":")[0])  # the reason without this clip's numbers
    return Answer(prediction.emotion, prediction.unsure)


def main() -> None:
    """Ask about every clip in every condition, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("bundle", "cleaned_csv", "clean", "report_json"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    params = load_params("robustness", RobustnessParams, PARAMS)
    bootstrap = load_params("evaluate", SpeakerBootstrap, PARAMS)
    synthetic = load_params("corpora", CorporaParams).synthetic

    predictor = Predictor.load(args.bundle)
    cleaned = read_csv(args.cleaned_csv)
    clips = sample(cleaned, params)
    answers: dict[Key, list[Answer]] = {key: [] for key in params.keys}
    jobs = _jobs(clips, args.clean, predictor.audio.sampling_rate_hz)
    for found in each(Ask(args.bundle, params), jobs, total=len(clips), name="robustness", chunk=1):
        for key, told in found.items():
            answers[key].append(told)

    heard = set(cleaned.loc[cleaned["split"] == "train", "speaker"]) & set(clips["speaker"])
    members = clips.groupby("corpus")["speaker"].agg(["size", "nunique"])
    figures = report(clips, answers, predictor.emotions, bootstrap)
    facts = {
        "bundle": {name: predictor.description[name] for name in ("model", "corpora", "fingerprint")},
        "split": "test",
        "synthetic_demo_voices": int(synthetic),
        "test_speakers_heard_in_training": len(heard),
        "corpora": {name: {"n": int(n), "n_speakers": int(n_speakers)} for name, n, n_speakers in members.itertuples()},
        "settings": asdict(params),
    }
    write_json(args.report_json, {**facts, **figures})
    uar = 100 * figures["intact"]["uar"]
    logging.info("%d clips in %d conditions; UAR of the intact ones %.1f", len(clips), len(answers), uar)


def _jobs(clips: pd.DataFrame, clean: Path, rate_hz: int) -> Iterator[tuple[str, np.ndarray]]:
    """Ids and samples, in the order of the clips."""
    stores = {corpus: Arrays(clean / corpus) for corpus in clips["corpus"].unique()}
    for corpus, store in stores.items():
        if store.recipe["sampling_rate_hz"] != rate_hz:
            raise RobustnessError(
                f"{clean / corpus}: audio at {store.recipe['sampling_rate_hz']} Hz, the bundle takes {rate_hz} Hz; "
                "take a bundle of this pipeline"
            )
    for clip_id, corpus in zip(clips["id"], clips["corpus"], strict=True):
        yield clip_id, stores[corpus][clip_id]


if __name__ == "__main__":
    run(main)
