"""Run `dvc repro` and keep, in this folder, what it took and what came out of it.

    python -m docs.results.measure [dvc repro arguments]

writes stages.csv (seconds and peak memory of each stage that ran), copies the metrics and draws the figures.
`python -m docs.results.table` then puts the table into README.md.
"""

import json
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil

from ser.files import read_csv, write_csv, write_json
from ser.processor import processor_name

HERE = Path(__file__).parent
_SAMPLE_S = 0.2


class Peak:
    """Largest memory of a process and all its children, sampled in the background; `take` reads and restarts it."""

    def __init__(self, pid: int) -> None:
        self.process, self.peak_mb = psutil.Process(pid), 0.0
        threading.Thread(target=self._sample, daemon=True).start()

    def _sample(self) -> None:
        while self.process.is_running():
            total = 0
            for process in self._family():
                try:
                    total += process.memory_info().rss
                except psutil.Error:  # it ended between the listing and the question
                    continue
            self.peak_mb = max(self.peak_mb, total / 1e6)
            time.sleep(_SAMPLE_S)

    def _family(self) -> list[psutil.Process]:
        try:
            return [self.process, *self.process.children(recursive=True)]
        except psutil.Error:
            return []

    def take(self) -> float:
        """Peak since the last call, in MB."""
        peak, self.peak_mb = self.peak_mb, 0.0
        return round(peak)


def repro(arguments: list[str]) -> pd.DataFrame:
    """Run `dvc repro`: one row a stage that ran (not restored from cache), with its seconds and peak memory in MB."""
    process = subprocess.Popen(
        ["dvc", "repro", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
    )
    peak, rows, stage, start = Peak(process.pid), [], None, time.time()
    for line in process.stdout or ():
        print(line, end="", flush=True)
        if found := re.match(r"(?:Running stage|Stage) '([^']+)'", line):
            if stage:
                rows.append((stage, round(time.time() - start), peak.take()))
            stage = found[1] if line.startswith("Running") else None
            start = time.time()
            peak.take()
    if process.wait():
        sys.exit("dvc repro failed; nothing was kept")
    if stage:
        rows.append((stage, round(time.time() - start), peak.take()))
    return pd.DataFrame(rows, columns=["stage", "took_s", "peak_mb"])


def keep() -> None:
    """Copy metrics, tables and figures of the models from the working folders to this one."""
    from ser.figures import draw_comparison, draw_model

    scores = {}
    for path in sorted(Path("metrics").glob("*.json")) + [Path("metrics/comparison.md")]:
        shutil.copy(path, HERE / path.name)
    shutil.copy("data/audit.json", HERE / "audit.json")
    for model in sorted(p.stem for p in Path("metrics/shortcut").glob("*.json")):
        shutil.copy(f"models/{model}/history.csv", HERE / f"{model}_history.csv")
        shutil.copy(f"metrics/shortcut/{model}.json", HERE / f"{model}_shortcut.json")
        tables = {path.stem: pd.read_csv(path) for path in sorted(Path("metrics/plots", model).glob("*.csv"))}
        (HERE / model).mkdir(exist_ok=True)
        history = pd.read_csv(f"models/{model}/history.csv")
        draw_model(HERE / model, tables, history, f"{model}, real recordings, unheard speakers")
        scores[model] = json.loads((HERE / f"{model}.json").read_text())["test"]["macro_over_corpora"]
    draw_comparison(HERE / "comparison.png", scores, "Real recordings, unheard speakers")
    table = read_csv(Path("data/cleaned_data.csv"))
    counts = table.groupby(["corpus", "split"]).agg(utterances=("id", "size"), speakers=("speaker", "nunique")).reset_index()
    write_csv(HERE / "split.csv", counts)
    machine = {"cores": psutil.cpu_count(), "processor": processor_name(), "python": platform.python_version()}
    write_json(HERE / "machine.json", machine)
    shutil.copy("params.yaml", HERE / "params.yaml")


if __name__ == "__main__":
    stages = repro(sys.argv[1:])
    write_csv(HERE / "stages.csv", stages)
    keep()
