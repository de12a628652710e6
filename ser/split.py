"""Which clips train, validate and test: by speaker, one corpus at a time."""

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from ser.errors import SerError

Parts = dict[str, str]  # speaker (or clip) to train, validation, test or unused
PARTS = ("train", "validation", "test")

_log = logging.getLogger(__name__)


class SplitError(SerError):
    """The speakers of a corpus cannot be split as asked, or a protocol file is not usable."""


@dataclass(frozen=True)
class SplitParams:
    """How each corpus is split; shares are shares of the speakers (of the clips under `random`)."""

    policy: Literal["speaker", "kfold", "loso", "file", "random"]
    seed: int
    validation_share: float
    test_share: float
    two_speakers_train: Literal["first", "second"]  # in name order; the other tests
    folds: int  # kfold
    fold: int  # kfold, loso and files with folds; from 1
    left_out: str | None = None  # loso: a speaker such as emodb_03 in place of the fold-th in name order
    files: tuple[str, ...] = ()  # file: names in the folder of protocols, at most one a corpus

    def __post_init__(self) -> None:
        """Refuse what no corpus could be split by (ValueError)."""
        if not (0 < self.validation_share and 0 < self.test_share and self.validation_share + self.test_share < 1):
            raise ValueError("validation_share and test_share must be above 0 and below 1 together")
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")
        if self.fold < 1 or (self.policy == "kfold" and self.fold > self.folds):
            raise ValueError(f"fold counts from 1 to folds ({self.folds}), got {self.fold}")
        if self.policy == "file" and not self.files:
            raise ValueError("policy 'file' needs files, such as [crema_d_audeering.json]")


@dataclass(frozen=True)
class Protocol:
    """Speaker lists of one corpus, read from a file."""

    name: str
    corpus: str
    folds: tuple[Parts, ...]  # one for files without folds; speakers by the corpus' own names


def read_protocols(folder: Path, names: Iterable[str]) -> dict[str, Protocol]:
    """Read speaker lists, keyed by corpus.

    Raises:
        SplitError: a file is missing or not of a known form, lists a speaker twice, or shares its corpus with another.
    """
    protocols: dict[str, Protocol] = {}
    for name in names:
        protocol = _read_protocol(folder / name)
        if protocol.corpus in protocols:
            raise SplitError(f"split.files: {protocols[protocol.corpus].name} and {name} both cover {protocol.corpus}; keep one")
        protocols[protocol.corpus] = protocol
    return protocols


def _read_protocol(path: Path) -> Protocol:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        corpus = content["corpus"]
        if "test_speakers_by_fold" in content:
            tests = content["test_speakers_by_fold"]
            everyone = _unique((speaker for test in tests for speaker in test), path)
            folds = tuple({speaker: "test" if speaker in test else "train" for speaker in everyone} for test in tests)
        else:
            listed = [(speaker, part) for part in PARTS for speaker in content.get(part, [])]
            _unique((speaker for speaker, _ in listed), path)
            if missing := {"train", "test"} - {part for _, part in listed}:
                raise KeyError(min(missing))
            folds = (dict(listed),)
    except FileNotFoundError:
        raise SplitError(f"{path}: no such file; split.files names files of {path.parent}/") from None
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise SplitError(
            f"{path}: not a protocol ({error!r}); it needs corpus, and train and test or test_speakers_by_fold"
        ) from None
    bare = tuple({speaker.removeprefix(f"{corpus}_"): part for speaker, part in fold.items()} for fold in folds)
    return Protocol(path.name, corpus, bare)


def _unique(speakers: Iterable[str], path: Path) -> list[str]:
    seen: list[str] = []
    for speaker in speakers:
        if speaker in seen:
            raise SplitError(f"{path}: speaker '{speaker}' is listed twice; each may have one part only")
        seen.append(speaker)
    return seen


