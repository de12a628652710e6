"""The front end that others trained: frames of a pretrained speech encoder, summed up in one row a clip.

Neither torch nor transformers nor onnxruntime is imported before the first clip.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np

from ser.encoder_files import EncoderError, content_hash, fetch, find
from ser.encoders import Encoder, load_encoder

NAME = "pretrained"  # of its recipes


@dataclass(frozen=True)
class Pretrained:
    """Mean and deviation over time of an encoder's frames.

    The encoder is named by its source and known by its content: rows are made with the files of that hash or not at all.
    """

    source: str  # a folder, an .onnx file, or with a revision a repository of the Hugging Face hub
    revision: str | None
    layer: int | None  # 0 is what enters the first block, -1 what leaves the last; None is the mean of all
    pooling: tuple[Literal["mean", "sd"], ...]
    sampling_rate_hz: int  # signals at another rate are resampled first
    maximum_s: float  # that it hears at once; longer clips are cut into equal parts
    sha256: str = ""  # of its files; empty until `pinned`
    width: int = 0  # columns of a frame; 0 until `pinned`

    def __post_init__(self) -> None:
        """Refuse a row of nothing, and parts too short to hear anything in."""
        for wrong, sentence in (
            (not self.source, "source must name an encoder"),
            (not self.pooling or not {*self.pooling} <= {"mean", "sd"}, "pooling must name mean, sd or both"),
            (self.maximum_s < 1, f"maximum_s {self.maximum_s:g} is less than a second"),
        ):
            if wrong:
                raise EncoderError(f"pretrained encoder: {sentence}")

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> "Pretrained":
        """Rebuild from the `fields` of a stored recipe."""
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})

    @property
    def recipe(self) -> dict[str, Any]:
        """What `from_fields` needs, for recipe.json."""
        return {"name": NAME, "fields": asdict(self)}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, such as `encoder_0_mean`; none before `pinned`."""
        return tuple(f"encoder_{n}_{functional}" for functional in self.pooling for n in range(self.width))

    def pinned(self) -> "Pretrained":
        """The same with hash and width, the encoder fetched if need be and tried on a second of silence.

        Raises:
            EncoderError: it cannot be had, is no encoder, or is not the one whose hash is given.
        """
        files = fetch(self.source, self.revision)
        found = content_hash(files)
        if self.sha256 and found != self.sha256:
            raise EncoderError(f"{self.source}: its sha256 is {found}, params.yaml says {self.sha256}; correct either")
        encoder = load_encoder(files, self.sampling_rate_hz, self.maximum_s)
        frames = self._frames(encoder(np.zeros(self.sampling_rate_hz, np.float32)))
        return replace(self, sha256=found, width=frames.shape[1])

    def load(self) -> None:
        """Find the encoder on this machine and load it, which the first clip would do otherwise; nothing is downloaded.

        Raises:
            EncoderError: it is not here, its content is another, or what runs it is not installed.
        """
        self._encoder  # noqa: B018 - kept by the property

    def __call__(self, signal: np.ndarray, sampling_rate_hz: int) -> np.ndarray:
        """Functionals over the frames of a mono float32 signal (n_samples,): float32 (1, n_columns).

        Memory grows with `maximum_s`, not with the clip.

        Raises:
            EncoderError: as `load`, or the clip is too short for the encoder.
        """
        if sampling_rate_hz != self.sampling_rate_hz:
            import soxr

            signal = soxr.resample(signal, sampling_rate_hz, self.sampling_rate_hz, quality="VHQ")
        n_parts = max(1, int(np.ceil(len(signal) / (self.maximum_s * self.sampling_rate_hz))))
        count, total, squares = 0, np.zeros(self.width), np.zeros(self.width)
        for part in np.array_split(signal, n_parts):
            frames = self._frames(self._encoder(part)).astype(np.float64)
            if frames.shape[1] != self.width:
                raise EncoderError(f"{self.source}: gives frames of {frames.shape[1]} columns, {self.width} were expected")
            count, total, squares = count + len(frames), total + frames.sum(axis=0), squares + (frames**2).sum(axis=0)
        mean = total / count
        functionals = {"mean": mean, "sd": np.sqrt(np.maximum(squares / count - mean**2, 0.0))}
        return np.concatenate([functionals[name] for name in self.pooling])[np.newaxis].astype(np.float32)

    def _frames(self, layers: Sequence[np.ndarray]) -> np.ndarray:
        """The layer that is used, or the mean of all: (n_frames, width)."""
        if len({layer.shape for layer in layers}) > 1:
            raise EncoderError(f"{self.source}: its layers differ in shape, so that they have no mean; export one of them")
        if self.layer is None:
            return np.mean(layers, axis=0, dtype=np.float64)
        if not -len(layers) <= self.layer < len(layers):
            raise EncoderError(f"{self.source}: has layers 0 to {len(layers) - 1}; layer {self.layer} is none of them")
        return layers[self.layer]

    @cached_property
    def _encoder(self) -> Encoder:
        return _loaded(self)

    def __getstate__(self) -> dict[str, Any]:
        """Pass the settings alone to another process, which loads an encoder of its own."""
        return asdict(self)


@lru_cache(maxsize=1)
def _loaded(front_end: Pretrained) -> Encoder:
    """The encoder of a front end; kept, since a worker process gets the front end anew with every few clips."""
    files = find(front_end.source, front_end.revision)
    found = content_hash(files)
    if found != front_end.sha256:
        raise EncoderError(
            f"{front_end.source}: not the encoder that was used before (its sha256 starts with {found[:12]}, not "
            f"{front_end.sha256[:12]}); put the former files back, or make everything from these with `dvc repro`"
        )
    return load_encoder(files, front_end.sampling_rate_hz, front_end.maximum_s)
