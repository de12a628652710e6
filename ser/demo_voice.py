"""A synthetic voice that acts emotions: glottal pulses with a moving pitch, sent through moving formants.

Not a recording of anyone and not a model of real emotion: it moves what the literature says moves, in those directions,
so that a pipeline has something honest to find. Directions, relative to neutral speech (+ more, - less, 0 as neutral):

| emotion   | pitch | range | contour         | tempo | energy | high bands | irregularity | source |
|-----------|-------|-------|-----------------|-------|--------|------------|--------------|--------|
| angry     | ++    | ++    | abrupt accents  | +     | ++     | ++         | +            | 1 2 3  |
| happy     | +     | ++    | rising          | +     | +      | +          | 0            | 1 2 3  |
| sad       | -     | -     | falling         | -     | -      | -          | +, breathy   | 1 2 3  |
| fear      | ++    | -     | rising, tremor  | ++    | 0      | 0          | ++           | 1 2 3  |
| disgust   | -     | +     | wide final fall | --    | -      | 0          | +, creaky    | 1 3    |
| boredom   | -     | --    | falling, flat   | -     | -      | -          | 0            | 4      |
| calm      | -     | -     | smooth          | -     | -      | -          | -            | ours   |
| surprised | ++    | ++    | wide final rise | 0     | +      | +          | 0            | ours   |

1 Murray & Arnott 1993, J. Acoust. Soc. Am. 93(2). 2 Juslin & Laukka 2003, Psychol. Bull. 129(5). 3 Scherer 2003, Speech
Commun. 40. 4 Banse & Scherer 1996, J. Pers. Soc. Psychol. 70(3). The sources disagree on the pitch range of fear; we follow 2.
"ours": those tables do not cover it. The sizes of the steps are ours throughout, chosen so that simple models do well above
chance on unheard speakers and far from perfectly.
"""

import math
import zlib
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

RATE_HZ = 16_000
_OVERSAMPLING = 2  # pulses have corners; made at twice the rate, less of them folds back as a false tone
_FRAME_S = 0.005  # grid of all the moving controls
_FRAME = int(RATE_HZ * _FRAME_S)

# Mean formants 1-3 of men, Hz: Peterson & Barney 1952, J. Acoust. Soc. Am. 24(2), table II.
_VOWELS = {
    "i": (270, 2290, 3010),
    "I": (390, 1990, 2550),
    "E": (530, 1840, 2480),
    "ae": (660, 1720, 2410),
    "a": (730, 1090, 2440),
    "o": (570, 840, 2410),
    "U": (440, 1020, 2240),
    "u": (300, 870, 2240),
    "V": (640, 1190, 2390),
    "r": (490, 1350, 1690),
}
_NEUTRAL_TRACT = (500, 1500, 2500)  # resonances of a uniform tube of 17.5 cm; slurred speech draws towards them
_UPPER_FORMANTS = (3500, 4500)
_BANDWIDTHS_HZ = (70, 100, 150, 220, 300)
_CONSONANTS = ("fricative", "stop", "murmur", "none")
_SCALE_ST = (0, 2, 4, 5, 7, 4, 2, 0)  # what a song clip sings


@dataclass(frozen=True)
class Style:
    """How one utterance is spoken, relative to the speaker's neutral voice."""

    pitch_st: float = 0.0  # mean
    range_log: float = 0.0  # natural logarithm of the ratio, as are all `_log`
    slope_st: float = -2.0  # over the utterance
    final_st: float = -1.0  # movement on the last syllable
    tempo_log: float = 0.0
    level_db: float = 0.0
    effort_db: float = 0.0  # gain of what lies above 1 kHz
    jitter_log: float = 0.0
    breath_db: float = 0.0
    tremor_st: float = 0.1
    reach_log: float = 0.0  # size of the vowel space
    attack_log: float = 0.0  # steepness of syllable onsets


