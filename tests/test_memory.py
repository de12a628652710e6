"""Peak memory stays flat when a corpus grows tenfold, in extraction and in an epoch of training."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ser.arrays import write_arrays
from ser.files import write_csv

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FEW, MANY = 100, 1000  # utterances of 4 s: the audio of the many takes 128 MB, as float32 twice that
ALLOWED_MB = 8  # the index: an id, a start and a length an utterance; and what the allocator keeps


def noise(n, shape, kind):
    """Utterances that differ, made without holding them."""
    random = np.random.default_rng(0)
    base = random.normal(0, 3000, shape)
    for number in range(n):
        yield f"c/{number:05d}", np.roll(base, number * 7, axis=0).astype(kind)


# A process starts out with the peak of the one that started it, so a small one stands between pytest and what is measured.
LAUNCH = "import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); _, status, used = os.wait4(pid, 0); \
print(used.ru_maxrss / 1024); sys.exit(os.waitstatus_to_exitcode(status))"


def peak_mb(*command):
    """Largest resident size of a process, or of any of its children, while it ran."""
    environment = {**os.environ, "SER_WORKERS": "2", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    launcher = [sys.executable, "-S", "-c", LAUNCH, *command]
    process = subprocess.run(launcher, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]
    return float(process.stdout.split()[-1])


def test_the_measure_sees_what_is_held():
    empty, holding = (peak_mb(sys.executable, "-c", f"import numpy; numpy.ones({n << 20}, 'u1')") for n in (1, 64))
    assert 55 < holding - empty < 75


def test_extraction_takes_no_more_memory_for_ten_times_as_many_utterances(tmp_path):
    peaks = {}
    for n in (FEW, MANY):
        recipe = {"name": "AudioParams", "sampling_rate_hz": 16000}
        write_arrays(tmp_path / f"audio{n}", noise(n, 4 * 16000, "int16"), dtype="int16", recipe=recipe)
        peaks[n] = peak_mb(sys.executable, "-m", "stages.spectrogram", str(tmp_path / f"audio{n}"), str(tmp_path / f"out{n}"))
    size_mb = (tmp_path / f"audio{MANY}/values.npy").stat().st_size / 2**20
    print(f"\nspectrogram: {peaks[FEW]:.0f} MB for {FEW}, {peaks[MANY]:.0f} MB for {MANY} utterances ({size_mb:.0f} MB of audio)")
    assert peaks[MANY] < peaks[FEW] + ALLOWED_MB < peaks[FEW] + size_mb / 4


EPOCH = """
import sys
from pathlib import Path
from ser.batches import Batches, BatchParams
from ser.features import Clip, Features
from ser.files import read_csv
from ser.params import load_params
from ser.statistics import column_statistics

folder = Path(sys.argv[1])
rows = read_csv(folder / "rows.csv")
features = Features(folder)
column_statistics((features.get("spectrogram", Clip(row.id, row.corpus)) for row in rows.itertuples()), level_free=True)
params = load_params("models.hybrid.batches", BatchParams)
batches = Batches(rows, features, ("spectrogram", "prosody", "speaker"), ("angry", "sad"), params, 1)
assert sum(len(targets) for _, targets in batches.epoch(1)) >= len(rows) * 0.6
"""


def test_an_epoch_takes_no_more_memory_for_ten_times_as_many_utterances(tmp_path):
    import pandas as pd

    peaks = {}
    for n in (FEW, MANY):
        for kind, shape, dtype in (("spectrogram", (250, 64), "float16"), ("prosody", (1, 900), "float32")):
            for variant, mark in (("clean", ""), ("augmented", "#1")):
                items = ((name + mark, values) for name, values in noise(n, shape, dtype))
                write_arrays(tmp_path / str(n) / kind / variant / "c", items, dtype=dtype, recipe={"name": kind})
        ids = [name for name, _ in noise(n, 1, "int16")]
        table = pd.DataFrame({"id": ids, "corpus": "c", "speaker": "s", "emotion": ["angry", "sad"] * (n // 2)})
        write_csv(tmp_path / str(n) / "rows.csv", table)
        peaks[n] = peak_mb(sys.executable, "-c", EPOCH, str(tmp_path / str(n)))
    size_mb = sum(path.stat().st_size for path in (tmp_path / str(MANY)).rglob("values.npy")) / 2**20
    print(f"\nepoch: {peaks[FEW]:.0f} MB for {FEW}, {peaks[MANY]:.0f} MB for {MANY} utterances ({size_mb:.0f} MB of features)")
    assert peaks[MANY] < peaks[FEW] + ALLOWED_MB < peaks[FEW] + size_mb / 4
