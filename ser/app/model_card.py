"""Which model answers: trained on what, how good on whom, and where it must not be trusted."""

from typing import Any

import pandas as pd
import streamlit as st

from ser.app import words
from ser.app.state import Model


def summary(model: Model) -> str:
    """One line: trained on what, its headline figure, and that demo voices mean nothing."""
    description = model.predictor.description
    corpora = _corpora(description)
    mean = _test(description).get("mean_of_corpora", {})
    parts = [f"Model {words.plain(model.name)}"]
    if model.synthetic:
        parts.append("trained on synthetic demo voices, not on people")
    elif corpora:
        parts.append(f"trained on {', '.join(corpora)} (acted speech)")
    if (uar := mean.get("uar")) is not None:
        chance = 1 / len(model.predictor.emotions)
        parts.append(f"UAR {100 * uar:.1f} % on speakers it never heard (chance {words.percent(chance)})")
    return "; ".join(parts) + "."


def figures(description: dict[str, Any]) -> pd.DataFrame:
    """Test figures, a row a corpus: UAR in percent with its interval, and how many speakers and clips it rests on."""
    rows = []
    for corpus, values in _test(description).get("per_corpus", {}).items():
        row = {"Corpus": words.corpus_title(corpus), "UAR (%)": f"{100 * values['uar']:.1f}"}
        if values.get("uar_low") is not None and values.get("uar_high") is not None:
            over = ", over clips" if values.get("interval_over_clips") else ""
            row["95 % interval"] = f"{100 * values['uar_low']:.1f} to {100 * values['uar_high']:.1f}{over}"
        row |= {"Test speakers": values.get("n_speakers"), "Test clips": values.get("n")}
        rows.append(row)
    return pd.DataFrame(rows)


def show_card(model: Model) -> None:
    """Everything that is known of a model; open from the start, since its limits belong to every answer."""
    description = model.predictor.description
    with st.expander(f"About the model {words.plain(model.name)}", expanded=True, icon=":material/info:"):
        st.markdown(summary(model))
        if not (table := figures(description)).empty:
            st.dataframe(table, hide_index=True)
            st.caption(words.UAR.format(chance=words.percent(1 / len(model.predictor.emotions))))
            st.markdown(_more_figures(description))
        if limits := description.get("limits"):
            st.markdown("**Limits**\n\n" + "\n".join(f"- {words.plain(sentence)}" for sentence in limits))
        if licences := description.get("licences"):
            st.markdown("**Licences of the corpora**\n\n" + "\n".join(_licence(*item) for item in licences.items()))
        st.caption(_origin(model))


def _test(description: dict[str, Any]) -> dict[str, Any]:
    return description.get("metrics", {}).get("test", {})


def _corpora(description: dict[str, Any]) -> list[str]:
    return [words.corpus_title(name) for name in description.get("corpora", [])]


def _more_figures(description: dict[str, Any]) -> str:
    """How often it is right when it gives a verdict at all, and what knowing the voice is worth, both on test speakers."""
    sure = description.get("calibration", {}).get("test", {})
    enrolled = _test(description).get("enrolled", {}).get("macro_over_corpora", {})
    parts = []
    if {"coverage", "accuracy_when_sure"} <= sure.keys():
        coverage, right = words.percent(sure["coverage"]), words.percent(sure["accuracy_when_sure"])
        parts.append(f"It gave a verdict on {coverage} of the test clips, and was right on {right} of those.")
    if "uar" in enrolled:
        parts.append(f"When it knew the speaker's voice, its mean UAR was {100 * enrolled['uar']:.1f} %.")
    return " ".join(parts)


def _licence(corpus: str, licence: str) -> str:
    return f"- {words.corpus_title(corpus)}: {words.plain(licence)}"


def _origin(model: Model) -> str:
    """When and from what it was made, and the hash that tells two bundles of one name apart."""
    description = model.predictor.description
    parts = [f"{len(model.predictor.emotions)} emotions: {', '.join(model.predictor.emotions)}"]
    if n := description.get("n_parameters"):
        parts.append(f"{n:,} parameters".replace(",", " "))
    for key, label in (("created", "made"), ("commit", "commit")):
        if value := description.get(key):
            parts.append(f"{label} {str(value)[:12]}")
    return "; ".join([*parts, f"content {model.key[:12]}"]) + "."
