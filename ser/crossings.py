"""How many test clips have something in common with what was learned from, by kind of `ser.leakage`."""

from collections.abc import Mapping, Sequence

import pandas as pd

from ser.honesty import HonestyError, HonestyFold, HonestyProtocol
from ser.leakage import SAME_AUDIO, SENTENCE, SIBLING, SPEAKER, Clip, find

CHOSE_EPOCH = "chose-epoch"
COUNTED = (SAME_AUDIO, SIBLING, SPEAKER, SENTENCE)


def crossings(table: pd.DataFrame) -> dict[str, int]:
    """Count test clips of a fold.

    Args:
        table: columns of `ser.folds.COLUMNS`; rows are clips, also where ids repeat.

    Returns:
        `test`, all of them; those that share each of COUNTED with a training clip; and `chose-epoch`, those whose very
        recording validates.
    """
    clips = [
        Clip(str(n), row.split, row.id, row.corpus, row.speaker, row.sentence, row.audio_sha256)
        for n, row in enumerate(table.itertuples())
    ]
    learned = _concerned([clip for clip in clips if clip.side in ("train", "test")], COUNTED)
    chose = _concerned([clip for clip in clips if clip.side in ("validation", "test")], (SAME_AUDIO,))
    return {"test": int((table["split"] == "test").sum()), **learned, CHOSE_EPOCH: chose[SAME_AUDIO]}


def _concerned(clips: Sequence[Clip], kinds: Sequence[str]) -> dict[str, int]:
    found: dict[str, set[str]] = {kind: set() for kind in kinds}
    for finding in find(clips):
        if finding.between and finding.kind in found:
            found[finding.kind].update(finding.clips["test"])
    return {kind: len(paths) for kind, paths in found.items()}


def refuse_others(fold: HonestyFold, protocol: HonestyProtocol, counts: Mapping[str, int]) -> None:
    """Make sure that a fold leaks what its protocol is there to show, and nothing else.

    Raises:
        HonestyError: something crosses that should not, or does not that should.
    """
    crossing = {kind for kind in COUNTED if counts[kind]}
    if crossing != set(protocol.crosses):
        told = (", ".join(sorted(kinds)) or "nothing" for kinds in (crossing, protocol.crosses))
        raise HonestyError("{}: training and test share {}, and should share {}".format(fold.name, *told))
    if protocol.chosen_on_test != (counts[CHOSE_EPOCH] == counts["test"]):
        raise HonestyError(f"{fold.name}: {counts[CHOSE_EPOCH]} of {counts['test']} test clips choose the epoch")
