"""Proof that nothing of the test is heard in training: speakers, recordings and augmented copies checked against the split."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from ser.errors import SerError
from ser.split import PARTS

_SHOWN = 5  # offenders named in a message


class AuditError(SerError):
    """The parts overlap; nothing trained on them could be trusted."""


def audit(cleaned: pd.DataFrame, augmented: dict[str, list[str]], *, policy: str) -> dict[str, Any]:
    """Check the final table and the augmented copies, and count what is in them.

    Args:
        cleaned: columns id, corpus, speaker, sentence, audio_sha256, split.
        augmented: ids of the copies (`<parent>#<copy>`) by corpus.
        policy: how the split was made; `random` shares speakers between the parts by design, so they are only counted.

    Returns:
        Counts of clips and speakers by corpus and part, of copies, and of what the parts share.

    Raises:
        AuditError: a speaker or a recording in more than one part, a clip listed twice, an unknown part, or an
            augmented copy whose parent is a validation or test clip.
    """
    if unknown := sorted(set(cleaned["split"]) - set(PARTS)):
        raise AuditError(f"audit: unknown part '{unknown[0]}' in the table of clips; run `dvc repro`")
    _refuse(cleaned["id"][cleaned["id"].duplicated()], "clips listed more than once", "run `dvc repro -f unify`")
    speakers = _shared(cleaned, "speaker")
    if policy != "random":
        _refuse(
            (f"{speaker} ({clips})" for speaker, clips in speakers.items()),
            "speakers in more than one part",
            "split by speaker (split.policy in params.yaml), then `dvc repro`",
        )
    _refuse(
        (f"{sha256[:12]} ({clips})" for sha256, clips in _shared(cleaned, "audio_sha256").items()),
        "recordings in more than one part",
        "remove the second copy from the corpora, then `dvc repro`",
    )
    return {
        "policy": policy,
        "speaker_independent": not speakers,
        "clips": _counts(cleaned, "id"),
        "speakers": _counts(cleaned, "speaker"),
        "augmented": {corpus: _check_copies(cleaned, copies) for corpus, copies in sorted(augmented.items())},
        "speakers_in_more_than_one_part": len(speakers),
        # not a fault: a corpus of ten sentences has them all in every part; it bounds what the figures mean
        "sentences_in_more_than_one_part": _shared_sentences(cleaned),
    }


def _shared(cleaned: pd.DataFrame, column: str) -> dict[str, str]:
    """Values of a column found in more than one part, each with the clips and parts it is found in."""
    parts = cleaned.groupby(column)["split"].nunique()
    shared = sorted(parts.index[parts > 1])
    rows = cleaned[cleaned[column].isin(shared)].sort_values("id").drop_duplicates([column, "split"])
    return {value: ", ".join(f"{row.id} in {row.split}" for row in rows[rows[column] == value].itertuples()) for value in shared}


def _shared_sentences(cleaned: pd.DataFrame) -> dict[str, int]:
    spoken = cleaned[cleaned["sentence"] != ""]
    parts = spoken.groupby(["corpus", "sentence"])["split"].nunique() > 1
    return {corpus: int(parts[corpus].sum()) if corpus in parts else 0 for corpus in sorted(set(cleaned["corpus"]))}


def _counts(cleaned: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    counts = cleaned.groupby(["corpus", "split"])[column].nunique()
    return {corpus: {part: int(counts.get((corpus, part), 0)) for part in PARTS} for corpus in sorted(set(cleaned["corpus"]))}


def _check_copies(cleaned: pd.DataFrame, copies: list[str]) -> dict[str, int]:
    """Copies of train clips are `used`; copies of clips that the label policy dropped later are `unused` and harmless."""
    split = dict(zip(cleaned["id"], cleaned["split"], strict=True))
    _refuse((copy for copy in copies if "#" not in copy), "augmented clips that name no parent", "run `dvc repro -f augment`")
    parts = {copy: split.get(copy.rpartition("#")[0]) for copy in copies}
    _refuse(
        (f"{copy} (parent in {part})" for copy, part in parts.items() if part not in ("train", None)),
        "augmented copies apart from their parent",
        "run `dvc repro -f augment`",
    )
    used = sum(part == "train" for part in parts.values())
    return {"used": used, "unused": len(copies) - used}


def _refuse(offenders: Iterable[str], what: str, way_out: str) -> None:
    if offenders := sorted(offenders):
        more = f" and {len(offenders) - _SHOWN} more" if len(offenders) > _SHOWN else ""
        raise AuditError(f"audit: {what} ({len(offenders)}): {', '.join(offenders[:_SHOWN])}{more}; {way_out}")
