"""The page itself, run by Streamlit's AppTest on a real predictor whose small graph is written by hand."""

import io
import json
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from streamlit.testing.v1 import AppTest

from ser import demo_voice

pytestmark = pytest.mark.slow  # each test runs the whole page

ROOT = Path(__file__).parents[1]
EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised")
N_FRAMES, N_STEPS = 64, 16


@cache
def spoken(emotion="angry", speaker="anna", n_syllables=7, take=1):
    """A wav file of a synthetic voice."""
    voice = demo_voice.make_speaker(speaker, "female", seed=5)
    rng = demo_voice.seeded(7, emotion, speaker, take)
    style = demo_voice.style_of(voice, emotion, rng, strength=1.2, variation=0.7, seed=5)
    return wav(demo_voice.speak(voice, f"sentence {take}", style, rng, n_syllables=n_syllables, sung=False))


def wav(signal, rate_hz=demo_voice.RATE_HZ):
    file = io.BytesIO()
    soundfile.write(file, signal, rate_hz, format="WAV")
    return file.getvalue()


def long_speech():
    """Two voices' worth of sentences with a pause, about 12 s."""
    parts = [
        soundfile.read(io.BytesIO(spoken(emotion, n_syllables=12, take=3)))[0] for emotion in ("angry", "sad", "happy", "fear")
    ]
    return wav(np.concatenate([parts[0], parts[1], np.zeros(32_000), *parts[2:]]))


