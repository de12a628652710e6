"""Pretrained speech encoders in memory: a signal to the frames of each layer, by onnxruntime or by transformers.

Both run on one processor thread, so that a row is the same to the bit whether a stage or a predictor computes it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np

from ser.encoder_files import GRAPH, SETTINGS, EncoderError, reason
from ser.onnx_errors import onnx_errors

_UNUSED = "masked_spec_embed"  # a weight that only pretraining uses, and many published checkpoints lack


class Encoder(Protocol):
    """A signal to frames."""

    def __call__(self, signal: np.ndarray) -> Sequence[np.ndarray]:
        """Frames of each layer, float32 (n_frames, width), of a mono float32 signal (n_samples,) at the encoder's rate."""


def load_encoder(files: Mapping[str, Path], sampling_rate_hz: int, maximum_s: float) -> Encoder:
    """Load what `ser.encoder_files.find` found.

    Args:
        files: by name.
        sampling_rate_hz: that the signals will have.
        maximum_s: how much it will hear at once.

    Raises:
        EncoderError: it is no speech encoder, wants another rate or shorter parts, or what runs it is not installed.
    """
    if GRAPH in files:
        return OnnxEncoder(files, sampling_rate_hz)
    return HuggingFaceEncoder(files, sampling_rate_hz, maximum_s)


