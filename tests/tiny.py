"""A real but tiny and untrained hybrid, bundled as the pipeline would, and voices to try it on."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ser.audio import AudioParams, to_float, to_int16
from ser.functionals import Functionals
from ser.params import load_params
from ser.prosodic_frontend import ProsodicFrontEnd
from ser.prosody import Prosody
from ser.spectrogram import Spectrogram

PARAMS = Path(__file__).parents[1] / "params.yaml"
EMOTIONS = ("neutral", "happy", "sad", "angry")
N_FRAMES = 32  # half a second: a clip of two seconds has several windows
RATE_HZ = 16000
SCORES = {"uar": 0.5, "uar_low": 0.4, "uar_high": 0.6, "accuracy": 0.55, "n": 40, "n_speakers": 2, "interval_over_clips": 0}
METRICS = {
    "calibration": {"temperature": 1.25, "unsure_below": 0.3, "test": {"coverage": 0.7, "accuracy_when_sure": 0.8}},
    "test": {
        "overall": SCORES,
        "corpora": {"emodb": SCORES | {"emotions": {"sad": {"recall": 0.5}}}},
        "macro_over_corpora": {"uar": 0.5, "uar_low": 0.4, "uar_high": 0.6, "interval_over_clips": 0},
        "enrolled": {"macro_over_corpora": {"uar": 0.625}, "corpora": {"emodb": {"uar": 0.625, "accuracy": 0.6, "n": 40}}},
    },
    "validation": {"macro_over_corpora": {"uar": 0.45}, "overall": {"uar": 0.45}},
    "test_speakers_heard_in_training": 0,
    "synthetic_demo_voices": 1,
}


def speech(seconds: float, f0_hz: float = 140.0, seed: int = 0) -> np.ndarray:
    """A voice without words: syllables of a gliding buzz in a little noise, on the 16-bit grid."""
    random = np.random.default_rng(seed)
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    f0 = f0_hz * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * times_s + seed))
    phase = 2 * np.pi * np.cumsum(f0) / RATE_HZ
    buzz = sum(np.sin(n * phase) / n for n in range(1, 16))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * times_s + seed)
    return to_float(to_int16(0.15 * syllables * buzz + random.normal(0, 0.002, len(times_s))))


def audio_params() -> AudioParams:
    return load_params("audio", AudioParams, PARAMS)


def spectrogram() -> Spectrogram:
    return load_params("spectrogram", Spectrogram, PARAMS)


def prosodic_front_end() -> ProsodicFrontEnd:
    return ProsodicFrontEnd(load_params("prosody", Prosody, PARAMS), load_params("functionals", Functionals, PARAMS))


def tiny_models():
    """CNN, prosodic network and hybrid with random weights and the statistics of a few clips, by name."""
    import keras

    from ser.models import cnn, hybrid, prosody
    from ser.statistics import column_statistics

    keras.backend.clear_session()
    keras.utils.set_random_seed(7)
    clips = [speech(0.5, f0_hz, seed) for seed, f0_hz in enumerate((110, 150, 210, 260))]
    front_end = prosodic_front_end()
    frames, rows = [spectrogram()(clip) for clip in clips], [front_end(clip) for clip in clips]
    shapes = {"spectrogram": (N_FRAMES, frames[0].shape[1]), "prosody": rows[0].shape[1:], "speaker": rows[0].shape[1:]}
    sizes = cnn.Params(stem_filters=4, filters=(4, 4), attention_units=4, embedding=8, dropout=0.1, level_free=True)
    models = {
        "cnn": cnn.build({"spectrogram": shapes["spectrogram"]}, len(EMOTIONS), sizes),
        "prosody": prosody.build(shapes, len(EMOTIONS), prosody.Params(units=(8,), dropout=0.1)),
    }
    for name, arrays in (("cnn", frames), ("prosody", rows)):
        layer = models[name].get_layer("standardise_spectrogram" if name == "cnn" else "standardise_prosody")
        layer.set_statistics(*(values.astype(np.float32) for values in column_statistics(arrays, level_free=layer.level_free)))
    sizes = hybrid.Params(dropout=0.1, fused_units=8, train_bases=True)
    return models | {"hybrid": hybrid.build(shapes, len(EMOTIONS), sizes, bases=models)}


def write_trained(folder: Path, model, inputs=("spectrogram", "prosody")) -> None:
    """What a training would have left in `data/trained/hybrid`."""
    from ser.trained import save_model

    recipes = {
        "spectrogram": {"name": "spectrogram", "fields": asdict(spectrogram()), "columns": spectrogram().band_names},
        "prosody": {**prosodic_front_end().recipe, "columns": list(prosodic_front_end().names)},
    }
    description = {
        "model": model.name,
        "emotions": list(EMOTIONS),
        "inputs": {kind: recipes[kind] for kind in inputs},
        "n_frames": N_FRAMES,
        "n_parameters": model.count_params(),
        "corpora": ["emodb"],
        "fingerprint": "f" * 64,
        "split_sha256": "d" * 64,
        "validation": {"epoch": 1, "validation_uar": 0.45},
    }
    folder.mkdir(parents=True)
    save_model(model, folder / "model.keras")
    (folder / "model.json").write_text(json.dumps(description))
    (folder / "params.json").write_text(json.dumps({"training": {"seed": 1}}))
    (folder / "history.csv").write_text("epoch,loss\n1,1.5\n")


def making():
    from ser.bundling import Making

    display = load_params("prosody", Prosody, PARAMS)
    return Making(audio=audio_params(), display_prosody=display, licences={"emodb": "free"}, synthetic=True)


def write_tiny_bundle(trained: Path, out: Path) -> None:
    """Bundle a folder that `write_trained` wrote."""
    from ser.bundling import write_bundle

    write_bundle(trained, METRICS, making(), out)
