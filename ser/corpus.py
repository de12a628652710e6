"""A corpus is one YAML description: which files are audio, and what their names say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ser.emotions import CANONICAL
from ser.errors import SerError

DESCRIPTIONS = Path(__file__).parent / "corpora"
AUDIO_SUFFIXES = frozenset(
    ".wav .flac .mp3 .ogg .oga .opus .aif .aiff .aifc .au .snd .caf .w64 .rf64 .m4a .aac .wma .webm .amr".split()
)
_TEXTS = ("title", "language", "licence", "obtain", "pattern")
_MAPS = ("speaker", "emotion", "intensity", "channel", "sentence")
_GROUPS = (*_MAPS, "sex")
_SEXES = ("female", "male")
_CHANNELS = ("speech", "song")


class CorpusError(SerError):
    """A corpus description is missing or says something that cannot be meant."""


@dataclass(frozen=True)
class Utterance:
    """What a file's name says; the fields are columns of the collected table."""

    id: str
    speaker: str
    sex: str
    language: str
    recorded_emotion: str
    source_emotion: str
    intensity: str
    channel: str
    sentence: str


@dataclass(frozen=True)
class Corpus:
    """One corpus as its description gives it.

    `maps` takes a field to {spelling in the name: our value}; `sexes` takes {spelling: female or male}, looked up by
    the group `sex` where the pattern has one and by the speaker otherwise.
    """

    name: str
    title: str
    language: str
    licence: str
    obtain: str
    pattern: re.Pattern[str]
    glob: str | None = None
    maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    sexes: Mapping[str, str] = field(default_factory=dict)

    def is_audio(self, relative_path: str) -> bool:
        """Whether a file (posix path relative to the corpus folder) is meant to be an utterance."""
        if self.glob is not None:
            return fnmatch(relative_path, self.glob)
        return PurePosixPath(relative_path).suffix.lower() in AUDIO_SUFFIXES

    def parse(self, relative_path: str) -> Utterance | None:
        """What the name of a file says, or None where it says nothing this corpus knows."""
        found = self.read(relative_path)
        return found if isinstance(found, Utterance) else None

    def read(self, relative_path: str) -> Utterance | str:
        """As `parse`, but a sentence on what is wrong with the name instead of None."""
        stem = str(PurePosixPath(relative_path).with_suffix(""))
        if not (match := self.pattern.search(stem)):
            return "the pattern does not match"
        if not (name := match[0]) or "#" in name:  # '#' sets an augmented copy's number apart from its parent's id
            return f"'{name}' cannot be an id"
        said = {group: text for group, text in match.groupdict().items() if text}
        values = {}
        for key in _MAPS:
            text = said.get(key, "")
            values[key] = _look_up(self.maps.get(key, {}), text)
            if values[key] is None and text:
                if key != "speaker":  # the speaker map only joins spellings of one name
                    return f"{key} '{text}' is not in the description"
                values[key] = text
        if not values["speaker"] or not values["emotion"]:
            return f"no {'emotion' if values['speaker'] else 'speaker'} in it"
        return Utterance(
            id=f"{self.name}/{name}",
            speaker=f"{self.name}_{values['speaker']}",
            sex=_look_up(self.sexes, said.get("sex") or values["speaker"]) or "unknown",
            language=self.language,
            recorded_emotion=values["emotion"],
            source_emotion=said["emotion"],
            intensity=values["intensity"] or "",
            channel=values["channel"] or "speech",
            sentence=values["sentence"] or "",
        )


