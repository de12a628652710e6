"""What two sides of a split share: recordings, near copies of them, augmented siblings, speakers and sentences."""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ser.corpus import Corpus, Utterance
    from ser.fingerprint import Fingerprint

SAME_AUDIO, NEAR_DUPLICATE, SIBLING, SPEAKER, SENTENCE = KINDS = (
    "same-audio",
    "near-duplicate",
    "sibling",
    "speaker",
    "sentence",
)

# How augmented files are called in notebooks and tutorials. Left out is what also names takes and styles of speaking: a bare
# number, slow, fast, loud.
_DONE = (
    r"(?:aug(?:mented)?|nois[ey]|white_?noise|pitch(?:ed)?|shift(?:ed)?|(?:time_?)?stretch(?:ed)?|speed|tempo|gain|reverb|echo)"
)
_AMOUNT = r"(?:[_\-. ]?(?:up|down|x?[+\-]?\d+(?:\.\d+)?x?)){0,2}"
_SUFFIX = re.compile(rf"(?:[_\-. ]{_DONE}{_AMOUNT}| - copy| copy|_copy| ?\(\d+\))$", re.IGNORECASE)
_PREFIX = re.compile(rf"^{_DONE}\d*[_\-. ](?=.{{4}})", re.IGNORECASE)


@dataclass(frozen=True)
class Clip:
    """One clip of one side, with what is known of it; '' and None stand for what is not."""

    path: str  # as it is shown
    side: str
    id: str = ""  # of the utterance; `<parent>#<copy>` of an augmented copy
    corpus: str = ""
    speaker: str = ""
    sentence: str = ""
    sha256: str = ""  # of the decoded samples
    fingerprint: "Fingerprint | None" = None


@dataclass(frozen=True)
class Finding:
    """Clips that belong together by one kind of evidence."""

    kind: str  # one of KINDS
    what: str  # what they share, in words
    clips: dict[str, tuple[str, ...]]  # paths by side
    similarity: float | None = None  # share of the fingerprints' bits that agree; 1.0 for the same samples

    @property
    def between(self) -> bool:
        """Whether it joins two sides, so that it is a leak and not only a repetition within one."""
        return len(self.clips) > 1


def find(clips: Sequence[Clip]) -> list[Finding]:
    """All that clips of different sides share, and repeated audio within a side too; by kind, in the order of KINDS.

    A pair is named once, by its strongest evidence: the same samples, then the fingerprint, then the name.
    """
    same = _groups(clips, lambda clip: clip.sha256)
    first = {members[0]: members for members in same.values()}
    near = _near_duplicates(clips, first)
    linked = _Sets(len(clips))
    for members in (*same.values(), *(pair for pair, _ in near)):
        linked.join(members)
    findings = [Finding(SAME_AUDIO, "the same samples", _by_side(clips, group), 1.0) for group in same.values() if len(group) > 1]
    for members, similarity in near:
        findings.append(Finding(NEAR_DUPLICATE, "the same recording", _by_side(clips, members), similarity))
    return findings + _siblings(clips, linked) + _speakers(clips) + _sentences(clips)


def named(clip: Clip) -> Clip:
    """The clip with id, corpus, speaker and sentence from its file name, where that is one of a known corpus.

    What is known already stays. An augmented copy is read by its parent's name.

    Raises:
        ser.corpus.CorpusError: a description in `ser/corpora` is broken.
    """
    utterance = _utterance(clip.path)
    if utterance is None:
        return clip
    corpus, said = utterance
    if clip.corpus not in ("", corpus):
        return clip
    known = {"id": said.id, "corpus": corpus, "speaker": said.speaker, "sentence": said.sentence}
    return replace(clip, **{name: value for name, value in known.items() if not getattr(clip, name)})


def parent_name(name: str) -> str:
    """The name of the clip that an augmented copy was made from; the name itself where it names no copy.

    Understood are `<parent>#<copy>`, endings such as `_aug2`, `_noise`, `_pitch_up`, `-stretch0.8`, ` (1)`, and `aug_` in front.
    """
    parent = name.rpartition("#")[0] or name
    while True:
        shorter = _PREFIX.sub("", _SUFFIX.sub("", parent))
        if shorter in ("", parent):
            return parent
        parent = shorter


def _near_duplicates(clips: Sequence[Clip], first: dict[int, list[int]]) -> list[tuple[list[int], float]]:
    """Members of two groups of equal audio that hold the same recording, and how alike they are."""
    from ser.fingerprint import near_duplicates

    heard = [index for index in first if clips[index].fingerprint is not None]
    matches = near_duplicates([clips[index].fingerprint for index in heard])
    return [(first[heard[match.first]] + first[heard[match.second]], 1 - match.error_rate) for match in matches]


