"""Run protocols of the benchmark by name, such as `iesc_loso --models prosody`, or all of them.

`honesty` is the honesty report, `ablation` what single changes are worth (with `--groups networks` those alone, and the other
groups of its report stay), `robustness` the report on disturbed clips, and `speakers` what voices and microphones do to a
result. Run again after a kill, it goes on.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import ablation, table
from ser.ablation_plan import NAME as ABLATION
from ser.ablation_plan import AblationPlan, ablation_trainings
from ser.honesty_plan import NAME as HONESTY
from ser.honesty_plan import HonestyPlan, honesty_trainings
from ser.params import load_params
from ser.plan import MODELS, Plan, Training, trainings
from ser.progress import Progress, in_words
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")
PREDICTIONS = Path("benchmarks/data/predictions")
REPORT, DOCUMENT = Path("benchmarks/results/ablation.json"), Path("docs/ablation.md")
ROBUSTNESS, SPEAKERS = "robustness", "speakers"  # which train nothing
_STAGE = re.compile(r"(?P<runs>Running stage|Stage) '(?:benchmarks/dvc\.yaml:)?(?P<name>[^']+)'")


class Walk:
    """The trainings asked for, followed through what DVC prints."""

    def __init__(self, wanted: Sequence[Training], progress: Progress) -> None:
        self.todo = {training.stage: training for training in wanted}
        self.n_wanted = len(wanted)
        self.progress = progress
        self._running: tuple[Training, float] | None = None

    def see(self, line: str, now_s: float) -> str | None:
        """Take in one line of DVC's; the line to print where a training starts or was done before."""
        found = _STAGE.match(line)
        if not found:
            return None
        self.end(now_s)
        training = self.todo.pop(found["name"], None)
        if training is None:
            return None
        here = f"[{self.n_wanted - len(self.todo)} of {self.n_wanted}] {training.protocol}, {training.fold}, {training.model}"
        here += f", {training.recipe}, seed {training.seed}"
        if found["runs"] == "Stage":
            return f"{here}: done before"
        self._running = (training, now_s)
        return f"{here}: {in_words(self.progress.left_s([_group(t) for t in (training, *self.todo.values())]))}"

    def end(self, now_s: float) -> None:
        """Whatever ran has ended."""
        if self._running:
            training, since_s = self._running
            self.progress.add(_group(training), now_s - since_s)
            self._running = None


@dataclass(frozen=True)
class Plans:
    """All that can be asked for by name."""

    protocols: Plan
    honesty: HonestyPlan
    ablation: AblationPlan
    groups: Collection[str] | None = None  # of the ablation; all of them where none is named

    def trainings(self, name: str, models: Sequence[str] | None = None) -> Sequence[Training]:
        """Of a protocol, of the honesty report or of the ablation; the other reports train nothing."""
        if name in (ROBUSTNESS, SPEAKERS):
            return []
        if name == HONESTY:
            return honesty_trainings(self.honesty, models)
        if name == ABLATION:
            return ablation_trainings(self.ablation, models, self.groups)
        return trainings(self.protocols, name, tuple(model for model in MODELS if models is None or model in models))


def main() -> None:
    """Train, score, and write the tables."""
    plans = Plans(
        load_params("run", Plan, PARAMS),
        load_params("honesty", HonestyPlan, PARAMS),
        load_params("ablation", AblationPlan, PARAMS),
    )
    names = [*plans.protocols.folds, HONESTY, ABLATION, ROBUSTNESS, SPEAKERS]
    models = list(dict.fromkeys([*MODELS, *plans.honesty.folds, *plans.ablation.models]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protocols", nargs="*", metavar="PROTOCOL", help=", ".join(names))
    parser.add_argument("--models", nargs="+", choices=models, default=models)
    parser.add_argument("--groups", nargs="+", choices=plans.ablation.groups, help=f"of {ABLATION}")
    parser.add_argument("--list", action="store_true", help="show what there is and what is done, run nothing")
    args = parser.parse_args()
    if unknown := sorted(set(args.protocols) - set(names)):
        parser.error(f"no protocol '{unknown[0]}'; there are {', '.join(names)}")
    if args.groups and args.protocols != [ABLATION]:
        parser.error(f"--groups are of {ABLATION}, which must be named alone")
    plans = replace(plans, groups=args.groups)
    if args.list:
        _list(plans, args.protocols or names)
        return
    asked = args.protocols or list(plans.protocols.folds)
    wanted = [training for name in asked for training in plans.trainings(name, args.models)]
    if wanted:  # without a stage's name, DVC would run the first pipeline
        _repro([f"benchmarks/dvc.yaml:{training.stage}" for training in wanted], Walk(wanted, _known(plans, names)))
    # alone, since a score takes what models there are: DVC would train the others first
    if scores := [f"benchmarks/dvc.yaml:score@{name}" for name in asked if name in plans.protocols.folds]:
        _repro(["-s", *scores], Walk([], Progress()))
        table.main()
    for stage in ["honesty_score", "honesty_report"] if HONESTY in asked else []:
        _repro(["-s", f"benchmarks/dvc.yaml:{stage}"], Walk([], Progress()))
    if args.groups:
        ablation.score(plans.ablation, PREDICTIONS, REPORT, DOCUMENT, args.groups)
    elif ABLATION in asked:
        _repro(["-s", "benchmarks/dvc.yaml:ablation"], Walk([], Progress()))
    if SPEAKERS in asked:
        _repro(["benchmarks/dvc.yaml:speakers"], Walk([], Progress()))
    if ROBUSTNESS in asked:  # the bundle too, where the first pipeline has not made it as it is now
        _repro(["benchmarks/dvc.yaml:robustness_report"], Walk([], Progress()))


def _repro(arguments: list[str], walk: Walk) -> None:
    """`dvc repro`, its output passed on with our lines between; ends this program where it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # the stages' `python` is this one
    environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "dvc", "repro", *arguments]
    # the stages' own progress bars and log go to stderr, straight to the terminal
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            if ours := walk.see(line, time.monotonic()):
                print(ours, flush=True)
    walk.end(time.monotonic())
    if process.returncode:
        sys.exit(f"error: dvc repro ended with status {process.returncode}; run the same command again to go on from here")


def _known(plans: Plans, names: Sequence[str]) -> Progress:
    """What trainings of earlier runs took."""
    progress = Progress()
    for name in names:
        for training in plans.trainings(name):
            report = PREDICTIONS / training.folder / "report.json"
            if report.exists():
                progress.add(_group(training), json.loads(report.read_text(encoding="utf-8"))["took_s"])
    return progress


def _group(training: Training) -> tuple[str, ...]:
    return training.model, training.protocol


def _list(plans: Plans, names: Sequence[str]) -> None:
    for name in names:
        if name in (ROBUSTNESS, SPEAKERS):
            print(f"{name}: no trainings")
            continue
        wanted = plans.trainings(name)
        done = sum((PREDICTIONS / training.folder / "report.json").exists() for training in wanted)
        print(f"{name}: {done} of {len(wanted)} trainings done")


if __name__ == "__main__":
    run(main)