def load_corpus(name: str, folder: Path = DESCRIPTIONS) -> Corpus:
    """Read and check `<folder>/<name>.yaml`.

    Raises:
        CorpusError: no such description, or one with an unknown key, a broken pattern or an unknown label.
    """
    path = folder / f"{name}.yaml"
    where = f"{folder.parent.name}/{folder.name}/{path.name}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise CorpusError(f"corpus '{name}': a name must be lower-case letters, digits and _; rename it in corpora.use")
    try:
        node = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise CorpusError(
            f"corpus '{name}' has no description {where} (there are: {known}); "
            "write one as docs/add-a-corpus.md shows, or take it off corpora.use"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CorpusError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    return _build(name, node, where)


def _build(name: str, node: Any, where: str) -> Corpus:
    if not isinstance(node, dict):
        raise CorpusError(f"{where}: must be a mapping of keys such as title, pattern, emotion")
    known = (*_TEXTS, "glob", "sex", *_MAPS)
    if unknown := sorted(str(key) for key in set(node) - set(known)):
        raise CorpusError(f"{where}: key '{unknown[0]}' is unknown; known keys are {', '.join(known)}")
    for key in (*_TEXTS, "emotion"):
        if not node.get(key):
            raise CorpusError(f"{where}: key '{key}' is missing")
    for key in (*_TEXTS, "glob"):
        if key in node:
            _check_text(node[key], f"{where}: {key}")
    pattern = _compile(node["pattern"], f"{where}: pattern")
    for key in ("intensity", "channel", "sentence"):
        if key in node and key not in pattern.groupindex:
            raise CorpusError(f"{where}: there is a map '{key}', but the pattern has no group (?P<{key}>...)")
    maps = {key: _map(node[key], f"{where}: {key}") for key in _MAPS if key in node}
    _check_labels(maps["emotion"], CANONICAL, f"{where}: emotion")
    _check_labels(maps.get("channel", {}), _CHANNELS, f"{where}: channel")
    if "channel" in pattern.groupindex and "channel" not in maps:
        raise CorpusError(f"{where}: the group 'channel' needs a map 'channel' to {' or '.join(_CHANNELS)}")
    for key in ("intensity", "sentence"):  # without a map the name's own spelling stands
        if key in pattern.groupindex and key not in maps:
            maps[key] = _AsSpelled()
    return Corpus(
        name=name,
        title=node["title"],
        language=node["language"],
        licence=node["licence"],
        obtain=node["obtain"].strip(),
        pattern=pattern,
        glob=node.get("glob"),
        maps=maps,
        sexes=_sexes(node.get("sex", {}), f"{where}: sex"),
    )


class _AsSpelled(dict):
    """The map of a field that has none: every spelling is its own value."""

    def __missing__(self, key: str) -> str:
        return key


def _compile(text: str, where: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text, re.IGNORECASE)  # releases differ in capitals
    except re.error as error:
        raise CorpusError(f"{where} is not a regular expression: {error}") from None
    for group in ("speaker", "emotion"):
        if group not in pattern.groupindex:
            raise CorpusError(f"{where} has no group (?P<{group}>...)")
    if unknown := sorted(set(pattern.groupindex) - set(_GROUPS)):
        raise CorpusError(f"{where}: group '{unknown[0]}' is unknown; known groups are {', '.join(_GROUPS)}")
    return pattern


def _map(node: Any, where: str) -> dict[str, str]:
    if not isinstance(node, dict) or not node:
        raise CorpusError(f"{where} must be a mapping from the spelling in the name to its meaning")
    for key, value in node.items():
        _check_text(key, where)
        _check_text(value, f"{where}: '{key}'")
    return node


def _sexes(node: Any, where: str) -> dict[str, str]:
    if not isinstance(node, dict) or not set(node) <= set(_SEXES):
        raise CorpusError(f"{where} must be lists under {' and '.join(_SEXES)}")
    sexes: dict[str, str] = {}
    for sex, names in node.items():
        if not isinstance(names, list):
            raise CorpusError(f"{where}: '{sex}' must be a list")
        for name in names:
            _check_text(name, f"{where}: {sex}")
            if sexes.setdefault(name, sex) != sex:
                raise CorpusError(f"{where}: '{name}' is listed as {sexes[name]} and as {sex}")
    return sexes


def _check_labels(labels: Mapping[str, str], allowed: tuple[str, ...], where: str) -> None:
    for spelling, label in labels.items():
        if label not in allowed:
            raise CorpusError(f"{where}: '{spelling}' means '{label}', which is not one of {', '.join(allowed)}")


def _check_text(value: Any, where: str) -> None:
    # YAML reads 03 as a number and NO as a truth value
    if not isinstance(value, str):
        raise CorpusError(f"{where}: {value!r} must be text; put it in quotes")


def _look_up(values: Mapping[str, str], text: str) -> str | None:
    """The value for a spelling, exact capitals first."""
    if isinstance(values, _AsSpelled):
        return values[text]
    if text in values:
        return values[text]
    return next((value for key, value in values.items() if key.casefold() == text.casefold()), None)