def _siblings(clips: Sequence[Clip], linked: "_Sets") -> list[Finding]:
    """Clips of different sides whose names say that one is a copy of the other, and whose audio has not said so yet."""
    plain_folders = defaultdict(set)  # a stem that stands for several clips means something only within its folder
    for clip in clips:
        stem = PurePosixPath(clip.path).stem
        if parent_name(stem) == stem:
            plain_folders[stem].add(PurePosixPath(clip.path).parent.name)

    def key(clip: Clip) -> Hashable:
        if clip.id and not clip.id.isdigit():  # a bare number counts rows, of either table
            return parent_name(clip.id)
        path = PurePosixPath(clip.path)
        stem = parent_name(path.stem)
        return (path.parent.name if len(plain_folders[stem]) > 1 else "", stem)

    findings = []
    for shared, members in _groups(clips, key).items():
        sides = _by_side(clips, members)
        if len(sides) < 2 or len({linked.root(member) for member in members}) < 2:
            continue
        copies = any(parent_name(name) != name for member in members for name in _names(clips[member]))
        if copies or isinstance(shared, str):
            what = f"{'copies of' if copies else 'the name'} {shared if isinstance(shared, str) else shared[1]}"
            findings.append(Finding(SIBLING, what, sides))
    return findings


def _names(clip: Clip) -> tuple[str, str]:
    return PurePosixPath(clip.path).stem, clip.id


def _speakers(clips: Sequence[Clip]) -> list[Finding]:
    groups = _groups(clips, _within_corpus(clips, lambda clip: clip.speaker))
    return _between(clips, SPEAKER, groups, lambda clip: clip.speaker)


def _sentences(clips: Sequence[Clip]) -> list[Finding]:
    groups = _groups(clips, _within_corpus(clips, lambda clip: " ".join(re.findall(r"\w+", clip.sentence.casefold()))))
    return _between(clips, SENTENCE, groups, lambda clip: clip.sentence)


def _within_corpus(clips: Sequence[Clip], value: Callable[[Clip], str]) -> Callable[[Clip], Hashable]:
    """Keys that tell speaker 1 of one corpus from speaker 1 of another, if every clip says of which corpus it is."""
    by_corpus = all(clip.corpus for clip in clips if value(clip))
    return lambda clip: value(clip) and (clip.corpus if by_corpus else "", value(clip))


def _between(clips: Sequence[Clip], kind: str, groups: dict[Hashable, list[int]], said: Callable[[Clip], str]) -> list[Finding]:
    findings = [Finding(kind, said(clips[members[0]]), _by_side(clips, members)) for members in groups.values()]
    return sorted((finding for finding in findings if finding.between), key=lambda finding: finding.what)


def _groups(clips: Sequence[Clip], key: Callable[[Clip], Hashable]) -> dict[Hashable, list[int]]:
    """Positions of clips by key; a clip whose key is '' is a group of its own."""
    groups: dict[Hashable, list[int]] = {}
    for index, clip in enumerate(clips):
        groups.setdefault(key(clip) or index, []).append(index)
    return groups


def _by_side(clips: Sequence[Clip], members: Iterable[int]) -> dict[str, tuple[str, ...]]:
    sides: dict[str, list[str]] = {}
    for member in members:
        sides.setdefault(clips[member].side, []).append(clips[member].path)
    order = dict.fromkeys(clip.side for clip in clips)
    return {side: tuple(sides[side]) for side in order if side in sides}


class _Sets:
    """Which clips are known to hold the same audio (disjoint sets)."""

    def __init__(self, size: int) -> None:
        self._above = list(range(size))

    def root(self, member: int) -> int:
        while self._above[member] != member:
            self._above[member] = self._above[self._above[member]]
            member = self._above[member]
        return member

    def join(self, members: Sequence[int]) -> None:
        for member in members[1:]:
            self._above[self.root(member)] = self.root(members[0])


def _utterance(path: str) -> "tuple[str, Utterance] | None":
    from ser.known_labels import known_label

    where = Path(path)
    parent = where.with_name(parent_name(where.stem) + where.suffix)
    if (label := known_label(parent)) is None:
        return None
    utterance = _corpus(label.corpus).parse(parent.absolute().as_posix())
    return (label.corpus, utterance) if utterance else None


@cache
def _corpus(name: str) -> "Corpus":
    from ser.corpus import load_corpus

    return load_corpus(name)
