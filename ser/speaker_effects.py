"""How much of what is measured tells the speaker rather than the emotion, and what an unknown voice costs because of it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ser.inference import Enrolment
from ser.models import prosody
from ser.scoring import confusion, uar
from ser.speaker import speaker_mean

CONDITIONS = ("none", "enrolled", "transductive")
_LOUD, _QUIET = 80, 5  # percentiles of a clip's frame levels
_DISCRIMINANT = prosody.Params(units=(), dropout=0.0, discriminant=1.0)


def variance_shares(rows: np.ndarray, speakers: Sequence[str], emotions: Sequence[str]) -> dict[str, float]:
    """Of each column's variance the share between speakers and the share between emotions (eta squared), as medians.

    Args:
        rows: columns of the clips, (n, columns), NaN where undefined.
        speakers: of each clip.
        emotions: of each clip.

    Returns:
        `speaker`, `emotion`: medians over columns; `columns_of_speaker`: share of columns that tell the speaker better.
    """
    table = pd.DataFrame(rows)
    table = table.loc[:, table.std() > 0]
    by_speaker, by_emotion = (_between(table, np.asarray(groups)) for groups in (speakers, emotions))
    return {
        "speaker": float(by_speaker.median()),
        "emotion": float(by_emotion.median()),
        "columns_of_speaker": float((by_speaker > by_emotion).mean()),
    }


def _between(table: pd.DataFrame, groups: np.ndarray) -> pd.Series:
    means = table.groupby(groups).transform("mean").where(table.notna())
    return ((means - table.mean()) ** 2).sum() / ((table - table.mean()) ** 2).sum()


def chain(spectrogram_db: np.ndarray, band_hz: np.ndarray) -> dict[str, float]:
    """What of a clip tells the recording chain more than the words, dB.

    Args:
        spectrogram_db: log-mel, (frames, bands).
        band_hz: centre of each band.

    Returns:
        `tilt_db`: mean level above 4 kHz minus that between 300 Hz and 2 kHz, in the loud frames; `range_db`: loud over quiet.
    """
    level_db = 10 * np.log10((10 ** (spectrogram_db / 10)).sum(axis=1))
    loud = spectrogram_db[level_db >= np.percentile(level_db, _LOUD)].mean(axis=0)
    middle = (band_hz > 300) & (band_hz < 2000)
    return {
        "tilt_db": float(loud[band_hz > 4000].mean() - loud[middle].mean()),
        "range_db": float(np.percentile(level_db, 100 - _QUIET) - np.percentile(level_db, _QUIET)),
    }


def one_speaker_out(
    rows: np.ndarray, speakers: Sequence[str], emotions: Sequence[str], enrolment: Enrolment
) -> dict[str, dict[str, float]]:
    """UAR of a linear discriminant on each speaker, trained on all others, by what is known of the speaker.

    Where the speaker is known, every clip is taken as its distance from the speaker's mean, in training as in test: of all the
    speaker's clips, or of a few drawn ones.

    Args:
        rows: columns of the clips, (n, columns), NaN where undefined.
        speakers: of each clip.
        emotions: of each clip.
        enrolment: how many clips the speaker is known from under `enrolled`.

    Returns:
        By speaker, UAR under each of CONDITIONS.
    """
    speakers, emotions = np.asarray(speakers), np.asarray(emotions)
    names, codes = np.unique(emotions, return_inverse=True)
    centred = rows - _means(rows, speakers)
    found = {}
    for place, speaker in enumerate(sorted(set(speakers))):
        own = speakers == speaker
        scores = {"none": _uar(rows[~own], codes[~own], rows[own], codes[own])}
        for condition, others in (("enrolled", enrolment.clips), ("transductive", own.sum())):
            tested = _departures(rows[own], int(others), np.random.default_rng([enrolment.seed, place]))
            scores[condition] = _uar(centred[~own], codes[~own], tested, codes[own])
        found[speaker] = scores
    return found


def _means(rows: np.ndarray, speakers: np.ndarray) -> np.ndarray:
    means = {speaker: speaker_mean(rows[speakers == speaker]) for speaker in set(speakers)}
    return np.stack([means[speaker] for speaker in speakers])


def _departures(rows: np.ndarray, n_clips: int, random: np.random.Generator) -> np.ndarray:
    """Each row's distance from the mean of some of the others."""
    found = []
    for n, row in enumerate(rows):
        others = np.delete(np.arange(len(rows)), n)
        found.append(row - speaker_mean(rows[random.permutation(others)[:n_clips]]))
    return np.stack(found)


def _uar(train: np.ndarray, train_codes: np.ndarray, test: np.ndarray, test_codes: np.ndarray) -> float:
    fitted = prosody.fit(train, train_codes, _DISCRIMINANT, 0)
    scaled = np.nan_to_num((test - fitted["mean"]) / np.where(fitted["deviation"] > 1e-6, fitted["deviation"], 1.0)).clip(-8, 8)
    chosen = fitted["codes"][(scaled @ fitted["weights"] + fitted["bias"]).argmax(axis=1)]
    return float(uar(confusion(test_codes, chosen, int(max(train_codes.max(), test_codes.max())) + 1)))


def summary(by_speaker: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean over speakers of each condition."""
    return {condition: float(np.mean([scores[condition] for scores in by_speaker.values()])) for condition in CONDITIONS}
