"""Does a model read the microphone rather than the voice? What its embedding, the pauses and the file's form give away.

A recognizer may learn the room, the microphone or the length of the files instead of the emotion (shortcut learning, Geirhos et
al., Nature Machine Intelligence 2020). So linear probes (Alain & Bengio 2016) read corpus, speaker, sex and emotion from the
model's embedding, from the pauses alone and from the form of the file alone, always on speakers or clips the probe was not
fitted on; and the model itself is asked about clips of which only the pauses are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ser import scoring
from ser.bootstrap import SpeakerBootstrap, interval
from ser.features import Clip, Features
from ser.inference import predict

if TYPE_CHECKING:
    import keras

TARGETS = ("corpus", "speaker", "sex", "emotion")
UNKNOWN = ("", "unknown")  # a sex that a corpus does not tell
FORM = ("duration_s", "sampling_rate_hz", "channels")  # of the file as released
_FEWEST_CLIPS = 10  # of a class, and of its pauses' frames
_N_FOLDS = 5


@dataclass(frozen=True)
class ShortcutParams:
    """Section `shortcut` of the parameters.

    Attributes:
        pause_db: frames this far below the clip's 95th percentile of level are pauses.
        kept_edge: warn when the model, hearing pauses alone, keeps more than this share of its lead over chance.
        seed: of the probes' folds.
    """

    pause_db: float
    kept_edge: float
    seed: int


class PausesOnly:
    """Features of clips of which nothing is left but the frames between words: no prosody, and nobody is known."""

    def __init__(self, features: Features, pause_db: float) -> None:
        self.features, self.pause_db = features, pause_db

    def get(self, kind: str, clip: Clip) -> np.ndarray:
        """As `Features.get`; prosody and speaker are all NaN, undefined."""
        values = self.features.get(kind, clip)
        if kind != "spectrogram":
            return np.full_like(values, np.nan)
        return values[pauses(values, self.pause_db)]

    def has(self, clip: Clip) -> bool:
        """Whether enough pauses are left to judge."""
        return int(pauses(self.features.get("spectrogram", clip), self.pause_db).sum()) >= _FEWEST_CLIPS


def pauses(spectrogram: np.ndarray, pause_db: float) -> np.ndarray:
    """Which frames of a spectrogram in dB (n_frames, n_bands) are pauses: bool (n_frames,)."""
    level = spectrogram.mean(axis=1)
    return level < np.percentile(level, 95) - pause_db


def pause_features(spectrogram: np.ndarray, pause_db: float) -> np.ndarray:
    """Mean and deviation of each band over the pauses, in dB: (2 * n_bands,)."""
    quiet = spectrogram[pauses(spectrogram, pause_db)]
    return np.concatenate([quiet.mean(axis=0), quiet.std(axis=0)])


def probe(x: np.ndarray, rows: pd.DataFrame, target: str, bootstrap: SpeakerBootstrap, seed: int) -> dict[str, Any]:
    """How well a linear probe reads one target, cross-validated: UAR with its 95 % interval, and chance.

    Speakers never cross a fold, except where speakers themselves are the target: then clips do, within each corpus, so that
    the corpus does not help, and the figure is the mean over corpora.

    Args:
        x: (n_clips, n_columns), no NaN.
        rows: of the same clips; columns corpus, speaker, sex, emotion.
        target: one of `TARGETS`.
        bootstrap: of the interval; over clips where the target is the speaker.
        seed: of the folds.

    Returns:
        uar, uar_low, uar_high, chance, n_classes, n. Empty where fewer than two classes have enough clips or speakers.
    """
    if target != "speaker":
        return _probed(x, rows, target, rows["speaker"], bootstrap, seed)
    found = []
    for _, part in rows.groupby("corpus", sort=True):
        clips = pd.Series(np.arange(len(part)).astype(str), index=part.index)
        if scores := _probed(x[rows.index.get_indexer(part.index)], part, target, clips, bootstrap, seed):
            found.append(scores)
    if not found:
        return {}
    mean = {key: float(np.mean([scores[key] for scores in found])) for key in found[0]}
    return mean | {"n": sum(scores["n"] for scores in found), "n_classes": sum(scores["n_classes"] for scores in found)}


def _probed(x: np.ndarray, rows: pd.DataFrame, target: str, groups: pd.Series, bootstrap: SpeakerBootstrap, seed: int) -> dict:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    enough = rows.assign(group=groups).groupby(target)["group"].agg(["nunique", "size"])
    enough = enough[(enough["nunique"] >= 2) & (enough["size"] >= _FEWEST_CLIPS) & ~enough.index.isin(UNKNOWN)]
    classes = sorted(enough.index)
    used = rows[target].isin(classes).to_numpy()
    if len(classes) < 2:
        return {}
    x, groups, rows = x[used], groups[used].to_numpy(dtype=object), rows[used]
    truth = rows[target].map({name: code for code, name in enumerate(classes)}).to_numpy(dtype=int)
    predicted = np.empty_like(truth)
    n_folds = min(_N_FOLDS, int(enough["nunique"].min()))
    for fitted, asked in StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(x, truth, groups):
        reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000))
        predicted[asked] = reader.fit(x[fitted], truth[fitted]).predict(x[asked])
    corpus = rows["corpus"].to_numpy(dtype=object)
    draws = bootstrap(truth, predicted, len(classes), corpus=corpus, speaker=groups)
    low, high = interval(scoring.uar(sum(draws.values())))
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (truth, predicted), 1)
    uar = float(scoring.uar(counts))
    return {
        "uar": uar, "uar_low": low, "uar_high": high, "chance": 1 / len(classes), "n_classes": len(classes), "n": len(truth)
    }  # fmt: skip


def has_embedding(model: Any) -> bool:
    """Whether the model is a network, with something inside to read from."""
    return hasattr(model, "layers")


def embeddings(model: "keras.Model", clips: Sequence[Clip], features: Features, n_frames: int) -> np.ndarray:
    """What a network's last layer reads of each clip, the mean over its windows: (n_clips, n_columns)."""
    import keras

    last = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)][-1]
    inner = keras.Model(model.inputs, last.input)
    return predict(inner, clips, features, [tensor.name for tensor in model.inputs], n_frames)


