"""The protocols of the honesty report, from the most forgiving to the hardest: plain data, and how their folds are called."""

import re
from dataclasses import dataclass

from ser.errors import SerError
from ser.leakage import SAME_AUDIO, SENTENCE, SIBLING, SPEAKER

HOME = "ravdess"  # whose clips train everywhere
OTHERS = ("crema_d", "emodb", "tess")  # that are tested without ever training

_FOLD = re.compile(r"(?P<protocol>.+)_(?P<number>[1-9]\d*)(?P<half>[ab]?)")


class HonestyError(SerError):
    """A fold has no such name, cannot be made, or leaks what it should not."""


@dataclass(frozen=True)
class HonestyProtocol:
    """One way of choosing what is tested."""

    letter: str
    title: str
    what: str  # in a sentence
    crosses: tuple[str, ...]  # what training and test share, by kind of `ser.leakage`: this, all of it, and nothing else
    chosen_on_test: bool = False  # whether test clips choose the epoch


HONESTY: dict[str, HonestyProtocol] = {
    "files_twice": HonestyProtocol(
        "a",
        "random, files counted twice",
        "The archive's nested second copy is taken for more data: every file is listed twice, then the rows are split at random.",
        (SAME_AUDIO, SPEAKER, SENTENCE),
    ),
    "copies": HonestyProtocol(
        "b",
        "augmented, then random",
        "Altered copies are made first and pooled with the originals, and all are split at random; copies are tested, too.",
        (SIBLING, SPEAKER, SENTENCE),
    ),
    "random": HonestyProtocol("c", "random", "Recordings are split at random, each of them once.", (SPEAKER, SENTENCE)),
    "chosen_on_test": HonestyProtocol(
        "c*",
        "random, epoch chosen on test",
        "As (c), but the part that is reported also chose the epoch, and none is kept back.",
        (SPEAKER, SENTENCE),
        chosen_on_test=True,
    ),
    "speakers": HonestyProtocol(
        "d", "unheard speakers", "No actor is in two parts; over the folds each is tested once.", (SENTENCE,)
    ),
    "sentences": HonestyProtocol(
        "e",
        "unheard speakers and sentences",
        "As (d), and what is trained says one of the two sentences, what is tested the other; both ways round.",
        (),
    ),
    "corpora": HonestyProtocol(
        "f",
        "another corpus",
        "All actors train; other corpora are tested, each on the emotions it shares with RAVDESS.",
        (),
    ),
}


@dataclass(frozen=True)
class HonestyFold:
    """One table of rows: its protocol, and which draw or group of speakers it tests."""

    protocol: str  # key of HONESTY
    number: int  # from 1
    half: str = ""  # of (e): a tests the first sentence in order, b the second

    @property
    def name(self) -> str:
        """As it is written in the parameters."""
        return f"{self.protocol}_{self.number}{self.half}"


def honesty_fold(name: str) -> HonestyFold:
    """The fold of that name, such as random_2, speakers_5 or sentences_3b.

    Raises:
        HonestyError: there is no such fold.
    """
    found = _FOLD.fullmatch(name)
    if not found or found["protocol"] not in HONESTY or bool(found["half"]) != (found["protocol"] == "sentences"):
        raise HonestyError(f"no fold '{name}' in the honesty report; names are such as random_2, speakers_1 and sentences_3b")
    return HonestyFold(found["protocol"], int(found["number"]), found["half"])
