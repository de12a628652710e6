"""The collected corpora to the one table everything is trained and scored on."""

import pandas as pd

from ser.duplicates import mark_duplicates
from ser.emotions import Policy
from ser.errors import SerError

COLUMNS = (
    "id path corpus speaker sex language emotion source_emotion intensity channel sentence "
    "duration_s sampling_rate_hz channels audio_sha256 split"
).split()
PARTS = ("train", "validation", "test")
UNUSED = "unused"


class UnifyError(SerError):
    """The collected tables and the splits do not fit together, or nothing is left."""


def unify(
    collected: pd.DataFrame, splits: pd.DataFrame, *, policy: Policy, channels: tuple[str, ...]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Choose, label and split the utterances of all corpora.

    Args:
        collected: rows of the collected tables, those rejected among them.
        splits: columns id, speaker, part (train, validation, test or unused).
        policy: which emotions are told apart.
        channels: which of speech and song are used.

    Returns:
        the cleaned table (`COLUMNS`, sorted by id) and the rejected one (path, corpus, reason; sorted by path).

    Raises:
        UnifyError: an utterance has no part in the splits, or nothing is left.
    """
    table = collected.copy()
    _reject(table, ~table["channel"].isin(channels), table["channel"] + " is not among corpora.channels")
    usable = table[table["rejected"] == ""]
    table.loc[usable.index, "rejected"] = mark_duplicates(usable)  # before the policy: dropped labels contradict, too
    table["emotion"] = table["recorded_emotion"].map(lambda name: policy.apply(name) if name else None)
    dropped = table["recorded_emotion"]
    _reject(table, table["emotion"].isna(), dropped + " is dropped by emotions." + dropped)
    table["split"] = table["id"].map(splits.set_index("id")["part"])
    _check_parts(table[table["rejected"] == ""])
    _reject(table, table["split"] == UNUSED, "left out by the split")
    cleaned = table[table["rejected"] == ""]
    if cleaned.empty:
        raise UnifyError("no utterance is left; check corpora.channels, emotions and data/rejected.csv's reasons")
    cleaned = cleaned.astype({"sampling_rate_hz": int, "channels": int})[COLUMNS]
    rejected = table[table["rejected"] != ""].rename(columns={"rejected": "reason"})[["path", "corpus", "reason"]]
    return cleaned.sort_values("id", ignore_index=True), rejected.sort_values("path", ignore_index=True)


def _reject(table: pd.DataFrame, which: pd.Series, reason: pd.Series | str) -> None:
    """Give a reason to those of `which` that have none yet."""
    which = which & (table["rejected"] == "")
    table.loc[which, "rejected"] = reason[which] if isinstance(reason, pd.Series) else reason


def _check_parts(usable: pd.DataFrame) -> None:
    wrong = usable[~usable["split"].isin((*PARTS, UNUSED))]
    if not wrong.empty:
        row = wrong.iloc[0]
        what = "no part" if pd.isna(row["split"]) else f"the part '{row['split']}'"
        raise UnifyError(f"{row['id']} has {what} in data/splits/{row['corpus']}.csv; run `dvc repro`")
