"""The robustness report: a fair sample, paired figures, and the document that is written of them."""

import hashlib
import json
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmarks import robustness, robustness_report
from ser.arrays import write_arrays
from ser.audio import to_int16
from ser.bootstrap import SpeakerBootstrap
from ser.files import write_csv
from ser.params import ParamsError, load_params
from ser.robustness import CONDITIONS, INTACT, RobustnessError, RobustnessParams, disturbed, sample
from ser.robustness_document import as_markdown
from ser.robustness_figure import draw_robustness
from ser.robustness_panels import PANELS, points
from ser.robustness_scores import Answer, report
from tests.test_dvc_yaml import ROOT
from tests.tiny import RATE_HZ, speech

EMOTIONS = ("neutral", "sad", "angry")
BOOTSTRAP = SpeakerBootstrap(n_bootstrap=100, seed=1)
PARAMS = RobustnessParams(
    clips=12,
    seed=1,
    snr_db=(10.0, 0.0),
    gain_db=(-20.0, 6.0),
    band=("narrowband",),
    mp3_kbps=(32,),
    first_s=(0.5,),
    speech_db=30.0,
    t60_s=(0.6,),
    direct_db=0.0,
)


def cleaned(n_takes=6):
    """Two corpora, a with speakers of one and of many clips, b with a single speaker; a training row besides."""
    rows = [
        {"id": f"{speaker}/{emotion}/{take}", "corpus": speaker[0], "speaker": speaker, "emotion": emotion, "split": "test"}
        for speaker, takes in (("a1", n_takes), ("a2", n_takes), ("a3", 1), ("b1", n_takes))
        for emotion in EMOTIONS
        for take in range(takes)
    ]
    return pd.DataFrame([*rows, {"id": "t", "corpus": "a", "speaker": "a9", "emotion": "sad", "split": "train"}])


CLIPS = sample(cleaned(), PARAMS)


def answered(right, wrong=()):
    """Answers about CLIPS: right but for every so many, in which `wrong` take turns."""
    return [wrong[n // right % len(wrong)] if wrong and n % right == 0 else Answer(e) for n, e in enumerate(CLIPS["emotion"])]


def results(**answers):
    found = {key: answered(1) for key in PARAMS.keys}
    found |= {(name, level): told for name, told in answers.items() for _, level in [k for k in PARAMS.keys if k[0] == name]}
    return report(CLIPS, found, EMOTIONS, BOOTSTRAP)


def full(figures, **facts):
    """What the stage writes."""
    corpora = {name: {"n": len(part), "n_speakers": part["speaker"].nunique()} for name, part in CLIPS.groupby("corpus")}
    bundle = {"model": "hybrid", "corpora": ["a", "b"], "fingerprint": "f" * 64}
    known = {"synthetic_demo_voices": 0, "test_speakers_heard_in_training": 0, "split": "test"}
    settings = {"speech_db": 30.0, "direct_db": 0.0}
    return {"bundle": bundle, "corpora": corpora, "settings": settings, **known, **figures, **facts}


def test_the_sample_is_balanced_and_the_same_each_time():
    assert (CLIPS["split"] == "test").all() and CLIPS["id"].is_unique and CLIPS["id"].is_monotonic_increasing
    assert CLIPS.groupby("corpus").size().to_dict() == {"a": 12, "b": 12}
    assert set(CLIPS.groupby(["corpus", "emotion"]).size()) == {4}
    speakers = CLIPS[CLIPS["corpus"] == "a"].groupby(["emotion", "speaker"]).size().unstack()
    assert set(speakers["a3"]) == {1} and set(speakers["a1"]) | set(speakers["a2"]) <= {1, 2}
    shuffled = cleaned().sample(frac=1, random_state=5)
    assert sample(shuffled, PARAMS)["id"].tolist() == CLIPS["id"].tolist(), "the order of the table does not matter"
    one = shuffled[shuffled["corpus"] == "a"]
    assert sample(one, PARAMS)["id"].tolist() == CLIPS.loc[CLIPS["corpus"] == "a", "id"].tolist(), "nor do other corpora"
    assert len(sample(cleaned(n_takes=2), PARAMS)) == 12 + 6, "all of a small corpus"
    with pytest.raises(RobustnessError, match="no test clip"):
        sample(one[one["split"] == "train"], PARAMS)


def test_every_clip_is_asked_about_in_every_condition_with_noise_of_its_own():
    clip = speech(1.0)
    found, again, other = (dict(disturbed(clip, RATE_HZ, name, PARAMS)) for name in ("x", "x", "y"))
    assert list(found) == PARAMS.keys and {name for name, _ in found} == {INTACT, *CONDITIONS}
    assert np.array_equal(found[INTACT, None], clip)
    for key, signal in found.items():
        assert np.array_equal(signal, again[key])
        drawn = key[0].endswith("noise") or key[0] == "reverberation"
        assert np.array_equal(signal, other[key]) != drawn, key
    loud, soft = (found["white_noise", snr_db] - clip for snr_db in (0.0, 10.0))
    assert np.corrcoef(loud, soft)[0, 1] > 0.99, "the same noise, louder"


def test_the_committed_parameters_are_those_that_are_asked_for(monkeypatch):
    monkeypatch.chdir(ROOT)
    params = load_params("robustness", RobustnessParams, robustness.PARAMS)
    shown = {name for panel in PANELS for name in panel.conditions}
    assert shown == set(CONDITIONS) and len(params.keys) == 36


@pytest.mark.parametrize("wrong", [{"clips": 0}, {"mp3_kbps": [100]}, {"t60_s": [0.0]}, {"first_s": [0.0]}, {"band": ["am"]}])
def test_levels_that_cannot_be_are_refused(wrong, tmp_path):
    section = yaml.safe_load((ROOT / robustness.PARAMS).read_text())["robustness"] | wrong
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"robustness": section}))
    with pytest.raises(ParamsError, match=next(iter(wrong))):
        load_params("robustness", RobustnessParams, tmp_path / "params.yaml")