def split_corpus(collected: pd.DataFrame, corpus: str, params: SplitParams, protocols: dict[str, Protocol]) -> pd.DataFrame:
    """Give each accepted clip of one corpus its part.

    The result depends on the corpus' own speakers (clips under `random`), the seed and the corpus' name: not on the order
    of the rows nor on which other corpora are in use. Song and speech of one person share a speaker, so stay together.

    Args:
        collected: the corpus' table of files (id, speaker, sex, audio_sha256, rejected); rejected rows are left out.
        corpus: name of the corpus, the prefix of its speakers.
        params: the policy.
        protocols: speaker lists by corpus, from `read_protocols`.

    Returns:
        Table with columns id, speaker, part (train, validation, test or unused), rows in the order of `collected`.

    Raises:
        SplitError: an id stands for two clips, a speaker has two sexes, or the policy names what is not there.
    """
    clips = collected[collected["rejected"] == ""]
    if (twice := clips["id"].duplicated()).any():
        raise SplitError(
            f"{corpus}: two accepted files share the id '{clips['id'][twice].iloc[0]}'; ids must be unique in a corpus"
        )
    if params.policy == "random":
        _log.warning("%s: random split: speakers are heard in training AND in testing; for comparison only", corpus)
        # by audio, so that two copies of one recording cannot be parted
        part = clips["audio_sha256"].map(_shares([sorted(set(clips["audio_sha256"]))], corpus, params))
    else:
        part = clips["speaker"].map(_speakers(_sexes(clips), corpus, params, protocols))
    return pd.DataFrame({"id": clips["id"], "speaker": clips["speaker"], "part": part}).reset_index(drop=True)


def describe(table: pd.DataFrame) -> str:
    """Clips and speakers of each part, for one line of log."""
    counts = []
    for part in (*PARTS, "unused"):
        rows = table[table["part"] == part]
        if len(rows) or part != "unused":
            counts.append(f"{part} {len(rows)} clips, {rows['speaker'].nunique()} speakers")
    return "; ".join(counts)


def _sexes(clips: pd.DataFrame) -> dict[str, str]:
    pairs = clips[["speaker", "sex"]].drop_duplicates().sort_values(["speaker", "sex"])
    if (twice := pairs["speaker"].duplicated()).any():
        raise SplitError(f"speaker '{pairs['speaker'][twice].iloc[0]}' is listed under two sexes; correct the corpus' parser")
    return dict(zip(pairs["speaker"], pairs["sex"], strict=True))


def _speakers(sexes: dict[str, str], corpus: str, params: SplitParams, protocols: dict[str, Protocol]) -> Parts:
    """Choose by policy; `sexes` is sorted by speaker."""
    names = list(sexes)
    if params.policy == "file" and corpus in protocols:
        return _from_protocol(sexes, corpus, params, protocols[corpus])
    if len(names) < 2:
        return dict.fromkeys(names, "train")
    if params.policy == "kfold":
        # dealt out like cards, one sex after the other: folds differ by one speaker at most, in each sex and overall
        dealt = [speaker for sex in sorted(set(sexes.values())) for speaker in _ranked(_of_sex(sexes, sex), corpus, params.seed)]
        return _with_validation(sexes, set(dealt[params.fold - 1 :: params.folds]), corpus, params)
    if params.policy == "loso" and params.left_out is None:
        return _with_validation(sexes, set(names[params.fold - 1 : params.fold]), corpus, params)
    if params.policy == "loso" and params.left_out in sexes:
        return _with_validation(sexes, {params.left_out}, corpus, params)
    if params.policy == "loso" and params.left_out.startswith(f"{corpus}_"):
        raise SplitError(f"split.left_out: {corpus} has no speaker '{params.left_out}'; it has {', '.join(names)}")
    if params.policy != "speaker":
        _log.info("%s: not what split.%s is about; split by speaker", corpus, "files" if params.policy == "file" else "left_out")
    if len(names) == 2:
        first, second = ("train", "test") if params.two_speakers_train == "first" else ("test", "train")
        return {names[0]: first, names[1]: second}
    return _shares(_pools(sexes, at_least=3), corpus, params)


