"""The honesty report as it is read: the committed one is what the command writes, and it says what the figures say."""

import hashlib

import pytest
from PIL import Image

from benchmarks import honesty_report
from ser.honesty import HONESTY
from ser.honesty_claims import Claim, Claims
from ser.honesty_document import as_markdown
from ser.honesty_figure import draw_honesty
from ser.params import load_params
from tests.test_dvc_yaml import ROOT
from tests.test_honesty_scores import REPORT, scored

CLAIMS = Claims(
    ours="hybrid",
    heard="hybrid_longer",
    systems=(
        Claim("R0", "a dense network", "dnn_pca", "random", 81.47, ""),
        Claim("R2", "an LSTM", "cnn_lstm", "files_twice", 87.5, "not what it says"),
        Claim("R3", "a CNN", "conv1d", "random", None, ""),
        Claim("R4", "columns chosen", "ann_select", "chosen_on_test", 87.6, ""),
    ),
)


def row(text, start):
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_committed_report_is_what_the_command_writes(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert honesty_report.DOCUMENT.read_text(encoding="utf-8") == honesty_report.content(honesty_report.RESULTS)
    assert honesty_report.FIGURE.exists() == honesty_report.RESULTS.exists()
    if honesty_report.RESULTS.exists():
        with Image.open(honesty_report.FIGURE) as picture:
            assert picture.text["Source"] == hashlib.sha256(honesty_report.RESULTS.read_bytes()).hexdigest()


def test_before_anything_has_run_the_report_holds_protocols_and_claims_and_no_figure_of_ours():
    text = as_markdown(None, CLAIMS)
    assert "Not run yet: `python -m benchmarks.run honesty`." in text and "honesty.png" not in text
    assert all(f"({protocol.letter}) {protocol.title}" in text for protocol in HONESTY.values())
    assert row(text, "R0")[2:6] == ["81.47", "not run yet", "not run yet", "-"]
    assert "0 of 3 (3 not run yet)" in text and "0 of 4 (4 not run yet)" in text


def test_what_crosses_stands_before_what_it_is_worth():
    text = as_markdown(REPORT, CLAIMS)
    crossing, worth, *_ = [line for line in text.splitlines() if line.startswith("| (d) unheard speakers |")][1:]
    assert [cell.strip() for cell in crossing.split("|")][3:8] == ["0", "0", "0", "768 of 768 (100 %)", "0"]
    assert "| hybrid | 75.0 (75.0 to 75.0) | 75.0 (75.0 to 75.0) | 768 | 24 | 8 | 1 |" in worth


def test_a_model_has_a_line_under_each_protocol_it_ran_under_and_no_other():
    text = as_markdown(REPORT, CLAIMS)
    figures = text[text.index("| protocol | model |") : text.index("What one step is worth")]
    lines = [[cell.strip() for cell in line.split("|")[1:3]] for line in figures.splitlines() if line.startswith("| (")]
    assert [title for title, model in lines if model == "dnn_pca"] == ["(c) random", "(d) unheard speakers"]
    assert [title.partition(" ")[0] for title, model in lines if model == "hybrid"] == [
        *("(a)", "(b)", "(c)", "(c*)", "(d)", "(e)", "(f)", "(f)", "(f)"),
    ]
    assert ["(f) another corpus: TESS", "hybrid"] in lines


DESIGNS_ALONE = scored({
    "hybrid": {},
    "dnn_pca": {"random": 7, "speakers": 3},
    "cnn_lstm": {"files_twice": 8},
    "ann_select": {"chosen_on_test": 7, "speakers": 4},
})  # fmt: skip


def test_designs_stand_beside_their_claims_before_ours_has_run(tmp_path):
    text = as_markdown(DESIGNS_ALONE, CLAIMS)
    figures = {system: [cell.partition(" (")[0] for cell in row(text, system)[3:10]] for system in ("R0", "R2", "R3", "R4")}
    missing = "not run yet"
    assert figures == {
        "R0": ["100.0", missing, "-", missing, "50.0", missing, missing],
        "R2": ["100.0", missing, "-", missing, missing, missing, missing],
        "R3": [missing, missing, "-", "-", missing, missing, missing],
        "R4": ["100.0", missing, "-", missing, "62.5", missing, missing],
    }
    assert "on its own protocol: 0 of 3 (3 not run yet)." in text and "on unheard speakers: 0 of 4 (4 not run yet)." in text
    assert row(text, "step") == ["step", "dnn_pca"], "the only one with two protocols a step apart"
    assert "another corpus: TESS" not in text and "| hybrid |" not in text[: text.index("## Claims")]
    draw_honesty(tmp_path / "honesty.png", DESIGNS_ALONE, CLAIMS, "abc")


def test_each_step_between_protocols_has_its_worth():
    text = as_markdown(REPORT, CLAIMS)
    assert row(text, "step") == ["step", "hybrid", "dnn_pca"]
    assert [cell.partition(" ")[0] for cell in row(text, "(c) minus (d)")[1:]] == ["+25.0", "+37.5"]
    assert row(text, "(d) minus (e)")[1:] == ["-", "-"], "of (e) only the speakers of one group were tested"
    assert row(text, "(b) minus (c)")[1].startswith("-12.5 (") and row(text, "(b) minus (c)")[2] == "-"


def test_claims_stand_beside_our_figures():
    text = as_markdown(REPORT, CLAIMS)
    figures = [cell.partition(" (")[0] for cell in row(text, "R0")[2:10]]
    assert figures == ["81.47", "87.5", "100.0", "-", "yes", "50.0", "75.0", "+25.0"]
    assert row(text, "R0")[9] == "+25.0 (+25.0 to +25.0)", "each speaker has as many clips of each emotion"
    assert row(text, "R2")[2:7] == ["87.5", "not run yet", "100.0 (100.0 to 100.0)", "-", "yes"]
    assert row(text, "R3")[2] == "none" and row(text, "R3")[6] == "-"
    assert row(text, "R4")[4].startswith("87.5 (") and row(text, "R4")[6] == "no", "87.5 is not above 87.6"
    assert "on its own protocol: 2 of 3." in text and "on unheard speakers: 1 of 4 (3 not run yet)." in text


def test_the_model_made_for_heard_speakers_is_held_against_the_claims_where_it_has_run():
    report = scored({"hybrid": {"random": 8, "files_twice": 8, "speakers": 5}, "hybrid_longer": {"random": 5}})
    text = as_markdown(report, CLAIMS)
    assert [cell.partition(" (")[0] for cell in row(text, "R0")[4:8]] == ["100.0", "75.0", "no", "not run yet"]
    assert [cell.partition(" (")[0] for cell in row(text, "R2")[4:7]] == ["100.0", "-", "yes"]
    assert "on its own protocol: 1 of 3 (1 not run yet)." in text


def test_demo_voices_are_named_in_document_and_figure():
    demo = scored({"hybrid": {"random": 6}}, names=("random_1",), synthetic=True)
    assert "synthetic demo voices" in as_markdown(demo, CLAIMS) and "synthetic demo voices" not in as_markdown(REPORT, CLAIMS)


def test_the_figure_is_drawn_and_tells_what_it_was_drawn_from(tmp_path):
    draw_honesty(tmp_path / "honesty.png", REPORT, CLAIMS, "abc")
    with Image.open(tmp_path / "honesty.png") as picture:
        assert picture.text["Source"] == "abc" and min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(2**20)) > 50


def test_the_claims_are_read_and_a_mistaken_protocol_is_refused(monkeypatch):
    monkeypatch.chdir(ROOT)
    claims = load_params("claims", Claims, honesty_report.PARAMS)
    assert {claim.system for claim in claims.systems} == {"R0", "R1", "R2", "R3", "R4"}
    assert {claim.accuracy for claim in claims.systems} == {81.47, 87.5, 87.2, 40.8, None}
    with pytest.raises(ValueError, match="protocol must be one of"):
        Claim("R0", "", "dnn_pca", "kfold", None, "")
