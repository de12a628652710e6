"""One clip, every model's answer: what each process of `ser predict` does."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ser.cli.clips import STDIN, is_pipe
from ser.cli.options import load_profile, names_of, trained_on
from ser.cli.text import sentence
from ser.errors import SerError

if TYPE_CHECKING:
    from ser.predictor import Predictor
    from ser.profile import Profile


@dataclass(frozen=True)
class Answer:
    """What one model says of a clip, or why it says nothing."""

    model: str
    prediction: dict[str, Any] = field(default_factory=dict)  # as `Prediction.as_dict`; empty with an error
    error: str | None = None


@dataclass(frozen=True)
class Answerer:
    """Loaded models by name; called with a path it gives one answer a model."""

    predictors: "dict[str, Predictor]"
    profile: "Profile | None" = None

    @classmethod
    def load(cls, folders: tuple[Path, ...], profile_path: Path | None, threads: int = 1) -> "Answerer":
        """Load models, and the profile for the first of them.

        Raises:
            ser.bundle.BundleError: a damaged model.
            ser.profile.ProfileError: a missing or damaged profile, or one made with another model.
        """
        from ser.predictor import Predictor

        predictors = [Predictor.load(folder, threads) for folder in folders]
        return cls(dict(zip(names_of(folders), predictors, strict=True)), load_profile(profile_path, predictors[0]))

    @property
    def trained_on(self) -> dict[str, str]:
        """Of each model, the corpora or that they were none."""
        return {name: trained_on(predictor) for name, predictor in self.predictors.items()}

    def __call__(self, path: str) -> tuple[Answer, ...]:
        """One answer a model, in their order; what is wrong with a file is part of the answer."""
        try:
            with _opened(path) as source:
                return tuple(self._answer(name, source, path) for name in self.predictors)
        except OSError as error:
            return self.failed(sentence(error, path))

    def failed(self, problem: str) -> tuple[Answer, ...]:
        """The answers to a clip that cannot be read."""
        return tuple(Answer(name, error=problem) for name in self.predictors)

    def _answer(self, name: str, source: "Path | BinaryIO", path: str) -> Answer:
        from ser.recording import open_recording
        from ser.timeline import predict_recording

        predictor = self.predictors[name]
        try:
            with open_recording(source, predictor.audio) as recording:
                return Answer(name, predict_recording(recording, predictor, self.profile).as_dict())
        except (SerError, OSError) as error:
            return Answer(name, error=sentence(error, path))


@contextmanager
def _opened(path: str) -> "Iterator[Path | BinaryIO]":
    """A path, or what comes through a pipe as a temporary file without a name, so that each model can read it."""
    if path != STDIN and not is_pipe(path):
        yield Path(path)
        return
    with tempfile.TemporaryFile() as copy:
        if path == STDIN:
            _copy(sys.stdin.buffer, copy)
        else:
            with open(path, "rb") as pipe:
                _copy(pipe, copy)
        yield copy


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    from ser.recording import Limits

    left = Limits().max_bytes + 1  # one byte too many, for the limit to be noticed
    while left > 0 and (piece := source.read(min(left, shutil.COPY_BUFSIZE))):
        target.write(piece)
        left -= len(piece)