NEUTRAL = Style()
STYLES = {
    "neutral": NEUTRAL,
    "calm": Style(-1.0, -0.40, -1.5, -1.0, -0.14, -4.0, -3.5, -0.30, 1.0, 0.05, -0.10, -0.30),
    "happy": Style(3.5, 0.45, 1.5, 1.0, 0.10, 3.5, 3.0, 0.0, 0.0, 0.10, 0.12, 0.20),
    "sad": Style(-1.5, -0.50, -4.0, -2.0, -0.22, -6.0, -5.0, 0.50, 4.0, 0.15, -0.25, -0.50),
    "angry": Style(4.0, 0.50, -2.0, -2.0, 0.14, 7.0, 7.0, 0.50, -2.0, 0.10, 0.15, 0.80),
    "fear": Style(6.0, -0.25, 2.0, 1.0, 0.24, 0.5, 0.5, 0.75, 3.0, 0.60, -0.05, 0.20),
    "disgust": Style(-2.0, 0.20, -3.5, -5.0, -0.28, -1.5, 1.0, 0.70, 1.0, 0.15, 0.10, -0.10),
    "surprised": Style(5.0, 0.70, 3.0, 6.0, 0.02, 2.5, 2.0, 0.0, 1.0, 0.10, 0.05, 0.40),
    "boredom": Style(-2.5, -0.70, -2.0, -1.0, -0.30, -3.5, -3.5, 0.0, 0.5, 0.05, -0.20, -0.40),
}
# One standard deviation from utterance to utterance; half of it again is a speaker's own way with an emotion.
_SPREAD = Style(1.3, 0.20, 1.3, 1.0, 0.08, 2.0, 1.8, 0.30, 1.5, 0.06, 0.08, 0.20)


@dataclass(frozen=True)
class Speaker:
    """A voice, a temper and a room."""

    name: str
    sex: Literal["female", "male"]
    pitch_hz: float
    tract: float  # formants as a multiple of a grown man's
    tempo: float
    range_st: float
    expressiveness: float
    tilt_hz: float  # corner of the source's spectral tilt
    jitter: float  # standard deviation of the period, as a share of it
    breath_db: float  # aspiration relative to the voiced source
    gain_db: float  # distance to the microphone
    noise_db: float  # room noise relative to full scale
    noise_pole: float  # its colour: 0 white, towards 1 rumble


def seeded(*parts: object) -> np.random.Generator:
    """A generator that depends on the words given and on nothing else, not on the order of calls."""
    return np.random.default_rng(zlib.crc32(":".join(map(str, parts)).encode()))


def make_speaker(name: str, sex: Literal["female", "male"], *, seed: int) -> Speaker:
    """Draw a voice; the same name and seed give the same one.

    Pitch of 115 and 205 Hz and tracts 16 % apart are ordinary means of men and women (Peterson & Barney 1952 give
    132 and 223 Hz for citation forms).
    """
    rng = seeded(seed, "speaker", name)
    female = sex == "female"
    return Speaker(
        name,
        sex,
        pitch_hz=(205 if female else 115) * 2 ** (rng.normal(0, 1.7) / 12),
        tract=(1.16 if female else 1.0) * math.exp(rng.normal(0, 0.035)),
        tempo=math.exp(rng.normal(0, 0.09)),
        range_st=2.6 * math.exp(rng.normal(0, 0.18)),
        expressiveness=float(np.clip(math.exp(rng.normal(0, 0.22)), 0.6, 1.5)),
        tilt_hz=2400 * math.exp(rng.normal(0, 0.25)),
        jitter=0.004 * math.exp(rng.normal(0, 0.25)),
        breath_db=-21 + rng.normal(0, 2.0),
        gain_db=rng.normal(0, 2.5),
        noise_db=rng.uniform(-68, -54),
        noise_pole=rng.uniform(0.3, 0.95),
    )


def style_of(speaker: Speaker, emotion: str, rng: np.random.Generator, *, strength: float, variation: float, seed: int) -> Style:
    """The emotion's style as this speaker acts it this time.

    Args:
        speaker: scales the distance from neutral and adds habits of their own.
        emotion: a key of `STYLES`.
        rng: the utterance's own source of chance.
        strength: 1 is ordinary acting, more is stronger.
        variation: size of the random part, 1 as tabulated.
        seed: of the speaker's habits.
    """
    habits = seeded(seed, "habits", speaker.name, emotion)
    target, amount = STYLES[emotion], speaker.expressiveness * strength
    values = {}
    for field in fields(Style):
        neutral, spread = getattr(NEUTRAL, field.name), getattr(_SPREAD, field.name) * variation
        chance = rng.normal(0, spread) + habits.normal(0, spread / 2)
        values[field.name] = neutral + amount * (getattr(target, field.name) - neutral) + chance
    return Style(**values)


