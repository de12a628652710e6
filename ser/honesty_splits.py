"""Tables of who trains, validates and tests under each protocol of the honesty report, the leaking ones included."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ser.folds import COLUMNS, FoldParams, with_validation
from ser.honesty import HOME, OTHERS, HonestyError, HonestyFold


@dataclass(frozen=True)
class SplitParams:
    """Sizes and seed of the draws."""

    test_share: float  # of the rows that are split at random
    validation_share: float  # of what is left: rows where rows are drawn, speakers of each sex where speakers are
    speaker_folds: int  # groups of speakers, each of which is tested once
    seed: int

    def __post_init__(self) -> None:
        """Refuse shares that leave a part empty, and fewer than two groups (ValueError)."""
        for name in ("test_share", "validation_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must lie between 0 and 1, got {getattr(self, name)}")
        if self.speaker_folds < 2:
            raise ValueError(f"speaker_folds must be at least 2, got {self.speaker_folds}")


def honesty_table(clips: pd.DataFrame, fold: HonestyFold, params: SplitParams, copies: int) -> pd.DataFrame:
    """One fold: the columns of `ser.folds.COLUMNS`, with train, validation or test as the split.

    An id may stand in several rows: a file counted twice is two rows, and a clip that validates and tests is two as well. An
    augmented copy is a row of its own only where the protocol makes copies before it splits; its samples are not known here, so
    its `audio_sha256` is empty.

    Args:
        clips: all corpora, from `ser.folds.every_clip`.
        fold: which one.
        params: sizes and seed.
        copies: how many augmented copies of each clip are stored.

    Raises:
        HonestyError: a corpus, speakers or a sentence are missing, or there are no copies.
    """
    rows = clips[clips["corpus"] == HOME].sort_values("id", ignore_index=True)
    if rows.empty:
        raise HonestyError(f"the honesty report needs the corpus {HOME}; list it in corpora.use of params.yaml, then run again")
    table = _MAKERS[fold.protocol](rows, clips, fold, params, copies)
    return table[COLUMNS].reset_index(drop=True)


def _files_twice(rows, clips, fold, params, copies) -> pd.DataFrame:
    twice = pd.concat([rows, rows], ignore_index=True)
    keys = [*rows["id"], *(f"{name} again" for name in rows["id"])]
    return _at_random(twice, keys, fold, params)


def _copies(rows, clips, fold, params, copies) -> pd.DataFrame:
    if not copies:
        raise HonestyError(f"{fold.name} needs augmented copies; set augment.copies of benchmarks/params.yaml to 1 or more")
    altered = [rows.assign(id=rows["id"] + f"#{number}", audio_sha256="") for number in range(1, copies + 1)]
    pooled = pd.concat([rows, *altered], ignore_index=True)
    return _at_random(pooled, list(pooled["id"]), fold, params)


def _random(rows, clips, fold, params, copies) -> pd.DataFrame:
    return _at_random(rows, list(rows["id"]), fold, params)


def _chosen_on_test(rows, clips, fold, params, copies) -> pd.DataFrame:
    """The test part of the draw of the same number; all else trains."""
    drawn = _random(rows, clips, fold, params, copies)
    test = drawn[drawn["split"] == "test"]
    return pd.concat([drawn.assign(split=drawn["split"].replace("validation", "train")), test.assign(split="validation")])


def _speakers(rows, clips, fold, params, copies) -> pd.DataFrame:
    tested = _tested_speakers(rows, fold, params)
    return rows.assign(split=rows["speaker"].map(_parts(rows, tested, fold, params)))


def _sentences(rows, clips, fold, params, copies) -> pd.DataFrame:
    sentences = sorted(set(rows["sentence"]) - {""})
    if len(sentences) < 2:
        raise HonestyError(f"{fold.name} needs two sentences, and {HOME} has {len(sentences)} here; complete the corpus")
    tested = sentences[0] if fold.half == "a" else sentences[1]
    table = _speakers(rows, clips, fold, params, copies)
    return table[(table["sentence"] == tested) == (table["split"] == "test")]


def _corpora(rows, clips, fold, params, copies) -> pd.DataFrame:
    home = rows.assign(split=rows["speaker"].map(_parts(rows, (), fold, params)))
    missing = [corpus for corpus in OTHERS if corpus not in set(clips["corpus"])]
    if missing:
        raise HonestyError(f"{fold.name} tests the corpus {missing[0]}; list it in corpora.use of params.yaml, then run again")
    others = clips[clips["corpus"].isin(OTHERS) & clips["emotion"].isin(set(home["emotion"]))]
    return pd.concat([home, others.sort_values("id").assign(split="test")])


_MAKERS = {
    "files_twice": _files_twice,
    "copies": _copies,
    "random": _random,
    "chosen_on_test": _chosen_on_test,
    "speakers": _speakers,
    "sentences": _sentences,
    "corpora": _corpora,
}


def _at_random(rows: pd.DataFrame, keys: Sequence[str], fold: HonestyFold, params: SplitParams) -> pd.DataFrame:
    """Test and validation drawn within each emotion, by hash of the draw and the row's key: the same everywhere."""
    ranked = rows.assign(hash=[_hash(params.seed, fold.number, key) for key in keys]).sort_values("hash")
    place = ranked.groupby("emotion").cumcount()
    size = ranked["emotion"].map(ranked["emotion"].value_counts())
    n_test = (size * params.test_share).round()
    n_validation = ((size - n_test) * params.validation_share).round()
    split = pd.Series("train", ranked.index).mask(place < n_test + n_validation, "validation").mask(place < n_test, "test")
    return ranked.assign(split=split).sort_index()


def _tested_speakers(rows: pd.DataFrame, fold: HonestyFold, params: SplitParams) -> set[str]:
    """One of `speaker_folds` groups, as equal in size and in sexes as can be."""
    sexes = _sexes(rows)
    if not fold.number <= params.speaker_folds < len(sexes):
        way_out = "complete the corpus, or change honesty.folds and honesty_folds.speaker_folds of benchmarks/params.yaml"
        groups = f"{len(sexes)} speakers in {params.speaker_folds} groups"
        raise HonestyError(f"{fold.name}: of {groups} there is none with that number; {way_out}")
    ordered = sorted(sexes, key=lambda name: (sexes[name], _hash(params.seed, "speakers", name)))
    return set(ordered[fold.number - 1 :: params.speaker_folds])


def _parts(rows: pd.DataFrame, tested: Sequence[str] | set[str], fold: HonestyFold, params: SplitParams) -> dict[str, str]:
    sexes = _sexes(rows)
    parts = {name: "test" if name in tested else "train" for name in sexes}
    return with_validation(parts, sexes, f"honesty/{fold.name}", FoldParams(params.validation_share, params.seed))


def _sexes(rows: pd.DataFrame) -> dict[str, str]:
    speakers = rows.drop_duplicates("speaker").sort_values("speaker")
    return dict(zip(speakers["speaker"], speakers["sex"], strict=True))


def _hash(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
