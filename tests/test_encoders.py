"""Encoders as files to frames: by onnxruntime, and by transformers where it is installed."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest

from ser.encoder_files import EncoderError, find
from ser.encoders import load_encoder
from tests.tiny import speech
from tests.tiny_encoder import HOP, KERNEL, WIDTH, write_onnx, write_wav2vec2

RATE_HZ = 16000
CLIP = speech(0.5)
N_FRAMES = (len(CLIP) - KERNEL) // HOP + 1


def load(path, *, rate_hz=RATE_HZ, maximum_s=20.0):
    return load_encoder(find(str(path), None), rate_hz, maximum_s)


def test_a_graph_gives_the_frames_that_its_weights_say(tmp_path):
    path = write_onnx(tmp_path / "model.onnx")
    (found,) = load(path)(CLIP)
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    parts = np.lib.stride_tricks.sliding_window_view(CLIP, KERNEL)[::HOP]
    np.testing.assert_allclose(found, np.tanh(parts @ stored["kernel"][:, 0].T @ stored["mix_0"]), atol=1e-5)
    assert found.shape == (N_FRAMES, WIDTH) and found.dtype == np.float32


def test_numbered_outputs_are_the_layers_in_order(tmp_path):
    names = ["last_hidden_state", *(f"hidden_states.{n}" for n in (10, 2, 0))]
    found = load(write_onnx(tmp_path / "model.onnx", outputs=names))(CLIP)
    assert len(found) == 3
    (ten,) = load(write_onnx(tmp_path / "ten.onnx", outputs=["x", "hidden_states.10"]))(CLIP)
    assert np.array_equal(found[2], ten) and not np.array_equal(found[0], found[1])


@pytest.mark.parametrize("outputs", [["logits", "last_hidden_state"], ["logits", "hidden_states"], ["frames", "logits"]])
def test_without_numbers_there_is_one_layer(tmp_path, outputs):
    assert len(load(write_onnx(tmp_path / "model.onnx", outputs=outputs))(CLIP)) == 1


def test_one_row_for_the_whole_part_is_its_only_frame(tmp_path):
    (found,) = load(write_onnx(tmp_path / "model.onnx", pooled=True))(CLIP)
    assert found.shape == (1, WIDTH)


def test_a_mask_is_all_ones(tmp_path):
    path = write_onnx(tmp_path / "model.onnx", inputs=["input_values", "attention_mask"])
    assert load(path)(CLIP)[0].shape == (N_FRAMES, WIDTH)


def test_settings_beside_a_graph_say_whether_loudness_counts(tmp_path):
    raw = load(write_onnx(tmp_path / "raw/model.onnx"))
    assert not np.allclose(raw(CLIP)[0], raw(CLIP * 0.5)[0], atol=1e-3)
    settings = {"do_normalize": True, "sampling_rate": RATE_HZ}
    normalised = load(write_onnx(tmp_path / "normalised/model.onnx", settings=settings))
    np.testing.assert_allclose(normalised(CLIP)[0], normalised(CLIP * 0.5)[0], atol=1e-3)
    assert not np.allclose(normalised(CLIP)[0], raw(CLIP)[0], atol=1e-3)


def test_another_rate_is_refused(tmp_path):
    path = write_onnx(tmp_path / "model.onnx", settings={"sampling_rate": 8000})
    with pytest.raises(EncoderError, match="hears sound at 8000 Hz; set sampling_rate_hz, now 16000, to that"):
        load(path)
    path.with_name("preprocessor_config.json").write_text("[1]")
    with pytest.raises(EncoderError, match="preprocessor_config.json: cannot be read as JSON"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x08\x12\x07", b"\x80\x04K\x01."])
def test_what_is_no_graph_is_one_sentence(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(EncoderError, match="model.onnx: no ONNX graph that runs by itself"):
        load(tmp_path / "model.onnx")


def test_weights_in_another_file_are_refused(tmp_path, monkeypatch):
    """Nobody has hashed that file."""
    path = write_onnx(tmp_path / "model.onnx")
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EncoderError, match="no ONNX graph that runs by itself .* weights inside"):
        load(path)


def test_a_graph_that_reads_something_else_is_no_speech_encoder(tmp_path):
    with pytest.raises(EncoderError, match="and 1 more; a speech encoder reads samples alone"):
        load(write_onnx(tmp_path / "model.onnx", inputs=["input_values", "token_type_ids"]))


def test_a_part_that_is_too_short_is_one_sentence(tmp_path):
    with pytest.raises(EncoderError, match="cannot hear 100 samples"):
        load(write_onnx(tmp_path / "model.onnx"))(CLIP[:100])


def test_an_output_of_another_shape_is_refused(tmp_path):
    path = write_onnx(tmp_path / "model.onnx")
    model = onnx.load(path)
    model.graph.node[-1].CopyFrom(onnx.helper.make_node("Unsqueeze", ["layer_1", "axis"], ["last_hidden_state"]))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(EncoderError, match=rf"gives float32 of shape \(1, 1, {N_FRAMES}, {WIDTH}\), not \(1, frames, columns\)"):
        load(path)(CLIP)


class Tensor(np.ndarray):
    """As much of a torch tensor as is used."""

    def numpy(self):
        return np.asarray(self)


class Libraries:
    """Stands for torch and transformers: what they are asked, and an answer of two layers."""

    def __init__(self, *, missing=(), mask=True, longest=None, decoder=False, shape=(1, 5, 3), rate_hz=RATE_HZ):
        self.missing, self.mask, self.shape, self.decoder, self.loaded = set(missing), mask, shape, decoder, []
        self.torch = SimpleNamespace(float32="float32", inference_mode=nullcontext, set_num_threads=lambda n: None)
        quiet = SimpleNamespace(set_verbosity_error=lambda: None, disable_progress_bar=lambda: None)
        self.extractor = SimpleNamespace(sampling_rate=rate_hz, n_samples=longest)
        self.transformers = SimpleNamespace(
            logging=quiet,
            AutoFeatureExtractor=SimpleNamespace(from_pretrained=self._make_extractor),
            AutoModel=SimpleNamespace(from_pretrained=self._make_model),
        )

    def _make_extractor(self, folder, **settings):
        self.loaded.append((sorted(path.name for path in Path(folder).iterdir()), settings))

        class Extractor(SimpleNamespace):
            def __call__(extractor, signal, **_):
                return self._features(signal)

        return Extractor(**vars(self.extractor))

    def _features(self, signal):
        heard = np.zeros((1, 2, 10)).view(Tensor) if self.mask == "features" or not self.mask else signal[None].view(Tensor)
        half = np.repeat([[1, 0]], 5, axis=1).view(Tensor)
        return {"input": heard} | ({"attention_mask": half} if self.mask else {})

    def _make_model(self, folder, **settings):
        self.loaded.append((sorted(path.name for path in Path(folder).iterdir()), settings))

        class Model(SimpleNamespace):
            def __call__(model, heard, **_):
                return SimpleNamespace(hidden_states=[np.full(self.shape, n, np.float32).view(Tensor) for n in range(2)])

        model = Model(main_input_name="input", train=lambda mode: model, config=SimpleNamespace(is_encoder_decoder=self.decoder))
        whole = SimpleNamespace(get_encoder=lambda: model, config=model.config) if self.decoder else model
        return whole, {"missing_keys": self.missing}


@pytest.fixture
def folder(tmp_path):
    for name in ("config.json", "preprocessor_config.json", "model.safetensors", "pytorch_model.bin", "adapter_config.json"):
        (tmp_path / "encoder").mkdir(exist_ok=True)
        (tmp_path / "encoder" / name).write_text("{}")
    return tmp_path / "encoder"


def with_libraries(monkeypatch, **settings):
    libraries = Libraries(**settings)
    monkeypatch.setitem(sys.modules, "torch", libraries.torch)
    monkeypatch.setitem(sys.modules, "transformers", libraries.transformers)
    return libraries


@pytest.mark.parametrize("decoder", [False, True])
def test_transformers_sees_the_hashed_files_alone_and_may_run_nothing(folder, monkeypatch, decoder):
    libraries = with_libraries(monkeypatch, missing={"encoder.masked_spec_embed"}, decoder=decoder)
    found = load(folder)(CLIP)
    assert [frames.shape for frames in found] == [(3, 3)] * 2, "what is padding is left out"
    for files, settings in libraries.loaded:
        assert files == ["config.json", "model.safetensors", "preprocessor_config.json"]
        assert settings["trust_remote_code"] is False and settings["local_files_only"] is True
    assert libraries.loaded[1][1]["use_safetensors"] is True and libraries.loaded[1][1]["dtype"] == "float32"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"missing": {"encoder.layers.0.weight"}}, "lacks 1 weights, such as encoder.layers.0.weight; it would guess them"),
        ({"longest": 160000}, "hears 10 s at once; lower maximum_s 20"),
        ({"rate_hz": 8000}, "hears sound at 8000 Hz"),
        ({"rate_hz": None}, "hears sound at None Hz"),
        ({"mask": None}, "does not say where a sound ends and its padding starts"),
        ({"shape": (1, 5)}, r"gives no hidden states of shape \(1, frames, columns\)"),
    ],
)
def test_an_encoder_that_does_not_fit_is_one_sentence(folder, monkeypatch, settings, sentence):
    with_libraries(monkeypatch, **settings)
    with pytest.raises(EncoderError, match=sentence):
        load(folder)(CLIP)


@pytest.mark.parametrize("absent", ["torch", "transformers"])
def test_without_the_extra_the_way_out_is_said(folder, monkeypatch, absent):
    with_libraries(monkeypatch)
    monkeypatch.setitem(sys.modules, absent, None)
    sentence = rf"runs with torch and transformers, and {absent} is not here; pip install 'ser\[pretrained\]', or take an ONNX"
    with pytest.raises(EncoderError, match=sentence):
        load(folder)


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    for name in ("torch", "transformers"):
        pytest.importorskip(name)
    return write_wav2vec2(tmp_path_factory.mktemp("encoder") / "wav2vec2")


def test_a_real_encoder_gives_its_hidden_states(wav2vec2):
    import torch
    import transformers

    found = load(wav2vec2)(CLIP)
    model = transformers.AutoModel.from_pretrained(wav2vec2).train(False)
    signal = (CLIP - CLIP.mean()) / np.sqrt(CLIP.var() + 1e-7)
    with torch.inference_mode():
        expected = model(torch.from_numpy(signal[None]), output_hidden_states=True).hidden_states
    assert len(found) == 3
    for layer, states in zip(found, expected, strict=True):
        np.testing.assert_allclose(layer, states[0].numpy(), atol=1e-5)
    assert all(np.array_equal(one, again) for one, again in zip(found, load(wav2vec2)(CLIP), strict=True))


def test_a_real_encoder_says_what_it_cannot_do(wav2vec2, tmp_path):
    with pytest.raises(EncoderError, match=r"cannot hear 10 samples \(\w+: "):
        load(wav2vec2)(CLIP[:10])
    text = tmp_path / "text"
    text.mkdir()
    for name, content in {"config.json": {"model_type": "bert"}, "model.safetensors": {}}.items():
        (text / name).write_text(json.dumps(content))
    with pytest.raises(EncoderError, match="no speech encoder that transformers can load"):
        load(text)


def test_a_configuration_that_asks_for_code_of_its_own_is_refused(wav2vec2, tmp_path):
    folder = tmp_path / "remote"
    folder.mkdir()
    for path in wav2vec2.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "unheard_of", "auto_map": {"AutoConfig": "code.C", "AutoModel": "code.M"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(EncoderError, match="no speech encoder that transformers can load"):
        load(folder)


def test_a_checkpoint_without_some_of_its_weights_is_refused(wav2vec2, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "half"
    folder.mkdir()
    for path in wav2vec2.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    half = {name: values for name, values in weights.items() if "layers.1." not in name and name != "masked_spec_embed"}
    save_file(half, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(EncoderError, match=r"lacks \d+ weights, such as encoder.layers.1"):
        load(folder)


def test_the_encoder_of_a_recogniser_that_pads_hears_the_clip_alone(tmp_path):
    for name in ("torch", "transformers"):
        pytest.importorskip(name)
    import transformers

    config = transformers.WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=8,
        decoder_ffn_dim=8, vocab_size=10, pad_token_id=1, bos_token_id=1, eos_token_id=1, decoder_start_token_id=1,
    )  # fmt: skip
    transformers.WhisperModel(config).save_pretrained(tmp_path / "whisper")
    transformers.WhisperFeatureExtractor().save_pretrained(tmp_path / "whisper")
    found = load(tmp_path / "whisper")(CLIP)
    assert [frames.shape for frames in found] == [(25, 8)] * 2, "fifty a second"
    with pytest.raises(EncoderError, match="hears 30 s at once; lower maximum_s 31"):
        load(tmp_path / "whisper", maximum_s=31.0)