def test_what_changes_nothing_differs_by_nothing_and_what_is_missed_is_missed():
    figures = results(gain=answered(2, [Answer("neutral", unsure=True)]))
    assert figures["intact"]["uar"] == 1 and figures["intact"]["unsure"] == 0 and figures["intact"]["interval_over_clips"] == 1
    same = figures["conditions"]["white_noise"]
    assert [scores["level"] for scores in same] == [10.0, 0.0]
    assert all(scores["delta"] == scores["delta_low"] == scores["delta_high"] == 0 for scores in same)
    for scores in figures["conditions"]["gain"]:
        assert scores["delta"] == pytest.approx(scores["uar"] - 1) and scores["unsure"] == 0.5 and scores["refused"] == 0
        assert scores["delta_low"] <= scores["delta"] <= scores["delta_high"] <= 0
        assert scores["uar"] == pytest.approx(np.mean([part["uar"] for part in scores["corpora"].values()]))
        assert scores["uar_low"] <= scores["uar"] <= scores["uar_high"]
    json.dumps(figures, allow_nan=False)


def test_a_refused_clip_is_a_miss_and_says_why():
    refused = [Answer(refused="too short"), Answer(refused="too short"), Answer(refused="silent")]
    figures = results(length=answered(2, refused), mp3=[Answer(refused="silent")] * len(CLIPS))
    (short,), (nothing,) = figures["conditions"]["length"], figures["conditions"]["mp3"]
    assert short["refused"] == 0.5 and short["reasons"] == {"silent": 0.166667, "too short": 0.333333}
    assert short["uar"] < 1 and short["unsure"] == 0
    assert nothing["uar"] == nothing["uar_high"] == 0 and nothing["delta"] == -1


def test_an_emotion_the_model_does_not_know_is_refused():
    with pytest.raises(RobustnessError, match="not 'sad'"):
        report(CLIPS, {(INTACT, None): answered(1)}, ("neutral", "angry"), BOOTSTRAP)


def test_the_intact_clip_stands_where_it_belongs():
    figures = full(results())
    level, room = (next(panel for panel in PANELS if name in panel.conditions) for name in ("gain", "reverberation"))
    assert [name for name, _ in points(figures, level, "gain")] == ["-20", "0", "6"]
    assert [name for name, _ in points(figures, room, "reverberation")] == ["0", "0.6"]
    assert points(figures, level, "gain")[1][1] is figures["intact"]
    assert [name for name, _ in points(figures, PANELS[0], "pink_noise")] == ["none", "10", "0"]


