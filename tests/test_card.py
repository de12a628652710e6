"""The model card: every figure with its interval and what it was measured on, in plain Markdown."""

import copy

import pytest

from ser.card import NOT_COMMERCIAL, card_lines, write_card

SCORES = {"uar": 0.612, "uar_low": 0.55, "uar_high": 0.668, "accuracy": 0.6, "n": 1234, "n_speakers": 7}
DESCRIPTION = {
    "model": "hybrid",
    "emotions": ["neutral", "happy"],
    "n_parameters": 1234567,
    "synthetic": False,
    "licences": {"emodb": "free", "tess": "CC BY-NC-ND 4.0"},
    "limits": ["Acted speech alone.", "Few languages."],
    "calibration": {"temperature": 1.25, "unsure_below": 0.3, "test": {"coverage": 0.7, "accuracy_when_sure": 0.81}},
    "metrics": {
        "test": {
            "per_corpus": {"emodb": SCORES, "tess": SCORES | {"uar": 0.4, "n": 56}},
            "mean_of_corpora": {"uar": 0.506, "uar_low": 0.45, "uar_high": 0.56},
            "enrolled": {"macro_over_corpora": {"uar": 0.7}, "corpora": {"emodb": {"uar": 0.75}, "tess": {"uar": 0.65}}},
            "speakers_heard_in_training": 0,
        },
    },
}


@pytest.fixture
def described():
    return copy.deepcopy(DESCRIPTION)


def card(description):
    return "\n".join(card_lines(description))


def table(description):
    return [line for line in card_lines(description) if line.startswith("|")]


def test_figures_stand_with_interval_speakers_and_clips(described):
    assert table(described) == [
        "| corpus | UAR, percent (95 % interval) | speakers | clips | UAR, voice enrolled |",
        "|---|---|---|---|---|",
        "| emodb | 61.2 (55.0 to 66.8) | 7 | 1234 | 75.0 |",
        "| tess | 40.0 (55.0 to 66.8) | 7 | 56 | 65.0 |",
        "| mean of corpora | 50.6 (45.0 to 56.0) | | | 70.0 |",
    ]
    assert "## Test, speakers never heard in training" in card(described)


def test_without_enrolment_there_is_no_such_column(described):
    described["metrics"]["test"]["enrolled"] = {}
    rows = table(described)
    assert {line.count("|") for line in rows} == {5} and "enrolled" not in card(described)


def test_it_says_when_it_is_unsure_and_what_that_is_worth(described):
    text = card(described)
    assert "Below a confidence of 0.30 it says it is unsure" in text and "temperature 1.25" in text
    assert "commits itself on 70 % of the clips and is right on 81 %" in text


def test_a_model_that_is_never_sure_has_no_accuracy_when_it_is(described):
    described["calibration"]["test"] = {"coverage": 0.0}
    assert "commits itself on 0 % of the clips.\n" in card(described) and "nan" not in card(described)


def test_it_names_emotions_size_licences_and_limits(described):
    text = card(described)
    assert "Emotions: neutral, happy. 1,234,567 parameters." in text
    for line in ("- emodb: free", "- tess: CC BY-NC-ND 4.0", "- Acted speech alone.", "- Few languages."):
        assert line in text.splitlines()


def test_real_voices_are_not_for_sale_and_synthetic_ones_are_called_so(described):
    assert NOT_COMMERCIAL in card(described) and "synthetic" not in card(described)
    text = card(described | {"synthetic": True})
    assert "Trained on synthetic demo voices, not on real speech." in text and NOT_COMMERCIAL not in text


def test_a_split_that_leaks_speakers_is_confessed(described):
    assert "Not speaker-disjoint" not in card(described)
    described["metrics"]["test"]["speakers_heard_in_training"] = 3
    text = card(described)
    assert "Not speaker-disjoint: 3 test speakers were heard in training." in text
    assert "never heard" not in text, "the heading must not say the opposite"


def test_when_and_from_what_it_was_made_if_known(described):
    assert "Made" not in card(described)
    assert "Trained. Made 2026-01-02, commit abc." in card(described | {"created": "2026-01-02", "commit": "abc"})


def test_it_is_written_as_text(described, tmp_path):
    write_card(tmp_path / "card.md", described)
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert text.startswith("# Speech emotion model `hybrid`\n") and text.endswith("\n")
    assert "nan" not in text and "\n\n\n\n" not in text


def test_what_a_probe_reads_stands_with_chance_beside_it(described):
    assert "microphone" not in card(described), "bundles made before there were probes"
    read = {"uar": 0.7, "chance": 0.25}
    described["shortcut"] = {
        "probes": {"embedding": {"corpus": read, "sex": {"uar": 0.9, "chance": 0.5}}, "pauses": {"corpus": read}},
        "pauses_alone": {"uar_pauses": 0.15, "uar_whole": 0.6, "chance": 0.14, "n": 50},
    }
    assert table(described)[-4:] == [
        "| read from | corpus | sex |",
        "|---|---|---|",
        "| embedding | 70 (25) | 90 (50) |",
        "| pauses | 70 (25) | - |",
    ]
    assert "pauses of 50 clips, the model has a UAR of 15 % (whole clips 60 %, chance 14 %)" in card(described)
