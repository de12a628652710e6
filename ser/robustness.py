"""Which disturbances a model is asked about, on which clips: parameters, a fair sample, and each clip in all its conditions."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ser import disturbances
from ser.disturbances import MP3_KBPS, Band
from ser.errors import SerError

INTACT = "intact"
Level = float | str  # of a band by name
Key = tuple[str, Level | None]  # condition and level


class RobustnessError(SerError):
    """The clips, their audio and the bundle do not fit together."""


@dataclass(frozen=True)
class RobustnessParams:
    """Section `robustness` of the benchmark's parameters; `ser.disturbances` says what each does.

    Attributes:
        clips: of a corpus' test part at most; the same in every condition.
        seed: of the sample and of every disturbance.
        snr_db: of each kind of noise.
        gain_db: of the level.
        band: of the telephone.
        mp3_kbps: of the MP3 file.
        first_s: seconds of speech that are kept.
        speech_db: where speech begins, below its loudest.
        t60_s: reverberation time.
        direct_db: direct sound over reverberation.
    """

    clips: int
    seed: int
    snr_db: tuple[float, ...]
    gain_db: tuple[float, ...]
    band: tuple[Band, ...]
    mp3_kbps: tuple[int, ...]
    first_s: tuple[float, ...]
    speech_db: float
    t60_s: tuple[float, ...]
    direct_db: float

    def __post_init__(self) -> None:
        """Refuse what cannot be done (ValueError)."""
        if self.clips < 1:
            raise ValueError(f"clips must be at least 1, got {self.clips}")
        if unknown := sorted(set(self.mp3_kbps) - set(MP3_KBPS)):
            raise ValueError(f"mp3_kbps must be of {', '.join(map(str, MP3_KBPS))}; got {unknown[0]}")
        for name in ("first_s", "t60_s"):
            if wrong := [value for value in getattr(self, name) if value <= 0]:
                raise ValueError(f"{name} must be above 0, got {wrong[0]}; the intact clip is asked about anyway")

    @property
    def keys(self) -> list[Key]:
        """All conditions and levels, the intact clip first."""
        return [(INTACT, None), *((name, level) for name in CONDITIONS for level in getattr(self, CONDITIONS[name].levels))]


@dataclass(frozen=True)
class Condition:
    """One way to disturb, and the parameter that lists its levels."""

    levels: str
    apply: Callable[[np.ndarray, int, Level, RobustnessParams, np.random.Generator], np.ndarray]


CONDITIONS = {
    "white_noise": Condition("snr_db", lambda x, rate, level, params, rng: disturbances.white_noise(x, level, rng)),
    "pink_noise": Condition("snr_db", lambda x, rate, level, params, rng: disturbances.pink_noise(x, rate, level, rng)),
    "speech_noise": Condition("snr_db", lambda x, rate, level, params, rng: disturbances.speech_noise(x, level, rng)),
    "gain": Condition("gain_db", lambda x, rate, level, params, rng: disturbances.gain(x, level)),
    "band": Condition("band", lambda x, rate, level, params, rng: disturbances.telephone(x, rate, level)),
    "mp3": Condition("mp3_kbps", lambda x, rate, level, params, rng: disturbances.mp3(x, rate, level)),
    "length": Condition("first_s", lambda x, rate, level, params, rng: disturbances.first(x, rate, level, params.speech_db)),
    "reverberation": Condition(
        "t60_s", lambda x, rate, level, params, rng: disturbances.reverberation(x, rate, level, params.direct_db, rng)
    ),
}


def disturbed(
    signal: np.ndarray, sampling_rate_hz: int, clip_id: str, params: RobustnessParams
) -> Iterator[tuple[Key, np.ndarray]]:
    """A clip in every condition, in the order of `params.keys`.

    The draws depend on the seed, the clip and the condition, not on the level: one noise gets louder, one room more live.
    """
    for name, level in params.keys:
        if level is None:
            yield (name, level), signal
            continue
        rng = np.random.default_rng(zlib.crc32(f"{clip_id}#{name}#{params.seed}".encode()))
        yield (name, level), CONDITIONS[name].apply(signal, sampling_rate_hz, level, params, rng)


def sample(clips: pd.DataFrame, params: RobustnessParams) -> pd.DataFrame:
    """Some test clips of each corpus: emotions take turns, and within an emotion its speakers do; sorted by id.

    Args:
        clips: the cleaned table.
        params: how many, and the seed of the draw; a corpus' draw does not depend on the others.

    Raises:
        RobustnessError: no test clip.
    """
    test = clips[clips["split"] == "test"]
    if test.empty:
        raise RobustnessError("no test clip in the cleaned table; check `split` and `corpora` in params.yaml")
    parts = []
    for corpus, part in test.groupby("corpus", sort=True):
        shuffled = part.sort_values("id").sample(frac=1, random_state=zlib.crc32(f"{corpus}#{params.seed}".encode()))
        for group in (["emotion", "speaker"], ["emotion"]):
            shuffled = shuffled.iloc[np.argsort(shuffled.groupby(group).cumcount().to_numpy(), kind="stable")]
        parts.append(shuffled.head(params.clips))
    return pd.concat(parts).sort_values("id").reset_index(drop=True)