def speak(speaker: Speaker, sentence: str, style: Style, rng: np.random.Generator, *, n_syllables: int, sung: bool) -> np.ndarray:
    """One utterance in the speaker's room: float32, shape (n_samples,), at `RATE_HZ`, full scale 1.0.

    The same `sentence` has the same vowels and consonants whoever speaks it.
    """
    controls = _controls(speaker, sentence, style, rng, n_syllables=n_syllables, sung=sung)
    n_samples = len(controls.voicing) * _FRAME
    voice = _glottis(speaker, controls.pitch_hz, style, rng)
    breath = rng.standard_normal(n_samples) * 10 ** ((speaker.breath_db + style.breath_db) / 20)
    source = (voice + breath * _rms(voice)) * _upsampled(controls.voicing)
    friction = np.diff(rng.standard_normal(n_samples), prepend=0.0) * _upsampled(controls.friction)
    signal = _tract(_effort(source, style.effort_db), controls.formants_hz)
    active = _rms(signal[_upsampled(controls.voicing) > 0.3])
    signal = signal / max(active, 1e-9) + 0.35 * _effort(friction, style.effort_db / 2)
    signal *= 10 ** ((-26 + style.level_db + speaker.gain_db) / 20)
    return _limited(signal + _room(speaker, n_samples, rng)).astype(np.float32)


@dataclass
class _Controls:
    """What moves during an utterance, one value a frame of 5 ms."""

    pitch_hz: np.ndarray  # (n_frames,)
    voicing: np.ndarray  # (n_frames,), 0 to about 1
    friction: np.ndarray  # (n_frames,)
    formants_hz: np.ndarray  # (n_frames, 5)


def _controls(
    speaker: Speaker, sentence: str, style: Style, rng: np.random.Generator, *, n_syllables: int, sung: bool
) -> _Controls:
    """Lay consonants and vowels one after the other, then smooth: articulators have mass."""
    text = seeded("sentence", sentence)
    tempo = speaker.tempo * math.exp(style.tempo_log) * (0.75 if sung else 1.0)
    pause_after = n_syllables // 2 - 1 if n_syllables > 4 else -1
    stress = text.integers(0, 2)
    pitch, voicing, friction, formants = [], [], [], []

    def add(seconds: float, *, voiced: float, noisy: float, vowel: tuple[float, ...], accent: float) -> None:
        n = max(1, round(seconds / tempo * math.exp(rng.normal(0, 0.12)) / _FRAME_S))
        pitch.extend([accent] * n)
        voicing.extend([voiced] * n)
        friction.extend([noisy] * n)
        formants.extend([vowel] * n)

    reach = math.exp(style.reach_log)
    rest = _shaped(_NEUTRAL_TRACT, 1.0)
    add(0.07 * tempo, voiced=0, noisy=0, vowel=rest, accent=0)
    for syllable in range(n_syllables):
        consonant = str(text.choice(_CONSONANTS, p=(0.35, 0.25, 0.25, 0.15)))
        vowel = _shaped(_VOWELS[str(text.choice(list(_VOWELS)))], reach)
        stressed = syllable % 2 == stress
        accent = (1.0 if stressed else -0.6) + rng.normal(0, 0.25)
        if sung:
            accent = 0.0
        if consonant == "fricative":
            add(0.075, voiced=0, noisy=1, vowel=vowel, accent=accent)
        elif consonant == "stop":
            add(0.045, voiced=0, noisy=0, vowel=vowel, accent=accent)
            add(0.012, voiced=0, noisy=1.3, vowel=vowel, accent=accent)
        elif consonant == "murmur":
            add(0.055, voiced=0.35, noisy=0, vowel=_shaped((280, 1200, 2300), 1.0), accent=accent)
        last = syllable == n_syllables - 1
        length = (0.145 if stressed else 0.105) * (1.35 if last else 1.0) * (1.2 if sung else 1.0)
        add(length, voiced=1.0 if stressed else 0.75, noisy=0, vowel=vowel, accent=accent)
        if syllable == pause_after:
            add(0.09, voiced=0, noisy=0, vowel=rest, accent=0)
    add(0.07 * tempo, voiced=0, noisy=0, vowel=rest, accent=0)

    attack_s = float(np.clip(0.040 * math.exp(-style.attack_log), 0.012, 0.08))
    levels = _smoothed(np.array(voicing), attack_s)
    contour = _contour(np.array(pitch), speaker, style, rng, sung=sung, n_syllables=n_syllables)
    shape = np.stack([_smoothed(column, 0.05) for column in np.array(formants, dtype=float).T], axis=1)
    return _Controls(
        pitch_hz=np.clip(speaker.pitch_hz * 2 ** (contour / 12), 65, 560),
        voicing=np.where(levels < 0.02, 0.0, levels),
        friction=_smoothed(np.array(friction), 0.012),
        formants_hz=np.minimum(shape * speaker.tract, 0.48 * RATE_HZ),
    )


