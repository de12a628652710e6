"""Tables of who trains, validates and tests in one fold of a protocol."""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ser.emotions import Policy
from ser.errors import SerError
from ser.protocols import Benchmark, Fold
from ser.split import read_protocols
from ser.unifying import unify

COLUMNS = ["id", "corpus", "speaker", "sex", "emotion", "sentence", "audio_sha256", "split"]
POOL = "pool"  # the part of clips of other corpora: they train where a recipe pools, and are left out elsewhere
ALL_EMOTIONS = Policy(calm="keep", boredom="keep")

_log = logging.getLogger(__name__)


class FoldError(SerError):
    """A protocol's corpus, speaker or list is not there."""


@dataclass(frozen=True)
class FoldParams:
    """How validation is taken out of the training speakers where a protocol does not say."""

    validation_share: float  # of the training speakers of each sex, at least one
    seed: int

    def __post_init__(self) -> None:
        if not 0 < self.validation_share < 1:
            raise ValueError(f"validation_share must lie between 0 and 1, got {self.validation_share}")


def every_clip(collected: pd.DataFrame) -> pd.DataFrame:
    """All usable speech of the collected corpora with each emotion they tell apart; columns of `ser.unifying`, sorted by id.

    Duplicates and files with two labels go as they do in the pipeline.
    """
    usable = collected[collected["rejected"] == ""]
    everyone = pd.DataFrame({"id": usable["id"], "part": "train"}).drop_duplicates("id")
    return unify(collected, everyone, policy=ALL_EMOTIONS, channels=("speech",))[0]


def fold_table(clips: pd.DataFrame, benchmark: Benchmark, fold: Fold, lists: Path, params: FoldParams) -> pd.DataFrame:
    """One fold: `COLUMNS`, with train, validation, test or pool as the split, sorted by id.

    Args:
        clips: all corpora, from `every_clip`.
        benchmark: the protocol.
        fold: one of its folds.
        lists: folder of the published speaker lists.
        params: how validation is chosen.

    Raises:
        FoldError: a corpus or a tested speaker is not there.
        ser.split.SplitError: a published list cannot be read.
    """
    learned = {*benchmark.emotions, *benchmark.also_learned}
    rows = clips[clips["emotion"].isin(learned)].sort_values("id", ignore_index=True)
    parts: dict[str, str] = {}
    for corpus in benchmark.corpora:
        sexes = _sexes(rows, corpus)
        parts |= with_validation(_roles(sexes, corpus, fold, lists), sexes, f"{corpus}/{fold.name}", params)
    own = rows["corpus"].isin(benchmark.corpora)
    rows["split"] = rows["speaker"].map(parts).where(own, POOL)
    unlisted = rows["split"].isna()  # speakers whom a published list leaves out
    untold = (rows["split"] == "test") & ~rows["emotion"].isin(benchmark.emotions)
    rows = rows[~(unlisted | untold)].reset_index(drop=True)
    if not (rows["split"] == "validation").any():
        _hold_out_sentences(rows, fold, params)
    return rows[COLUMNS]


def _sexes(rows: pd.DataFrame, corpus: str) -> dict[str, str]:
    speakers = rows[rows["corpus"] == corpus].drop_duplicates("speaker").sort_values("speaker")
    if speakers.empty:
        raise FoldError(f"the protocol needs the corpus {corpus}; list it in corpora.use of params.yaml, then run again")
    return dict(zip(speakers["speaker"], speakers["sex"], strict=True))


def _roles(sexes: Mapping[str, str], corpus: str, fold: Fold, lists: Path) -> dict[str, str]:
    """Part of each speaker of a corpus, as the fold says; speakers it does not list are absent."""
    if corpus != fold.corpus:
        return dict.fromkeys(sexes, "train")
    if fold.listed_in:
        listed = read_protocols(lists, [fold.listed_in])[corpus].folds[fold.number - 1]
        present = {name: listed[bare] for name in sexes if (bare := name.removeprefix(f"{corpus}_")) in listed}
        _log.info("%s, %s: %d of the %d listed speakers are here", fold.listed_in, fold.name, len(present), len(listed))
        if "test" not in present.values():
            raise FoldError(f"{fold.listed_in}: no speaker that {fold.name} tests is in {corpus}; complete the corpus")
        return present
    if missing := [name for name in fold.speakers if name not in sexes]:
        raise FoldError(f"speaker {missing[0]} is not in {corpus}; complete the corpus, or take {fold.name} out of run.folds")
    tested = fold.speakers or tuple(sexes)
    return {name: "test" if name in tested else "train" for name in sexes}


def with_validation(parts: dict[str, str], sexes: Mapping[str, str], key: str, params: FoldParams) -> dict[str, str]:
    """Some training speakers validate, of both sexes where there are two of each; never of a corpus with fewer than three.

    Which ones differs from fold to fold, so that no speaker chooses all epochs.
    """
    training = [name for name, part in parts.items() if part == "train"]
    if "validation" in parts.values() or len(training) < 3:
        return parts
    groups = [[name for name in training if sexes[name] == sex] for sex in sorted(set(sexes.values()))]
    groups = [group for group in groups if len(group) >= 2] or [training]
    chosen = [name for group in groups for name in _drawn(group, key, params)]
    return parts | dict.fromkeys(chosen, "validation")


def _hold_out_sentences(rows: pd.DataFrame, fold: Fold, params: FoldParams) -> None:
    """Where no speaker can be spared, the epoch is chosen on sentences that training leaves out."""
    training = rows["split"] == "train"
    sentences = sorted(set(rows.loc[training, "sentence"]) - {""})
    if len(sentences) < 2:
        _log.warning("%s: no speaker and no sentence to validate on; the last epoch will be kept", fold.name)
        return
    rows.loc[training & rows["sentence"].isin(_drawn(sentences, fold.name, params)), "split"] = "validation"


def _drawn(names: Iterable[str], key: str, params: FoldParams) -> list[str]:
    """A share of the names, one at least, ranked by hash: the same everywhere."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{params.seed}/{key}/{name}".encode()).digest())
    return ranked[: max(1, round(len(ranked) * params.validation_share))]