def edge_kept(truth: np.ndarray, whole: np.ndarray, pauses_alone: np.ndarray, n_emotions: int) -> dict[str, float]:
    """UAR of a model on whole clips and on their pauses alone, and the share of its lead over chance that the pauses keep.

    Args:
        truth: (n_clips,) codes of the true emotions.
        whole: (n_clips,) codes it predicts from the clips.
        pauses_alone: (n_clips,) codes it predicts from their pauses.
        n_emotions: how many codes there are.
    """
    scores = {}
    for name, predicted in (("whole", whole), ("pauses", pauses_alone)):
        counts = np.zeros((n_emotions, n_emotions))
        np.add.at(counts, (truth, predicted), 1)
        scores[name] = float(scoring.uar(counts))
    chance = 1 / len(np.unique(truth))
    lead = scores["whole"] - chance
    kept = max(0.0, scores["pauses"] - chance) / lead if lead > 0 else 1.0
    return {"uar_whole": scores["whole"], "uar_pauses": scores["pauses"], "chance": chance, "kept": kept, "n": len(truth)}


def warning(report: Mapping[str, Any], params: ShortcutParams) -> str:
    """One sentence for the card where a model leans on what lies between the words; empty where it does not."""
    if not (heard := report.get("pauses_alone")) or heard["kept"] <= params.kept_edge:
        return ""
    return (
        f"It reads the recording, not the voice alone: hearing nothing but the pauses it still has a UAR of "
        f"{100 * heard['uar_pauses']:.0f} % (chance {100 * heard['chance']:.0f} %), {100 * heard['kept']:.0f} % of its lead."
    )