def _contour(
    accents: np.ndarray, speaker: Speaker, style: Style, rng: np.random.Generator, *, sung: bool, n_syllables: int
) -> np.ndarray:
    """Pitch in semitones above the speaker's own, shape (n_frames,): mean, accents, declination, final turn, tremor."""
    n_frames = len(accents)
    time_s = np.arange(n_frames) * _FRAME_S
    place = np.linspace(-0.5, 0.5, n_frames)
    tremor = np.sin(2 * np.pi * (rng.uniform(4.5, 6.5) * time_s + rng.uniform())) * max(0.0, style.tremor_st)
    if sung:
        step = np.minimum((place + 0.5) * n_syllables, n_syllables - 1).astype(int)
        tune = _smoothed(np.array(_SCALE_ST)[step % len(_SCALE_ST)].astype(float), 0.04)
        return 0.6 * style.pitch_st + tune + 2 * tremor
    swing = _smoothed(accents, 0.09) * speaker.range_st / 2 * math.exp(style.range_log)
    final = style.final_st * np.clip((place - 0.2) / 0.3, 0, 1) ** 1.5
    drift = _smoothed(rng.normal(0, 2.5, n_frames), 0.25)
    return style.pitch_st + swing + style.slope_st * place + final + tremor + drift


def _glottis(speaker: Speaker, pitch_hz: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Derivative of a Rosenberg flow pulse (1971, J. Acoust. Soc. Am. 49(2), type C), jittered and shimmered cycle by cycle."""
    import soxr
    from scipy.signal import lfilter

    rate = RATE_HZ * _OVERSAMPLING
    pitch = _upsampled(pitch_hz, _OVERSAMPLING)
    jitter = float(np.clip(speaker.jitter * math.exp(style.jitter_log), 0.001, 0.02))
    cycle = np.floor(np.cumsum(pitch) / rate).astype(int)
    phase = np.cumsum(pitch * (1 + jitter * rng.standard_normal(cycle[-1] + 1)[cycle])) / rate
    cycle = np.floor(phase).astype(int)
    phase -= cycle
    open_share = float(np.clip(0.62 - 0.018 * style.effort_db + 0.01 * style.breath_db, 0.42, 0.80))
    rise, fall = 0.67 * open_share, 0.33 * open_share
    opening = 0.5 / rise * np.sin(np.pi * phase / rise)
    closing = -0.5 / fall * np.sin(0.5 * np.pi * (phase - rise) / fall)
    pulse = np.where(phase < rise, opening, np.where(phase < open_share, closing, 0.0))
    pulse *= 1 + 6 * jitter * rng.standard_normal(cycle[-1] + 1)[cycle]
    pole = math.exp(-2 * math.pi * speaker.tilt_hz / rate)
    pulse = lfilter([1 - pole], [1, -pole], pulse)
    return soxr.resample(pulse, rate, RATE_HZ, quality="HQ")[: len(pitch_hz) * _FRAME]


def _effort(source: np.ndarray, gain_db: float) -> np.ndarray:
    """Raise or lower what lies above 1 kHz: a first-order shelf."""
    from scipy.signal import lfilter

    pole = math.exp(-2 * math.pi * 1000 / RATE_HZ)
    low = lfilter([1 - pole], [1, -pole], source)
    return low + 10 ** (gain_db / 20) * (source - low)


def _tract(source: np.ndarray, formants_hz: np.ndarray) -> np.ndarray:
    """Five resonators in cascade (Klatt 1980, J. Acoust. Soc. Am. 67(3)), cross-faded every 10 ms.

    Windows of 20 ms are filtered in the frequency domain, all at once, and their tails overlap; one filter call for each
    of the hundreds of short blocks of an utterance was the slowest part of the demo.
    """
    hop, n_fft = 2 * _FRAME, 1024  # 64 ms: room for the ringing of the narrowest formant
    formants_hz = np.concatenate([formants_hz, formants_hz[-1:]])[::2]
    n_windows = len(formants_hz)
    padded = np.pad(source, (hop, n_windows * hop - len(source)))
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop] * np.hanning(2 * hop + 1)[:-1]
    filtered = np.fft.irfft(np.fft.rfft(pieces, n_fft) / np.fft.rfft(_resonators(formants_hz), n_fft), n_fft)
    out = np.zeros(len(padded) + n_fft)
    for n, piece in enumerate(filtered):
        out[n * hop : n * hop + n_fft] += piece
    return out[hop : hop + len(source)]


def _resonators(formants_hz: np.ndarray) -> np.ndarray:
    """Denominators of the cascade with unit gain at 0 Hz: formants (n_windows, 5) to coefficients (n_windows, 11)."""
    radius = np.exp(-np.pi * np.array(_BANDWIDTHS_HZ) / RATE_HZ)
    turn = -2 * radius * np.cos(2 * np.pi * formants_hz / RATE_HZ)
    product = np.zeros((len(formants_hz), 2 * formants_hz.shape[1] + 1))
    product[:, 0] = 1
    for formant, damping in zip(turn.T, radius**2, strict=True):  # times (1 + formant / z + damping / z^2)
        product[:, 2:] += formant[:, np.newaxis] * product[:, 1:-1] + damping * product[:, :-2]
        product[:, 1] += formant * product[:, 0]
    return product / product.sum(axis=1, keepdims=True)


def _room(speaker: Speaker, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """The speaker's background noise, of their own level and colour."""
    from scipy.signal import lfilter

    noise = lfilter([1.0], [1, -speaker.noise_pole], rng.standard_normal(n_samples))
    return noise / _rms(noise) * 10 ** (speaker.noise_db / 20)


def _limited(signal: np.ndarray) -> np.ndarray:
    peak = np.abs(signal).max()
    return signal * (0.97 / peak) if peak > 0.97 else signal


def _shaped(formants_hz: tuple[float, ...], reach: float) -> tuple[float, ...]:
    """Formants 1-5, moved from the neutral tract by `reach` times their distance."""
    lower = (rest + reach * (hz - rest) for hz, rest in zip(formants_hz, _NEUTRAL_TRACT, strict=True))
    return (*lower, *_UPPER_FORMANTS)


def _smoothed(track: np.ndarray, seconds: float) -> np.ndarray:
    """Running mean under a Hann window, the ends held."""
    n = max(3, 2 * round(seconds / _FRAME_S / 2) + 1)
    window = np.hanning(n + 2)[1:-1]
    return np.convolve(np.pad(track, n // 2, mode="edge"), window / window.sum(), mode="valid")


def _upsampled(track: np.ndarray, factor: int = 1) -> np.ndarray:
    """A control track at sample rate, linear between frames: shape (n_frames * frame length * factor,)."""
    n = _FRAME * factor
    return np.interp(np.arange(len(track) * n) / n, np.arange(len(track)), track)


def _rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(signal)))) if len(signal) else 0.0