def _of_sex(sexes: dict[str, str], sex: str) -> list[str]:
    return [speaker for speaker, own in sexes.items() if own == sex]


def _pools(sexes: dict[str, str], *, at_least: int) -> list[list[str]]:
    """Speakers by sex; the sexes with too few of them for a part each are drawn from together."""
    groups = [_of_sex(sexes, sex) for sex in sorted(set(sexes.values()))]
    small = sorted(speaker for group in groups if len(group) < at_least for speaker in group)
    return [*(group for group in groups if len(group) >= at_least), small]


def _ranked(names: Iterable[str], corpus: str, seed: int) -> list[str]:
    """A shuffle by hash: the same on any machine and version, and a new name moves no other past its neighbours."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{corpus}/{name}".encode()).digest())


def _shares(pools: list[list[str]], corpus: str, params: SplitParams) -> Parts:
    """From each pool of three or more: the share for test, the share for validation, at least one each; the rest trains."""
    parts: Parts = {}
    for pool in pools:
        names = _ranked(pool, corpus, params.seed)
        n_test = n_validation = 0
        if len(names) >= 3:
            n_test = min(max(1, round(len(names) * params.test_share)), len(names) - 2)
            n_validation = min(max(1, round(len(names) * params.validation_share)), len(names) - n_test - 1)
        for n, name in enumerate(names):
            parts[name] = "test" if n < n_test else "validation" if n < n_test + n_validation else "train"
    return parts


def _with_validation(sexes: dict[str, str], test: set[str], corpus: str, params: SplitParams) -> Parts:
    """Test speakers are given; validation speakers are taken from the others, in each sex with two or more of them.

    A fold beyond the last speaker tests nobody, so that over all folds each speaker is tested exactly once.
    """
    if not test:
        _log.warning("%s: fold %d has no speaker left to test; all %d train or validate", corpus, params.fold, len(sexes))
    parts = dict.fromkeys(sexes, "train") | dict.fromkeys(test, "test")
    for pool in _pools({speaker: sex for speaker, sex in sexes.items() if speaker not in test}, at_least=2):
        if len(pool) >= 2:
            n_validation = min(max(1, round(len(pool) * params.validation_share)), len(pool) - 1)
            parts |= dict.fromkeys(_ranked(pool, corpus, params.seed)[:n_validation], "validation")
    return parts


def _from_protocol(sexes: dict[str, str], corpus: str, params: SplitParams, protocol: Protocol) -> Parts:
    if len(protocol.folds) > 1 and params.fold > len(protocol.folds):
        raise SplitError(f"split.fold: {protocol.name} has folds 1 to {len(protocol.folds)}, got {params.fold}")
    fold = protocol.folds[params.fold - 1] if len(protocol.folds) > 1 else protocol.folds[0]
    listed = {f"{corpus}_{name}": part for name, part in fold.items()}
    present = {speaker: part for speaker, part in listed.items() if speaker in sexes}
    if missing := {"train", "test"} - set(present.values()):
        raise SplitError(f"{protocol.name}: none of its {min(missing)} speakers is in {corpus}, which has {', '.join(sexes)}")
    unlisted = sorted(set(sexes) - set(listed))
    if len(present) < len(listed) or unlisted:
        _log.info(
            "%s: %s lists %d speakers that are not here; %d speakers here are not listed, so unused (%s)",
            corpus, protocol.name, len(listed) - len(present), len(unlisted), ", ".join(unlisted) or "none",
        )  # fmt: skip
    parts = dict.fromkeys(unlisted, "unused") | present
    if "validation" not in listed.values():
        known = {speaker: sex for speaker, sex in sexes.items() if speaker in present}
        parts |= _with_validation(known, {speaker for speaker, part in present.items() if part == "test"}, corpus, params)
    return parts
