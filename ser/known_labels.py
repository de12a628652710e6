"""The true emotion of a clip, where its name is one of a known corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ser.emotions import Policy

if TYPE_CHECKING:
    from ser.corpus import Corpus


@dataclass(frozen=True)
class KnownLabel:
    """What an official file name says was acted."""

    corpus: str
    emotion: str  # one of `ser.emotions.CANONICAL`

    def among(self, emotions: Sequence[str]) -> str | None:
        """The label a model with these emotions should give, or None where it has no such emotion.

        A model without `calm` was trained to call it neutral, as `emotions.calm` is set unless it is changed.
        """
        policy = Policy("keep" if "calm" in emotions else "neutral", "keep" if "boredom" in emotions else "drop")
        label = policy.apply(self.emotion)
        return label if label in emotions else None


def known_label(path: Path) -> KnownLabel | None:
    """Read the label out of a file name, or None for a name that is of no known corpus, or of more than one.

    Stricter than the collecting of a corpus, which has been told whose files it reads: a whole folder or file name must be
    official, in its official capitals, and by a speaker whom the corpus lists.

    Raises:
        ser.corpus.CorpusError: a description in `ser/corpora` is broken.
    """
    whole = path.absolute().as_posix()  # IESC's labels are in the folders, and those may be the ones we stand in
    found = [KnownLabel(corpus.name, emotion) for corpus in _corpora() if (emotion := _emotion(corpus, whole))]
    return found[0] if len(found) == 1 else None


def _emotion(corpus: "Corpus", path: str) -> str | None:
    if not corpus.is_audio(path) or not (utterance := corpus.parse(path)):
        return None
    name = utterance.id.removeprefix(f"{corpus.name}/")
    whole_name = path[: path.rindex(".")].endswith(f"/{name}")
    official_capitals = utterance.source_emotion in corpus.maps["emotion"]
    listed_speaker = utterance.sex != "unknown" or not corpus.sexes
    return utterance.recorded_emotion if whole_name and official_capitals and listed_speaker else None


@cache
def _corpora() -> "tuple[Corpus, ...]":
    from ser.corpus import DESCRIPTIONS, load_corpus  # brings yaml, which only naming a file needs

    return tuple(load_corpus(file.stem) for file in sorted(DESCRIPTIONS.glob("*.yaml")))