def make_bundle(folder, *, synthetic=False, unsure_below=0.0, with_prosody=True):
    """A bundle that any predictor takes: the graph weighs mean level by band, untrained, and attends where it is loud."""
    import onnx
    from onnx import TensorProto, helper

    folder.mkdir(parents=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    n_bands = params["spectrogram"]["n_mels"]
    weights = np.random.default_rng(3).normal(0, 0.002, (n_bands, len(EMOTIONS))).astype(np.float32)
    tensor, node, info = helper.make_tensor, helper.make_node, helper.make_tensor_value_info
    nodes = [
        node("IsNaN", ["spectrogram"], ["missing"]),
        node("Where", ["missing", "floor", "spectrogram"], ["frames"]),
        node("ReduceMean", ["frames"], ["mean"], axes=[1], keepdims=0),
        node("MatMul", ["mean", "weights"], ["logits"]),
        node("Softmax", ["logits"], ["emotion"], axis=1),
        node("ReduceMean", ["frames"], ["level"], axes=[2], keepdims=0),
        node("Reshape", ["level", "steps"], ["groups"]),
        node("ReduceMean", ["groups"], ["loudness"], axes=[2], keepdims=1),
        node("Mul", ["loudness", "sharpness"], ["scores"]),
        node("Softmax", ["scores"], ["attention"], axis=1),
    ]
    constants = [
        tensor("floor", TensorProto.FLOAT, [1], [-100.0]),
        tensor("sharpness", TensorProto.FLOAT, [1], [0.1]),
        tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
        tensor("steps", TensorProto.INT64, [3], [-1, N_STEPS, N_FRAMES // N_STEPS]),
    ]
    inputs = [info("spectrogram", TensorProto.FLOAT, ["n", N_FRAMES, n_bands])]
    recipes = {"spectrogram": {"name": "spectrogram", "fields": params["spectrogram"]}}
    columns = ()
    if with_prosody:
        from ser.prosodic_frontend import ProsodicFrontEnd

        fields = {"prosody": params["prosody"], "functionals": params["functionals"]}
        columns = ProsodicFrontEnd.from_fields(fields).names
        recipes["prosody"] = {"name": "prosody", "fields": fields}
        inputs.append(info("prosody", TensorProto.FLOAT, ["n", len(columns)]))
        inputs.append(info("speaker", TensorProto.FLOAT, ["n", len(columns)]))
        place = columns.index("pro_f0_mean_hz")
        pick = np.zeros((len(columns), len(EMOTIONS)), np.float32)
        pick[place, EMOTIONS.index("happy")] = 0.003
        constants += [tensor("pick", TensorProto.FLOAT, pick.shape, pick.ravel()), tensor("none", TensorProto.FLOAT, [1], [0.0])]
        nodes[3:5] = [
            node("MatMul", ["mean", "weights"], ["by_band"]),
            node("IsNaN", ["prosody"], ["undefined"]),
            node("Where", ["undefined", "none", "prosody"], ["defined"]),
            node("IsNaN", ["speaker"], ["unknown"]),
            node("Where", ["unknown", "none", "speaker"], ["usual"]),
            node("Sub", ["defined", "usual"], ["unusual"]),
            node("MatMul", ["unusual", "pick"], ["by_pitch"]),
            node("Add", ["by_band", "by_pitch"], ["logits"]),
            node("Softmax", ["logits"], ["emotion"], axis=1),
        ]
    outputs = [info("emotion", TensorProto.FLOAT, ["n", len(EMOTIONS)]), info("attention", TensorProto.FLOAT, ["n", N_STEPS, 1])]
    graph = helper.make_graph(nodes, "by hand", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, folder / "graph.onnx")
    test = {"per_corpus": {"emodb": {"uar": 0.761, "uar_low": 0.7, "uar_high": 0.8, "n": 78, "n_speakers": 2}}}
    description = {
        "format": "ser-bundle",
        "version": 1,
        "model": folder.name,
        "emotions": EMOTIONS,
        "inputs": recipes,
        "n_frames": N_FRAMES,
        "audio": params["audio"],
        "calibration": {
            "temperature": 1.0,
            "unsure_below": unsure_below,
            "test": {"coverage": 0.5, "accuracy_when_sure": 0.7},
        },
        "files": {"graph.onnx": sha256((folder / "graph.onnx").read_bytes()).hexdigest()},
        "display_prosody": params["prosody"],
        "synthetic": synthetic,
        "corpora": ["emodb"],
        "metrics": {"test": test | {"mean_of_corpora": {"uar": 0.761}}},
        "limits": ["Acted speech of few speakers."],
        "licences": {"emodb": "free to use"},
    }
    (folder / "bundle.json").write_text(json.dumps(description), encoding="utf-8")
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A place with a models folder of its own, empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SER_MODEL", raising=False)
    monkeypatch.setattr("ser.bundle.MODELS", tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def page(models):
    """The page with one model, as it opens."""
    make_bundle(models / "first")
    return opened()


def opened():
    page = AppTest.from_file(str(ROOT / "ser/app/main.py"), default_timeout=60).run()
    assert not page.exception
    return page


def upload(page, *files, voice=()):
    """Put files into both boxes; AppTest forgets those of a box that is not set again."""
    page.file_uploader(key="files").set_value([(name, data, "audio/wav") for name, data in files])
    page.file_uploader(key="voice").set_value([(name, data, "audio/wav") for name, data in voice])
    page.run()
    assert not page.exception
    return page


def text_of(page):
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "warning", "info", "success")
    return "\n".join(str(element.value) for kind in kinds for element in page.get(kind)).replace("\N{NO-BREAK SPACE}", " ")


def charts_of(page):
    return [element.proto for element in page.get("arrow_vega_lite_chart") or page.get("vega_lite_chart")]


def test_without_a_model_the_page_says_how_to_get_one(models):
    assert "make repro" in opened().error[0].value


def test_a_damaged_model_is_one_sentence(models):
    graph = make_bundle(models / "first") / "graph.onnx"
    graph.write_bytes(graph.read_bytes()[:-5])
    assert "damaged" in opened().error[0].value


def test_the_open_page_tells_figures_limits_and_what_it_is_not_for(page):
    text = text_of(page)
    assert "EmoDB" in text and "76.1 %" in text
    assert "Acted speech of few speakers" in text
    assert "Article 5(1)(f)" in text
    assert "verdict on 50 % of the test clips, and was right on 70 %" in text
    assert page.dataframe[0].value["95 % interval"].tolist() == ["70.0 to 80.0"]


def test_one_clip_gets_verdict_and_pictures(page):
    upload(page, ("hello.wav", spoken()))
    text = text_of(page)
    assert any("## " in text and emotion in text for emotion in EMOTIONS) and " probable" in text
    assert "Half of the model's attention went to" in text
    assert len(charts_of(page)) == 4  # probabilities, waveform, log-mel, pitch
    assert not page.error


def test_an_unsure_answer_says_so(models):
    make_bundle(models / "first", unsure_below=0.999)
    text = text_of(upload(opened(), ("hello.wav", spoken())))
    assert "## unsure" in text and "Nearest is" in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not audio at all", "text, not audio"),
        (b"", "empty"),
        (wav(np.zeros(16_000)), "silent"),
        (wav(np.ones(100)), "too short"),
    ],
)
def test_a_bad_file_is_one_sentence_and_the_others_are_shown(page, data, said):
    upload(page, ("bad.wav", data), ("good.wav", spoken()))
    assert len(page.error) == 1
    assert "bad" in page.error[0].value and said in page.error[0].value.replace("\\", "")
    assert "Half of the model's attention" in text_of(page)


def test_markdown_in_a_file_name_is_shown_as_it_is(page):
    upload(page, ("**bold** [link](http://x).wav", b"no"))
    assert r"\*\*bold\*\*" in page.error[0].value


def test_many_files_make_a_table_with_the_true_emotion_of_a_known_corpus(page):
    upload(page, ("03a01Wa.wav", spoken()), ("mine.wav", spoken("sad")), ("again.wav", spoken("happy")))
    table = page.dataframe[0].value
    assert table["File"].tolist() == ["03a01Wa.wav", "mine.wav", "again.wav"]
    assert table["True emotion"].tolist()[0] == "angry"
    assert "of 1 right" in text_of(page)


def test_without_known_names_there_is_no_accuracy(page):
    upload(page, ("one.wav", spoken()), ("two.wav", spoken("sad")))
    assert "True emotion" not in page.dataframe[0].value
    assert "accuracy" not in text_of(page)


def test_the_chosen_clip_is_the_one_shown(page):
    upload(page, ("one.wav", spoken()), ("two.wav", spoken("sad")))
    assert "**one\\.wav**" in text_of(page)
    page.selectbox(key="clip").select_index(1).run()
    assert "**two\\.wav**" in text_of(page) and "**one\\.wav**" not in text_of(page)


def test_two_models_stand_side_by_side(models):
    make_bundle(models / "first", with_prosody=False)
    make_bundle(models / "second", synthetic=True)
    page = opened()
    page.multiselect(key="models").set_value(["first", "second"]).run()
    upload(page, ("hello.wav", spoken()))
    assert "**first**" in text_of(page) and "**second**" in text_of(page)
    assert len(charts_of(page)) == 6  # probabilities and attention twice


def test_a_model_of_demo_voices_is_flagged(models):
    make_bundle(models / "first", synthetic=True)
    assert "synthetic demo voices" in opened().warning[0].value


def test_a_long_recording_gets_a_timeline(page):
    upload(page, ("long.wav", long_speech()))
    text = text_of(page)
    assert "Over time" in text
    verdicts = [frame.value["Verdict"].tolist() for frame in page.dataframe if "Verdict" in frame.value]
    assert verdicts and all(set(stretch) <= {*EMOTIONS, "unsure", "nobody speaks"} for stretch in verdicts)


def test_a_short_one_gets_none(page):
    assert "Over time" not in text_of(upload(page, ("hello.wav", spoken())))


def neutral_clips(n):
    return [(f"{take}.wav", spoken("neutral", take=take)) for take in range(n)]


def test_an_enrolled_voice_changes_the_answer(page):
    def verdict():
        return next(line for line in text_of(page).splitlines() if " probable" in line)

    hello = ("hello.wav", spoken())
    upload(page, hello)
    alone = verdict()
    upload(page, hello, voice=neutral_clips(4))
    assert "this voice is known from 4 clips" in page.success[0].value
    assert verdict() != alone
    upload(page, hello)
    assert verdict() == alone and not page.success


def test_two_clips_are_too_few_for_a_voice_and_a_bad_one_is_named(page):
    upload(page, voice=[*neutral_clips(2), ("bad.wav", b"no")])
    assert "2 usable so far; at least 3" in page.info[0].value
    assert "bad" in page.error[0].value
    assert not page.success


def test_a_model_that_cannot_know_a_voice_says_so_and_still_answers(models):
    make_bundle(models / "first", with_prosody=False)
    page = upload(opened(), ("hello.wav", spoken()), voice=neutral_clips(3))
    assert "cannot know a voice" in page.info[0].value
    assert " probable" in text_of(page)


def test_what_stands_out_is_told_against_enough_other_clips(page):
    others = [(f"{n}.wav", spoken("neutral", take=n)) for n in range(5)]
    upload(page, ("loud.wav", spoken("angry")), *others)
    assert "mean of the other clips on this page" in text_of(page)
    upload(page, ("loud.wav", spoken("angry")), *others[:2])
    assert "Add four more clips" in text_of(page)


def test_nothing_is_left_on_disk(page, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    upload(page, ("hello.wav", spoken()), ("bad.wav", b"no"))
    assert sorted(tmp_path.rglob("*")) == before
