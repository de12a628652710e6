"""How long one prediction takes, cold and warm, beside a Keras and librosa script that works as R4 does.

    python -m benchmarks.latency clip.wav > docs/results/latency.json

Cold is a process of its own, from its start to its answer; warm is the same clip again in a process that has the model. The
baseline reads the clip, takes R4's 550 functionals with librosa and asks a dense network of R4's size (275 - 200 - 150 - 100 - 8,
untrained: that costs the same), since R4's own weights are not to be had.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

COLD, WARM, WARM_BASELINE = 7, 200, 20

BASELINE = """
import sys, time
import keras, librosa, numpy as np

def columns(path):
    y, rate = librosa.load(path, sr=22050)
    mfcc = librosa.feature.mfcc(y=y, sr=rate, n_mfcc=40)
    harmonic = librosa.effects.harmonic(y)
    tracks = [
        mfcc, librosa.feature.delta(mfcc), librosa.feature.delta(mfcc, order=2), librosa.feature.chroma_stft(y=y, sr=rate),
        librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=rate)), librosa.feature.spectral_contrast(y=y, sr=rate),
        librosa.feature.tonnetz(y=harmonic, sr=rate), librosa.feature.zero_crossing_rate(y), librosa.feature.rms(y=y),
    ]
    return np.concatenate([np.concatenate([t.mean(axis=1), t.std(axis=1)]) for t in tracks])

layers = keras.layers
model = keras.Sequential([keras.Input((275,))])
for units, dropout in ((200, 0.3), (150, 0.3), (100, 0.2)):
    for layer in (layers.Dense(units, "relu"), layers.BatchNormalization(), layers.Dropout(dropout)):
        model.add(layer)
model.add(layers.Dense(8, "softmax"))
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    row = columns(sys.argv[1])
    assert row.shape == (550,)
    model.predict(row[None, :275], verbose=0)
    print(time.perf_counter() - start, flush=True)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""

OURS = """
import sys, time
from pathlib import Path
from ser.bundle import find_bundle
from ser.predictor import Predictor
from ser.recording import load_clip

predictor = Predictor.load(find_bundle(None))
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    predictor.predict(load_clip(Path(sys.argv[1]), predictor.audio))
    print(time.perf_counter() - start, flush=True)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def cold_s(command: list[str]) -> float:
    """Median wall time of a process, after one run that fills the disk cache."""
    took_s = []
    for _ in range(COLD + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took_s.append(time.perf_counter() - start)
    return round(float(np.median(took_s[1:])), 3)


def warm(program: str, clip: Path, n: int) -> dict[str, float]:
    """Milliseconds of the second and further predictions, and the process' peak memory in MB."""
    done = subprocess.run([sys.executable, "-c", program, str(clip), str(n)], check=True, capture_output=True, text=True)
    *took_s, peak_kib = done.stdout.split()
    p50, p95 = np.percentile([1000 * float(took) for took in took_s[1:]], [50, 95])
    return {"p50_ms": round(p50, 1), "p95_ms": round(p95, 1), "peak_mb": round(int(peak_kib) * 1024 / 1e6)}


def main() -> None:
    """Measure and print."""
    import soundfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path)
    clip = parser.parse_args().clip
    ser = str(Path(sys.executable).with_name("ser"))
    ours = {"cold_s": cold_s([ser, "predict", str(clip)]), **warm(OURS, clip, WARM)}
    baseline = {"cold_s": cold_s([sys.executable, "-c", BASELINE, str(clip), "1"]), **warm(BASELINE, clip, WARM_BASELINE)}
    report = {
        "clip_s": round(soundfile.info(clip).duration, 2),
        "ser predict": ours,
        "keras and librosa, as R4": baseline,
        "times as fast": {name: round(baseline[name] / ours[name], 1) for name in ("cold_s", "p50_ms")},
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