def test_the_document_says_what_was_asked_and_how_sure_it_is():
    figures = full(results(length=answered(2, [Answer(refused="too short")]), gain=answered(3, [Answer("sad", unsure=True)])))
    text = as_markdown(figures)
    assert "Bundle: `hybrid`, trained on a, b" in text and "Split: test. Clips: 24 of 4 speakers" in text
    assert "a 12 (3), b 12 (1)" in text and "Not run yet" not in text and "robustness.png" in text
    assert "synthetic demo" not in text and "flatter" not in text and "{" not in text
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == [panel.title for panel in PANELS]
    assert text.count("| none | 100.0 (100.0 to 100.0)* | - | 0 % | 0 | 100.0 | 100.0 |") == 2, "of noise once, and of MP3"
    assert "| white, 10 | 100.0" in text and "| like speech, 0 | 100.0" in text
    (short,) = [line for line in text.splitlines() if line.startswith("| 0.5 |")]
    assert "| 50.0 %: too short |" in short and "| -" in short
    assert "synthetic demo voices" in as_markdown(full(results(), synthetic_demo_voices=1))
    assert "**1 test speakers were heard" in as_markdown(full(results(), test_speakers_heard_in_training=1))


def test_the_committed_report_is_what_the_command_writes(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert robustness_report.DOCUMENT.read_text(encoding="utf-8") == robustness_report.content(robustness_report.RESULTS)
    assert robustness_report.FIGURE.exists() == robustness_report.RESULTS.exists()
    if robustness_report.RESULTS.exists():
        with Image.open(robustness_report.FIGURE) as picture:
            assert picture.text["Source"] == hashlib.sha256(robustness_report.RESULTS.read_bytes()).hexdigest()


def test_before_it_has_run_the_document_says_so():
    text = as_markdown(None)
    assert "Not run yet: `python -m benchmarks.run robustness`." in text and "robustness.png" not in text


def test_the_figure_has_a_plot_for_each_and_tells_what_it_was_drawn_from(tmp_path):
    draw_robustness(tmp_path / "robustness.png", full(results(gain=answered(2, [Answer("sad")]))), "abc")
    with Image.open(tmp_path / "robustness.png") as picture:
        assert picture.text["Source"] == "abc" and min(picture.size) > 800
        assert len(picture.convert("RGB").getcolors(2**20)) > 50


class Refusing:
    """A predictor that hears nothing."""

    def predict(self, signal):
        from ser.audio import AudioError

        raise AudioError(f"too short: {len(signal) / RATE_HZ:.2f} s of audio")


def test_a_refusal_keeps_its_reason_and_not_the_clips_numbers():
    assert robustness.answer(Refusing(), speech(0.1)) == Answer(refused="too short")


def test_the_stage_asks_the_released_bundle_and_the_report_is_written(tmp_path, monkeypatch):
    """From a table and stored audio to the document, by the commands; one voice too soft to be heard 40 dB down."""
    section = yaml.safe_load((ROOT / robustness.PARAMS).read_text())["robustness"]
    section |= {"clips": 3, "snr_db": [0.0], "gain_db": [-40.0], "band": ["narrowband"], "mp3_kbps": [32], "t60_s": [0.6]}
    section |= {"first_s": [0.1]}
    (tmp_path / "benchmarks").mkdir()
    own = {"robustness": section, "evaluate": {"n_bootstrap": 100, "seed": 1}}
    (tmp_path / "benchmarks/params.yaml").write_text(yaml.safe_dump(own))
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    table = cleaned(n_takes=1)
    write_csv(tmp_path / "cleaned.csv", table)
    for corpus, part in table.groupby("corpus"):
        voices = ((name, to_int16(speech(0.6, seed=n) * 0.05)) for n, name in enumerate(part["id"]))
        write_arrays(tmp_path / "clean" / corpus, voices, dtype="int16", recipe={"sampling_rate_hz": RATE_HZ})

    asked = ["robustness", str(ROOT / "models/released"), "cleaned.csv", "clean", "robustness.json"]
    monkeypatch.setattr(sys, "argv", asked)
    monkeypatch.setenv("SER_WORKERS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # of the worker
    robustness.main()
    told = json.loads((tmp_path / "robustness.json").read_text())
    assert told["corpora"]["b"] == {"n": 3, "n_speakers": 1} and told["corpora"]["a"]["n"] == 3
    assert told["synthetic_demo_voices"] == 1 and told["bundle"]["model"] == "hybrid"
    assert set(told["conditions"]) == set(CONDITIONS)
    assert told["conditions"]["gain"][0]["reasons"] == {"silent": 1.0} and told["conditions"]["gain"][0]["uar"] == 0
    assert told["conditions"]["length"][0]["reasons"] == {"too short": 1.0}
    assert told["intact"]["refused"] == told["conditions"]["reverberation"][0]["refused"] == 0

    monkeypatch.setattr(sys, "argv", ["robustness_report", "robustness.json", "robustness.md", "robustness.png"])
    robustness_report.main()
    assert "100.0 %: silent" in (tmp_path / "robustness.md").read_text()
    assert (tmp_path / "robustness.png").read_bytes().startswith(b"\x89PNG")
