"""The same audio twice, and the same name twice: which rows must go, and why."""

import pandas as pd


def mark_duplicates(table: pd.DataFrame) -> pd.Series:
    """A reason for each row that repeats another one, '' for rows that may stay; indexed like `table`.

    Rows with the same `audio_sha256` keep the first by path. All of them go where they carry different emotions, or
    different speakers within one corpus: one of the labels is wrong, and nobody knows which. Speakers of different
    corpora are not compared, their names being made unique. Of rows with one id and other audio the first by path stays.

    Args:
        table: usable rows only, with columns id, path, corpus, speaker, recorded_emotion, audio_sha256.
    """
    ordered = table.sort_values("path", kind="stable")
    reasons = pd.Series("", index=ordered.index, dtype=object)
    repeated = ordered[ordered.duplicated("audio_sha256", keep=False)]
    for _, group in repeated.groupby("audio_sha256", sort=False):
        if (column := _conflict(group)) is None:
            reasons[group.index[1:]] = f"duplicate audio: same samples as {group['path'].iloc[0]}"
            continue
        for index, row in group.iterrows():
            others = group[(group[column] != row[column]) & (group.index != index)]
            named = ", ".join(f"{other['path']} ({other[column]})" for _, other in others.iterrows())
            reasons[index] = f"two labels: same samples as {named}, but this is {row[column]}"
    staying = ordered[reasons == ""]
    first = staying.drop_duplicates("id").set_index("id")["path"]
    for index, row in staying[staying.duplicated("id")].iterrows():
        reasons[index] = f"name already used by {first[row['id']]}, which is other audio"
    return reasons.reindex(table.index)


def _conflict(group: pd.DataFrame) -> str | None:
    """The column in which rows of the same audio contradict each other, if any."""
    if group["recorded_emotion"].nunique() > 1:
        return "recorded_emotion"
    if (group.groupby("corpus")["speaker"].nunique() > 1).any():
        return "speaker"
    return None
