"""Train one model on one fold of a protocol, and answer for its held-out clips under each knowledge of the speaker."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from ser.arrays import write_arrays
from ser.batches import BatchParams
from ser.emotions import CANONICAL
from ser.features import Clip
from ser.files import read_csv, write_csv
from ser.inference import Enrolment, Scorer
from ser.recipes import Recipe
from ser.trained import load_description
from ser.trainer import Trainer
from ser.views import Views

Stores = tuple[Sequence[Path], Sequence[Path]]  # feature folders with clean clips, and with augmented copies

_DECIMALS = 6
_POOL = "pool"  # as in ser.folds, which a training must not depend on: it holds the protocols

_log = logging.getLogger(__name__)


def train_fold(
    model: str,
    architecture: ModuleType,
    recipe: Recipe,
    fold_csv: Path,
    stores: Stores,
    start: Path,
    out: Path,
    resume: Path,
    *,
    soft: Path | None = None,
    clips: Path | None = None,
) -> dict[str, Any]:
    """Train; a training killed before goes on from its last epoch.

    Args:
        model: name of the architecture.
        architecture: its module.
        recipe: its settings.
        fold_csv: table of `ser.folds`.
        stores: feature folders with the clean clips, and those with the augmented copies (of any clip; only those of
            training clips are drawn); the first folder that holds a kind gives it. A training that asks for no copy does
            without the second.
        start: the trained model whose weights a recipe may start from.
        out: folder to write; the models it builds on are looked for beside it.
        resume: where the state of the training is kept.
        soft: table of target distributions other than the labels.
        clips: table with what else is known of the clips, for heads that a fold's table does not tell of.

    Returns:
        The training's report: counts, seconds, epochs.
    """
    rows = training_rows(read_csv(fold_csv), pool=recipe.pool, choose=recipe.choose)
    if clips is not None:
        rows = rows.merge(read_csv(clips)[["id", "intensity"]], on="id", how="left", validate="1:1").fillna({"intensity": ""})
    settings = (recipe.sizes, recipe.training, recipe.batches)
    trainer = Trainer(model, architecture, *settings, emotions_of(rows), start=start if recipe.start else None, soft=soft)
    resumed = any(resume.glob(f"{model}/*.npz"))
    since = time.perf_counter()
    clean, augmented = stores
    copies = augmented if _reads_copies(rows, recipe.batches) else None
    with both_variants(clean, copies, architecture.INPUTS) as features, TemporaryDirectory() as folder:
        cleaned = Path(folder) / "cleaned_data.csv"
        write_csv(cleaned, rows)
        trainer.run(cleaned, features, out, resume)
    took_s = time.perf_counter() - since
    n_epochs, n_train = len(read_csv(out / "history.csv")), int((rows["split"] == "train").sum())
    return {
        "took_s": round(took_s, 1),
        "went_on_after_a_kill": int(resumed),  # then took_s is that of the rest alone
        "n_epochs": n_epochs,
        "n_train": n_train,
        "n_validation": int((rows["split"] == "validation").sum()),
        "train_utterances_a_s": round(n_epochs * n_train / took_s, 1),
    }


def training_rows(table: pd.DataFrame, *, pool: bool, choose: bool = True) -> pd.DataFrame:
    """A fold's rows with the clips of other corpora in training or without them, and those that choose the epoch or none."""
    if not choose:
        table = table.assign(split=table["split"].replace("validation", "train"))
    if pool:
        return table.assign(split=table["split"].replace(_POOL, "train"))
    return table[table["split"] != _POOL].reset_index(drop=True)


def emotions_of(rows: pd.DataFrame) -> tuple[str, ...]:
    """The emotions of a fold's clips in the order of every label array."""
    return tuple(name for name in CANONICAL if name in set(rows["emotion"]))


def answer_fold(
    model_dir: Path,
    fold_csv: Path,
    stores: Stores,
    enrolment: Enrolment,
    *,
    choose: bool = True,
    views: Views | None = None,
) -> tuple[pd.DataFrame, float]:
    """Probabilities of the held-out clips under three conditions, and how many utterances a second were answered.

    The condition is `none` (a single clip of an unheard voice: test, and validation where it chose the epoch) and, for test
    clips of models that take what is known of a speaker, `enrolled` (some unlabelled clips) and `transductive` (all the
    speaker's other test clips). Under `none` a clip may be heard in several views.

    Returns:
        Table with columns condition, id, corpus, speaker, split, emotion, p_<emotion>..., and utterances a second from
        stored features, measured under `none`.
    """
    table = training_rows(read_csv(fold_csv), pool=False, choose=choose)
    held_out = table[table["split"].isin(("validation", "test"))].reset_index(drop=True)
    test = held_out[held_out["split"] == "test"].reset_index(drop=True)
    with both_variants(*stores, list(load_description(model_dir)["inputs"])) as features:
        scorer = Scorer(model_dir, features)
        emotions = scorer.description["emotions"]
        start = time.perf_counter()
        single = scorer.probabilities(_clips(held_out))
        if views is not None and views.n:
            single = views.average(scorer, _clips(held_out), single)
        parts = [_answers("none", held_out, single, emotions)]
        rate = len(held_out) / (time.perf_counter() - start)
        if scorer.can_enrol:
            everything = Enrolment(clips=len(test), seed=enrolment.seed)
            for condition, known in (("enrolled", enrolment), ("transductive", everything)):
                answered = scorer.probabilities(_clips(test), test["speaker"].tolist(), known)
                parts.append(_answers(condition, test, answered, emotions))
    return pd.concat(parts, ignore_index=True), rate


@contextmanager
def both_variants(clean: Sequence[Path], augmented: Sequence[Path] | None, kinds: Sequence[str]) -> Iterator[Path]:
    """A passing features folder of links: clean clips from one place, augmented copies from another, or empty stores for None.

    Of several folders the first that holds a kind gives it.
    """
    with TemporaryDirectory() as folder:
        for kind in (kind for kind in kinds if kind != "speaker"):  # which is made of the prosody of other clips
            stores = Path(folder) / kind
            stores.mkdir()
            (stores / "clean").symlink_to(_first(clean, Path(kind, "clean")), target_is_directory=True)
            if augmented is not None:
                (stores / "augmented").symlink_to(_first(augmented, Path(kind, "augmented")), target_is_directory=True)
                continue
            for corpus in sorted(path.name for path in (stores / "clean").iterdir()):
                write_arrays(stores / "augmented" / corpus, [], dtype="float32", recipe={})
        yield Path(folder)


def _first(folders: Sequence[Path], store: Path) -> Path:
    """Where a store lies; where none has it, the last, so that the message which then comes names the usual place."""
    return next((folder / store for folder in folders if (folder / store).is_dir()), folders[-1] / store).resolve()


def _reads_copies(rows: pd.DataFrame, batches: BatchParams) -> bool:
    """Whether copies are drawn, or are rows themselves."""
    return batches.augmented_share > 0 or any(clip.variant == "augmented" for clip in _clips(rows))


def _answers(condition: str, rows: pd.DataFrame, probabilities: np.ndarray, emotions: Sequence[str]) -> pd.DataFrame:
    table = rows[["id", "corpus", "speaker", "split", "emotion"]].reset_index(drop=True)
    table.insert(0, "condition", condition)
    columns = [f"p_{emotion}" for emotion in emotions]
    return pd.concat([table, pd.DataFrame(probabilities.astype(float).round(_DECIMALS), columns=columns)], axis=1)


def _clips(rows: pd.DataFrame) -> list[Clip]:
    return [Clip(*row) for row in zip(rows["id"], rows["corpus"], strict=True)]