class OnnxEncoder:
    """A graph with one input (1, n_samples) and outputs (1, n_frames, width), one a layer, or (1, width).

    As exported by optimum: outputs `hidden_states.<n>` are the layers where there are any, else there is one layer,
    `last_hidden_state`, `hidden_states` or the first output. A preprocessor_config.json beside the file says whether the
    signal is brought to mean 0 and variance 1 first.
    """

    def __init__(self, files: Mapping[str, Path], sampling_rate_hz: int) -> None:
        import onnxruntime

        self._path = files[GRAPH]
        settings = _settings(files[SETTINGS]) if SETTINGS in files else {}
        _require_rate(self._path, settings.get("sampling_rate", sampling_rate_hz), sampling_rate_hz)
        self._normalise = settings.get("do_normalize", False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:  # from memory, so that a graph cannot bring weights from another file, which nobody has hashed
            self._session = onnxruntime.InferenceSession(self._path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except (OSError, RuntimeError, *onnx_errors()) as error:
            raise EncoderError(
                f"{self._path}: no ONNX graph that runs by itself ({type(error).__name__}); export it again, weights inside"
            ) from None
        self._input, self._mask = self._inputs()
        self._outputs = self._layers()

    def __call__(self, signal: np.ndarray) -> Sequence[np.ndarray]:
        """Frames of each layer; EncoderError if the graph cannot hear such a signal, or answers in another shape."""
        if self._normalise:
            signal = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)  # as transformers does
        heard = {self._input: signal[np.newaxis].astype(np.float32)}
        if self._mask:
            heard[self._mask.name] = np.ones((1, len(signal)), np.int32 if "int32" in self._mask.type else np.int64)
        try:
            found = self._session.run(self._outputs, heard)
        except (RuntimeError, *onnx_errors()) as error:
            raise EncoderError(f"{self._path}: cannot hear {len(signal)} samples ({type(error).__name__})") from None
        return [self._frames(values) for values in found]

    def _frames(self, values: np.ndarray) -> np.ndarray:
        if values.ndim not in (2, 3) or len(values) != 1 or not np.issubdtype(values.dtype, np.floating):
            raise EncoderError(f"{self._path}: gives {values.dtype} of shape {values.shape}, not (1, frames, columns)")
        return values.reshape(-1, values.shape[-1]).astype(np.float32)  # a row for the whole part is its only frame

    def _inputs(self) -> tuple[str, Any]:
        """Name of the input for the signal, and the input for a mask if there is one."""
        first, *others = self._session.get_inputs()
        masks = [tensor for tensor in others if tensor.name == "attention_mask" and "int" in tensor.type]
        if first.type != "tensor(float)" or len(first.shape) != 2 or len(masks) < len(others):
            raise EncoderError(
                f"{self._path}: reads {first.type} of shape {first.shape} and {len(others)} more; a speech encoder reads samples "
                "alone, float32 (1, n_samples)"
            )
        return first.name, masks[0] if masks else None

    def _layers(self) -> list[str]:
        names = [output.name for output in self._session.get_outputs()]
        numbered = [name for name in names if name.startswith("hidden_states.") and name.rpartition(".")[2].isdecimal()]
        if numbered:
            return sorted(numbered, key=lambda name: int(name.rpartition(".")[2]))
        return [next((name for name in ("last_hidden_state", "hidden_states") if name in names), names[0])]


class HuggingFaceEncoder:
    """An encoder of the transformers library; of an encoder-decoder such as Whisper, the encoder.

    Its layers are the hidden states: what enters the first block, then what leaves each.
    """

    def __init__(self, files: Mapping[str, Path], sampling_rate_hz: int, maximum_s: float) -> None:
        self._torch, transformers = _libraries()
        self._name = str(files["config.json"].parent)
        self._torch.set_num_threads(1)
        transformers.logging.set_verbosity_error()  # what is missing is checked below; a head that is left over is expected
        transformers.logging.disable_progress_bar()
        safe = {"local_files_only": True, "trust_remote_code": False}
        try:
            with TemporaryDirectory() as folder:  # where the library sees the files that were hashed, and no others
                for name, path in files.items():
                    Path(folder, name).symlink_to(path.resolve())
                self._extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **safe)
                model, loading = transformers.AutoModel.from_pretrained(
                    folder, use_safetensors=True, output_loading_info=True, dtype=self._torch.float32, **safe
                )
        except Exception as error:  # a foreign configuration can make the library raise anything
            raise EncoderError(f"{self._name}: no speech encoder that transformers can load ({reason(error)})") from None
        if missing := sorted(name for name in loading["missing_keys"] if not name.endswith(_UNUSED)):
            raise EncoderError(f"{self._name}: lacks {len(missing)} weights, such as {missing[0]}; it would guess them")
        self._model = model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model
        self._model.train(False)  # no dropout
        _require_rate(self._name, getattr(self._extractor, "sampling_rate", None), sampling_rate_hz)
        self._rate_hz = sampling_rate_hz
        longest = getattr(self._extractor, "n_samples", None)  # of Whisper, which cuts what is longer without a word
        if longest is not None and maximum_s * sampling_rate_hz > longest:
            raise EncoderError(f"{self._name}: hears {longest / sampling_rate_hz:g} s at once; lower maximum_s {maximum_s:g}")

    def __call__(self, signal: np.ndarray) -> Sequence[np.ndarray]:
        """Frames of each layer; EncoderError if the encoder cannot hear such a signal, or gives no frames."""
        try:
            features = self._extractor(
                signal, sampling_rate=self._rate_hz, return_tensors="pt", return_attention_mask=True
            )  # one clip at a time: padding to others would change its answer
            heard, mask = features[self._model.main_input_name], features.get("attention_mask")
            padded = {} if mask is None or bool(mask.all()) else {"attention_mask": mask}
            with self._torch.inference_mode():
                states = self._model(heard, output_hidden_states=True, **padded).hidden_states
        except Exception as error:  # models of many authors, each with errors of its own
            raise EncoderError(f"{self._name}: cannot hear {len(signal)} samples ({reason(error)})") from None
        if mask is None and heard.ndim != 2:
            raise EncoderError(f"{self._name}: does not say where a sound ends and its padding starts")
        if not states or any(state.ndim != 3 or len(state) != 1 for state in states):
            raise EncoderError(f"{self._name}: gives no hidden states of shape (1, frames, columns)")
        heard_of, whole = (1, 1) if mask is None else (int(mask.sum()), mask.shape[-1])  # Whisper pads to 30 s: that is cut off
        return [state[0, : max(1, -(-state.shape[1] * heard_of // whole))].numpy() for state in states]


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EncoderError(
            f"this encoder runs with torch and transformers, and {error.name} is not here; pip install 'ser[pretrained]', "
            "or take an ONNX file"
        ) from None
    return torch, transformers


def _settings(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise EncoderError(f"{path}: cannot be read as JSON; copy it again from where the encoder came from") from None


def _require_rate(name: Path | str, expected: Any, sampling_rate_hz: int) -> None:
    if expected != sampling_rate_hz:
        raise EncoderError(f"{name}: hears sound at {expected} Hz; set sampling_rate_hz, now {sampling_rate_hz}, to that")
