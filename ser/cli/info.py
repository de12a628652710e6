"""`ser info`: which model this is, trained on what, how good, and what it cannot do."""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from ser.cli.options import load_predictor, model_option, trained_on
from ser.cli.text import path_text, printable

if TYPE_CHECKING:
    from ser.predictor import Predictor

_VERSIONS = ("ser", "numpy", "onnxruntime", "praat-parselmouth", "soundfile", "soxr")
EPILOG = """\b
Examples:
  ser info
  ser info --model cnn --json"""


@click.command(short_help="Show the model, its training, test figures and limits.", epilog=EPILOG)
@model_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all that the model says of itself.")
def info(model: str | None, as_json: bool) -> None:
    """Show which model is used, what it was trained on, its test figures, its limits and versions."""
    predictor = load_predictor(model)
    facts = {**predictor.description, "folder": path_text(str(predictor.folder)), "trained_on": trained_on(predictor)}
    facts |= {"emotions": list(predictor.emotions), "size_bytes": _size_bytes(predictor), "versions": _versions()}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    for title, text in _summary(facts):
        click.echo(f"{title:<12} {printable(text)}")
    if table := list(figures(facts.get("metrics", {}).get("test", {}))):
        _print_figures(facts, table)
    for title, lines in (("limits", facts.get("limits", [])), ("licences of the corpora", _licences(facts))):
        if lines:
            click.echo(f"\n{title}")
            for line in lines:
                click.echo(f"- {printable(line)}")


def _summary(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "model", f"{facts.get('model', 'unknown')} ({facts['folder']})"
    yield "trained on", facts["trained_on"] + (f" in the layout of {_listed(facts)}" if facts.get("synthetic") else "")
    if facts.get("synthetic"):
        yield "", "Its answers and figures mean nothing about people."
    yield "emotions", ", ".join(facts["emotions"])
    if calibration := facts.get("calibration"):
        yield "unsure", f"below a confidence of {calibration['unsure_below']:.0%} (temperature {calibration['temperature']:.2f})"
    if parameters := facts.get("n_parameters"):
        yield "size", f"{parameters:,} parameters, {facts['size_bytes'] / 1e6:.1f} MB on disk"
    made = [facts.get("created"), facts.get("commit") and f"commit {facts['commit'][:12]}"]
    if any(made):
        yield "made", ", ".join(filter(None, made))
    if split := facts.get("split_sha256"):
        yield "split", f"{split[:16]} (which speakers were held out)"
    yield "versions", ", ".join(f"{name} {version}" for name, version in facts["versions"].items())


def figures(test: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Corpus, speakers, clips and UAR in percent with its interval, a row a corpus and one for their mean."""
    for corpus, scored in test.get("per_corpus", {}).items():
        yield corpus, str(scored.get("n_speakers", "")), str(scored.get("n", "")), _with_interval(scored)
    if "mean_of_corpora" in test:
        yield "mean of corpora", "", "", _with_interval(test["mean_of_corpora"])


def _with_interval(scored: Mapping[str, Any]) -> str:
    text = f"{scored['uar'] * 100:.1f}"
    low, high = scored.get("uar_low"), scored.get("uar_high")
    return text if low is None or high is None else f"{text} ({low * 100:.1f} to {high * 100:.1f})"


def _print_figures(facts: Mapping[str, Any], table: list[tuple[str, str, str, str]]) -> None:
    voices = ", synthetic demo voices" if facts.get("synthetic") else ""
    click.echo(f"\nUAR in percent on test clips of speakers it never heard{voices} (in brackets the 95 % interval)")
    rows = [("corpus", "speakers", "clips", "UAR"), *table]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for corpus, speakers, clips, uar in rows:
        click.echo(f"  {printable(corpus):<{widths[0]}}  {speakers:>{widths[1]}}  {clips:>{widths[2]}}  {uar}")


def _listed(facts: Mapping[str, Any]) -> str:
    return ", ".join(facts.get("corpora", ()))


def _licences(facts: Mapping[str, Any]) -> list[str]:
    return [f"{corpus}: {text}" for corpus, text in facts.get("licences", {}).items()]


def _size_bytes(predictor: "Predictor") -> int:
    return sum(file.stat().st_size for file in predictor.folder.rglob("*") if file.is_file())


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": sys.version.split()[0]}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
