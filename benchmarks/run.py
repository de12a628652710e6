"""Run protocols of the benchmark by name, such as `iesc_loso --models prosody`, or all; run again after a kill, it goes on."""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import table
from ser.params import load_params
from ser.plan import MODELS, Plan, Training, trainings
from ser.progress import Progress, in_words
from stages.running import run

PARAMS = Path("benchmarks/params.yaml")
PREDICTIONS = Path("benchmarks/data/predictions")
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


def main() -> None:
    """Train, score, and write the table."""
    plan = load_params("run", Plan, PARAMS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protocols", nargs="*", metavar="PROTOCOL", help=", ".join(plan.folds))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--list", action="store_true", help="show what there is and what is done, run nothing")
    args = parser.parse_args()
    if unknown := sorted(set(args.protocols) - set(plan.folds)):
        parser.error(f"no protocol '{unknown[0]}'; there are {', '.join(plan.folds)}")
    protocols = args.protocols or list(plan.folds)
    if args.list:
        _list(plan, protocols)
        return
    wanted = [training for name in protocols for training in trainings(plan, name, tuple(args.models))]
    _repro([f"benchmarks/dvc.yaml:{training.stage}" for training in wanted], Walk(wanted, _known(plan)))
    # alone, since a score takes what models there are: DVC would train the others first
    _repro(["-s", *(f"benchmarks/dvc.yaml:score@{name}" for name in protocols)], Walk([], Progress()))
    table.main()


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


def _known(plan: Plan) -> Progress:
    """What trainings of earlier runs took."""
    progress = Progress()
    for protocol in plan.folds:
        for training in trainings(plan, protocol):
            report = PREDICTIONS / training.folder / "report.json"
            if report.exists():
                progress.add(_group(training), json.loads(report.read_text(encoding="utf-8"))["took_s"])
    return progress


def _group(training: Training) -> tuple[str, ...]:
    return training.model, training.protocol


def _list(plan: Plan, protocols: list[str]) -> None:
    for protocol in protocols:
        wanted = trainings(plan, protocol)
        done = sum((PREDICTIONS / training.folder / "report.json").exists() for training in wanted)
        print(f"{protocol}: {done} of {len(wanted)} trainings done")


if __name__ == "__main__":
    run(main)
