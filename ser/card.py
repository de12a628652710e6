"""The model card: what a bundle is, what it was trained on, how good it is and where it must not be used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOT_COMMERCIAL = "The licences of several corpora allow research and other non-commercial use only; so does this model."


def write_card(path: Path, description: Mapping[str, Any]) -> None:
    """Write the card of a bundle's description as Markdown."""
    path.write_text("\n".join(card_lines(description)) + "\n", encoding="utf-8")


def card_lines(description: Mapping[str, Any]) -> list[str]:
    """The card, line by line."""
    synthetic = description["synthetic"]
    voices = " on synthetic demo voices, not on real speech" if synthetic else ""
    lines = [f"# Speech emotion model `{description['model']}`", "", f"Trained{voices}. {_made(description)}".strip(), ""]
    lines += [
        f"Emotions: {', '.join(description['emotions'])}. {description['n_parameters']:,} parameters.",
        *_encoders(description),
        "",
    ]
    test = description["metrics"]["test"]
    heading = "## Test" if test["speakers_heard_in_training"] else "## Test, speakers never heard in training"
    lines += [heading, "", *_figures(test), ""]
    lines += [*_verdicts(description["calibration"]), *_shortcuts(description.get("shortcut", {})), "## Corpora", ""]
    lines += [f"- {corpus}: {licence}" for corpus, licence in description["licences"].items()]
    lines += ["" if synthetic else f"\n{NOT_COMMERCIAL}\n", "## Limits", ""]
    return lines + [f"- {sentence}" for sentence in description["limits"]]


def _made(description: Mapping[str, Any]) -> str:
    parts = [f"{label} {description[key]}" for key, label in (("created", "Made"), ("commit", "commit")) if key in description]
    return ", ".join(parts) + "." if parts else ""


def _encoders(description: Mapping[str, Any]) -> list[str]:
    """What the model reads that is not in its bundle; descriptions by hand may lack recipes."""
    lines = []
    for recipe in description.get("inputs", {}).values():
        if "sha256" in (fields := recipe.get("fields", {})):
            named = f"`{fields['source']}`" + (f" at {fields['revision']}" if fields["revision"] else "")
            lines += [
                "",
                f"It reads embeddings of the pretrained encoder {named} (sha256 {fields['sha256']}), which is not part of this "
                "bundle and comes under a licence of its own.",
            ]
    return lines


def _verdicts(calibration: Mapping[str, Any]) -> list[str]:
    if "test" not in calibration:
        return []
    test = calibration["test"]
    right = f" and is right on {100 * test['accuracy_when_sure']:.0f} % of these" if "accuracy_when_sure" in test else ""
    return [
        f"Below a confidence of {calibration['unsure_below']:.2f} it says it is unsure (threshold and temperature "
        f"{calibration['temperature']:.2f} chosen on validation): on test it commits itself on "
        f"{100 * test['coverage']:.0f} % of the clips{right}.",
        "",
    ]


def _shortcuts(shortcut: Mapping[str, Any]) -> list[str]:
    """What a linear probe reads, from what; bundles made before there were probes have none."""
    if not shortcut.get("probes"):
        return []
    targets = sorted({target for found in shortcut["probes"].values() for target in found})
    lines = ["## The voice or the microphone?", "", "What a linear probe reads, on speakers it was not fitted on: UAR in percent"]
    lines[-1] += " (chance). Speakers are told apart within their corpus."
    lines += ["", "| read from | " + " | ".join(targets) + " |", "|---|" + "---|" * len(targets)]
    for source, found in shortcut["probes"].items():
        scores = [found.get(target) for target in targets]
        cells = [f"{100 * one['uar']:.0f} ({100 * one['chance']:.0f})" if one else "-" for one in scores]
        lines += [f"| {source} | " + " | ".join(cells) + " |"]
    if heard := shortcut.get("pauses_alone"):
        lines += [
            "",
            f"Hearing nothing but the pauses of {heard['n']} clips, the model has a UAR of {100 * heard['uar_pauses']:.0f} % "
            f"(whole clips {100 * heard['uar_whole']:.0f} %, chance {100 * heard['chance']:.0f} %).",
        ]
    return [*lines, ""]


def _figures(test: Mapping[str, Any]) -> list[str]:
    enrolled = test["enrolled"].get("corpora", {})
    lines = ["| corpus | UAR, percent (95 % interval) | speakers | clips |" + (" UAR, voice enrolled |" if enrolled else "")]
    lines += ["|---|---|---|---|" + ("---|" if enrolled else "")]
    for corpus, scores in test["per_corpus"].items():
        interval = f"{100 * scores['uar_low']:.1f} to {100 * scores['uar_high']:.1f}"
        row = f"| {corpus} | {100 * scores['uar']:.1f} ({interval}) | {scores['n_speakers']} | {scores['n']} |"
        lines += [row + (f" {100 * enrolled[corpus]['uar']:.1f} |" if enrolled else "")]
    mean = test["mean_of_corpora"]
    row = f"| mean of corpora | {100 * mean['uar']:.1f} ({100 * mean['uar_low']:.1f} to {100 * mean['uar_high']:.1f}) | | |"
    lines += [row + (f" {100 * test['enrolled']['macro_over_corpora']['uar']:.1f} |" if enrolled else "")]
    if test["speakers_heard_in_training"]:
        lines += ["", f"Not speaker-disjoint: {test['speakers_heard_in_training']} test speakers were heard in training."]
    return lines
