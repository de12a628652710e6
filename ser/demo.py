"""Small synthetic corpora in the official layouts of the five real ones, with the real world's faults planted in.

Names, folders, sampling rates and channel counts are those of the releases, so that whatever reads these reads those.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np

from ser.demo_voice import RATE_HZ, Speaker, make_speaker, seeded, speak, style_of
from ser.errors import SerError
from ser.files import replacing

# One table of what is wrong on purpose: (path in the corpus, word in the reason it is rejected for; '' = odd but usable).
PLANTED: dict[str, tuple[tuple[str, str], ...]] = {
    "ravdess": (
        # the common archive holds every file a second time in a nested folder
        ("audio_speech_actors_01-24/Actor_01/03-01-01-01-01-01-01.wav", "duplicate"),
        ("audio_speech_actors_01-24/Actor_01/03-01-05-01-01-01-01.wav", "duplicate"),
        ("audio_speech_actors_01-24/Actor_02/03-01-04-01-01-01-02.wav", "duplicate"),
        ("Actor_01/03-01-02-01-01-01-01.wav", ""),  # stereo
        ("Actor_02/03-01-01-01-01-01-02.wav", ""),  # an extra chunk (FLLR) before the samples
        ("Actor_03/03-01-04-01-01-01-03.wav", ""),  # peaks below 0.01
    ),
    "crema_d": (
        ("AudioWAV/1076_MTI_SAD_XX.wav", "silent"),  # digital silence
        ("AudioWAV/1001_TIE_HAP_XX.wav", "two labels"),  # the same audio as the next one
        ("AudioWAV/1001_TIE_NEU_XX.wav", "two labels"),
        ("AudioWAV/1002_IWW_DIS_XX.wav", "Git-LFS"),  # cloned without git-lfs
        ("AudioWAV/1001_DFA_ANG_XX.flac", ""),  # the next file in another container; the first by path is kept
        ("AudioWAV/1001_DFA_ANG_XX.wav", "duplicate"),
    ),
    "tess": (
        ("TESS Toronto emotional speech set data/OAF_angry/OAF_back_angry.wav", "duplicate"),  # nested second copy
        ("YAF_angry/YAF_germ_angry.wav", ""),  # AIFF inside
        ("OAF_neutral/OA_bite_neutral.wav", ""),  # lacks a letter
        ("OAF_Fear/OAF_food_fear.wav", ""),  # 96 kHz
    ),
    "emodb": (
        ("wav/03b10Wz.wav", "undecodable"),  # cut off inside its header
        ("wav/08b10Tz.wav", "undecodable"),  # an error page saved as a .wav
    ),
    "iesc": (
        ("Speaker-1/Anger/A-10-1-9.wav", "too short"),
        ("Speaker-1/Happy/H-10-1-9.mp3", ""),  # another container
        ("Speaker-2/Happy/new recording 3.wav", "unknown name"),
        ("README.wav", "unknown name"),
        ("Speaker-3/Sad/S-10-3-1.wav", "duplicate"),  # same as S-1-3-1
        ("Speaker-4/Sad/S-8-4-18.wav", ""),  # a stray number
    ),
}

_NOTE = "Synthetic demo voices, not recordings; made by stages.demo. Names follow the official release of the corpus.\n"
_POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 84044\n"
_LEAST_SPEAKERS = 4  # the planted faults need them, and so does a split into three parts

_RAVDESS_EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised")  # codes 01 to 08
# intensity, statement, repetition
_RAVDESS_TAKES = (("01", "01", "01"), ("01", "02", "01"), ("02", "01", "01"), ("02", "02", "01"))
_CREMA_EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_CREMA_SENTENCES = ("DFA", "IEO", "ITH", "TAI", "ITS", "IOM", "IWL", "TSI", "WSI")  # the other three hold faults
_CREMA_ACTORS = {  # real numbers with the sex that VideoDemographics.csv gives them
    "1001": "male",
    "1002": "female",
    "1076": "female",
    "1059": "male",
    "1005": "male",
    "1006": "female",
    "1048": "male",
    "1049": "female",
    "1011": "male",
    "1003": "female",
}
_TESS_FOLDERS = {  # (speaker, emotion in the file name): folder, capitals as released
    **{(speaker, name): f"{speaker}_{name}" for speaker in ("OAF", "YAF") for name in ("angry", "disgust", "happy", "neutral")},
    ("OAF", "fear"): "OAF_Fear",
    ("YAF", "fear"): "YAF_fear",
    ("OAF", "ps"): "OAF_Pleasant_surprise",
    ("YAF", "ps"): "YAF_pleasant_surprised",
    ("OAF", "sad"): "OAF_Sad",
    ("YAF", "sad"): "YAF_sad",
}
_TESS_WORDS = ("back", "beg", "dime", "gas", "hall", "luck", "moon", "rain", "red", "talk", "vine", "witch")
_EMODB_SPEAKERS = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "13": "female",
    "12": "male",
    "14": "female",
    "15": "male",
    "16": "female",
}
_EMODB_EMOTIONS = {"W": "angry", "L": "boredom", "E": "disgust", "A": "fear", "F": "happy", "T": "sad", "N": "neutral"}
_EMODB_TEXTS = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
_IESC_EMOTIONS = {"Anger": "angry", "Fear": "fear", "Happy": "happy", "Neutral": "neutral", "Sad": "sad"}
_IESC_FORMATS = {  # speaker: sampling rate, channels; the recording chain goes with the speaker
    "1": (32_000, 1),
    "2": (16_000, 1),
    "3": (44_100, 2),
    "4": (48_000, 1),
    "5": (44_100, 1),
    "6": (44_100, 1),
    "7": (48_000, 2),
    "8": (48_000, 2),
}
_RATES_HZ = {"ravdess": 48_000, "crema_d": 16_000, "tess": 24_414, "emodb": 16_000}
_MOST_TAKES = {"ravdess": len(_RAVDESS_TAKES), "crema_d": len(_CREMA_SENTENCES), "tess": len(_TESS_WORDS)}
_MOST_TAKES |= {"emodb": len(_EMODB_TEXTS) - 1, "iesc": 16}  # b10 holds the faults; so do IESC's numbers above 8
_MOST_SPEAKERS = {"ravdess": 24, "crema_d": len(_CREMA_ACTORS), "emodb": len(_EMODB_SPEAKERS), "iesc": len(_IESC_FORMATS)}


class DemoError(SerError):
    """A corpus was asked for that has no demo."""


@dataclass(frozen=True)
class DemoParams:
    """How many synthetic clips, and how plainly they are acted."""

    seed: int
    speakers: dict[str, int]  # a corpus; TESS always has its two
    takes: dict[str, int]  # clips of each emotion by each speaker, a corpus
    strength: float  # distance of the emotions from neutral, 1 as tabulated in ser/demo_voice.py
    variation: float  # random part of each utterance, 1 as tabulated there

    def __post_init__(self) -> None:
        for name, least, counts, most in (("speakers", _LEAST_SPEAKERS, self.speakers, _MOST_SPEAKERS),
                                          ("takes", 1, self.takes, _MOST_TAKES)):  # fmt: skip
            if set(counts) != set(most):
                raise ValueError(f"{name} must have the keys {', '.join(most)}")
            for corpus, count in counts.items():
                if not least <= count <= most[corpus]:
                    raise ValueError(f"{name}.{corpus} must lie between {least} and {most[corpus]}, got {count}")


@dataclass(frozen=True)
class Clip:
    """One utterance to make: where it goes and what it is."""

    path: str
    speaker: str
    sex: Literal["female", "male"]
    emotion: str
    sentence: str
    n_syllables: int
    strength: float = 1.0
    sung: bool = False


def make_demo(corpus: str, folder: Path, params: DemoParams) -> int:
    """Write one synthetic corpus to `folder`, replacing what is there; returns how many audio files it holds.

    Raises:
        DemoError: there is no demo of this corpus.
    """
    if corpus not in _CLIPS:
        raise DemoError(f"there is no demo of corpus '{corpus}', only of {', '.join(_CLIPS)}; put real audio under data/raw")
    with replacing(folder) as temporary:
        temporary.mkdir()
        studio = _Studio(corpus, temporary, params)
        for clip in _CLIPS[corpus](params):
            studio.record(clip)
        _FAULTS[corpus](studio)
        (temporary / "SYNTHETIC.txt").write_text(_NOTE, encoding="utf-8")
        if corpus == "crema_d":
            _write_demographics(temporary / "VideoDemographics.csv", params)
            _write_votes(temporary / "summaryTable.csv", params)
        return sum(file.is_file() and file.suffix not in {".txt", ".csv"} for file in temporary.rglob("*"))


def clips_of(corpus: str, params: DemoParams) -> list[Clip]:
    """The sound utterances of a demo corpus, without the planted faults."""
    return list(_CLIPS[corpus](params))


def synthesise(corpus: str, clip: Clip, params: DemoParams) -> np.ndarray:
    """The voice of a clip at `RATE_HZ`, float32, shape (n_samples,); depends on the clip, the seed and nothing else."""
    speaker = _speaker(corpus, clip, params)
    rng = seeded(params.seed, corpus, clip.path)
    style = style_of(
        speaker,
        clip.emotion,
        rng,
        strength=params.strength * clip.strength,
        variation=params.variation,
        seed=params.seed,
    )
    return speak(speaker, f"{corpus}:{clip.sentence}", style, rng, n_syllables=clip.n_syllables, sung=clip.sung)


def _speaker(corpus: str, clip: Clip, params: DemoParams) -> Speaker:
    return make_speaker(f"{corpus}_{clip.speaker}", clip.sex, seed=params.seed)


class _Studio:
    """Writes clips of one corpus under one folder, as its release stores them."""

    def __init__(self, corpus: str, folder: Path, params: DemoParams) -> None:
        self.corpus, self.folder, self.params = corpus, folder, params

    def record(self, clip: Clip, *, path: str | None = None, rate_hz: int | None = None, channels: int | None = None,
               container: str | None = None, gain: float = 1.0, longest_s: float | None = None) -> None:  # fmt: skip
        """Synthesise a clip and store it at its own path, or another, in the corpus' format unless told otherwise."""
        import soundfile
        import soxr

        rate, n_channels = _IESC_FORMATS[clip.speaker] if self.corpus == "iesc" else (_RATES_HZ[self.corpus], 1)
        rate, n_channels = rate_hz or rate, channels or n_channels
        signal = synthesise(self.corpus, clip, self.params) * gain
        if self.corpus == "ravdess":
            signal = np.pad(signal, int(0.15 * RATE_HZ))  # silence at both ends, shorter than the real second
        if self.corpus == "emodb":
            signal = signal / np.abs(signal).max() * 0.999  # most files of the release peak at full scale
        if longest_s is not None:
            signal = signal[len(signal) // 2 :][: int(longest_s * RATE_HZ)]
        if rate != RATE_HZ:
            signal = soxr.resample(signal, RATE_HZ, rate, quality="HQ")
        if n_channels == 2:
            signal = np.stack([signal, 0.8 * np.roll(signal, 3)], axis=1)  # nearer to one of two microphones
        samples = np.clip(np.rint(signal * 32768), -32768, 32767).astype(np.int16)
        target = self.path(path or clip.path)
        container = container or target.suffix[1:].upper()
        soundfile.write(target, samples, rate, format=container, subtype=None if container == "MP3" else "PCM_16")

    def path(self, name: str) -> Path:
        """Where a file of the corpus goes; its folder is made."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def copy(self, name: str, to: str) -> None:
        """A second file with the same bytes."""
        self.path(to).write_bytes((self.folder / name).read_bytes())

    def clip(self, path: str) -> Clip:
        """The sound clip that the plan has at a path."""
        return next(clip for clip in _CLIPS[self.corpus](self.params) if clip.path == path)


def _ravdess(params: DemoParams) -> Iterator[Clip]:
    for actor in range(1, params.speakers["ravdess"] + 1):
        for code, take in product(range(1, 9), _RAVDESS_TAKES[: params.takes["ravdess"]]):
            intensity, statement, repetition = take
            if code == 1 and intensity == "02":  # neutral has no strong form: said once more instead
                intensity, repetition = "01", "02"
            yield _ravdess_clip(actor, "01", code, intensity, statement, repetition)
        for code in (1, 3, 4) if actor <= 2 else ():
            yield _ravdess_clip(actor, "02", code, "01", "01", "01")


def _ravdess_clip(actor: int, channel: str, code: int, intensity: str, statement: str, repetition: str) -> Clip:
    return Clip(
        f"Actor_{actor:02}/03-{channel}-{code:02}-{intensity}-{statement}-{repetition}-{actor:02}.wav",
        f"{actor:02}",
        "male" if actor % 2 else "female",
        _RAVDESS_EMOTIONS[code - 1],
        statement,
        n_syllables=7,
        strength=1.3 if intensity == "02" else 1.0,
        sung=channel == "02",
    )


def _crema_d(params: DemoParams) -> Iterator[Clip]:
    strengths = {"LO": 0.7, "MD": 1.0, "HI": 1.35, "XX": 1.0}
    actors = list(_CREMA_ACTORS)[: params.speakers["crema_d"]]
    sentences = _CREMA_SENTENCES[: params.takes["crema_d"]]
    for (number, actor), (code, emotion), sentence in product(enumerate(actors), _CREMA_EMOTIONS.items(), sentences):
        levelled = sentence == "IEO" and code != "NEU"  # only this sentence was acted at given levels
        level = ("LO", "MD", "HI")[(number + ord(code[0])) % 3] if levelled else "XX"
        path = f"AudioWAV/{actor}_{sentence}_{code}_{level}.wav"
        yield Clip(path, actor, _CREMA_ACTORS[actor], emotion, sentence, n_syllables=6, strength=strengths[level])


def _tess(params: DemoParams) -> Iterator[Clip]:
    for (speaker, spelling), folder in _TESS_FOLDERS.items():
        for word in _TESS_WORDS[: params.takes["tess"]]:
            yield _tess_clip(f"{folder}/{speaker}_{word}_{spelling}.wav", speaker, spelling, word)


def _tess_clip(path: str, speaker: str, spelling: str, word: str) -> Clip:
    return Clip(path, speaker, "female", {"ps": "surprised"}.get(spelling, spelling), word, n_syllables=5)


def _emodb(params: DemoParams) -> Iterator[Clip]:
    speakers = list(_EMODB_SPEAKERS)[: params.speakers["emodb"]]
    texts = _EMODB_TEXTS[: params.takes["emodb"]]
    for speaker, (letter, emotion), text in product(speakers, _EMODB_EMOTIONS.items(), texts):
        yield Clip(f"wav/{speaker}{text}{letter}a.wav", speaker, _EMODB_SPEAKERS[speaker], emotion, text, n_syllables=6)


def _iesc(params: DemoParams) -> Iterator[Clip]:
    speakers = list(_IESC_FORMATS)[: params.speakers["iesc"]]
    for speaker, folder, take in product(speakers, _IESC_EMOTIONS, range(params.takes["iesc"])):
        number, repetition = take // 2 + 1, take % 2 + 1
        name = f"Speaker-{speaker}/{folder}/{folder[0]}-{number}-{speaker}-{repetition}.wav"
        yield _iesc_clip(name, speaker, folder, str(number))


def _iesc_clip(path: str, speaker: str, folder: str, sentence: str) -> Clip:
    sex: Literal["female", "male"] = "male" if int(speaker) % 2 else "female"  # the real ones are not known
    return Clip(path, speaker, sex, _IESC_EMOTIONS[folder], sentence, n_syllables=6)


def _spoil_ravdess(studio: _Studio) -> None:
    nested = "audio_speech_actors_01-24/"
    for path, reason in PLANTED["ravdess"]:
        if reason == "duplicate":
            studio.copy(path.removeprefix(nested), to=path)
    studio.record(studio.clip("Actor_01/03-01-02-01-01-01-01.wav"), channels=2)
    quiet = studio.clip("Actor_03/03-01-04-01-01-01-03.wav")
    studio.record(quiet, gain=0.005 / float(np.abs(synthesise("ravdess", quiet, studio.params)).max()))
    padded = studio.path("Actor_02/03-01-01-01-01-01-02.wav")
    padded.write_bytes(_with_filler(padded.read_bytes()))


def _with_filler(wav: bytes) -> bytes:
    """A chunk of zeros between format and data, as in every RAVDESS file."""
    filler = b"FLLR" + struct.pack("<I", 4044) + bytes(4044)
    content = wav[8:36] + filler + wav[36:]  # 36: the RIFF head and a format chunk of 16 bytes
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _spoil_crema_d(studio: _Studio) -> None:
    import soundfile

    soundfile.write(studio.path("AudioWAV/1076_MTI_SAD_XX.wav"), np.zeros(2 * RATE_HZ, np.int16), RATE_HZ, subtype="PCM_16")
    happy = Clip("AudioWAV/1001_TIE_HAP_XX.wav", "1001", "male", "happy", "TIE", n_syllables=6)
    studio.record(happy)
    studio.copy(happy.path, to="AudioWAV/1001_TIE_NEU_XX.wav")
    studio.path("AudioWAV/1002_IWW_DIS_XX.wav").write_text(_POINTER, encoding="ascii")
    studio.record(studio.clip("AudioWAV/1001_DFA_ANG_XX.wav"), path="AudioWAV/1001_DFA_ANG_XX.flac")


def _spoil_tess(studio: _Studio) -> None:
    studio.copy("OAF_angry/OAF_back_angry.wav", to="TESS Toronto emotional speech set data/OAF_angry/OAF_back_angry.wav")
    studio.record(_tess_clip("YAF_angry/YAF_germ_angry.wav", "YAF", "angry", "germ"), container="AIFF")
    studio.record(_tess_clip("OAF_neutral/OA_bite_neutral.wav", "OAF", "neutral", "bite"))
    studio.record(_tess_clip("OAF_Fear/OAF_food_fear.wav", "OAF", "fear", "food"), rate_hz=96_000)


def _spoil_emodb(studio: _Studio) -> None:
    cut = studio.path("wav/03b10Wz.wav")
    cut.write_bytes(studio.path("wav/03a01Wa.wav").read_bytes()[:30])
    studio.path("wav/08b10Tz.wav").write_text("<html><body>404 Not Found</body></html>\n", encoding="ascii")


def _spoil_iesc(studio: _Studio) -> None:
    studio.record(_iesc_clip("Speaker-1/Anger/A-10-1-9.wav", "1", "Anger", "10"), longest_s=0.08)
    studio.record(_iesc_clip("Speaker-1/Happy/H-10-1-9.mp3", "1", "Happy", "10"))
    studio.record(_iesc_clip("Speaker-2/Happy/new recording 3.wav", "2", "Happy", "10"))
    studio.record(_iesc_clip("README.wav", "2", "Neutral", "10"))
    studio.copy("Speaker-3/Sad/S-1-3-1.wav", to="Speaker-3/Sad/S-10-3-1.wav")
    studio.record(_iesc_clip("Speaker-4/Sad/S-8-4-18.wav", "4", "Sad", "8"))


def _write_demographics(path: Path, params: DemoParams) -> None:
    """The corpus' own table of actors; ages and origins are left out, for these voices have none."""
    actors = sorted(list(_CREMA_ACTORS)[: params.speakers["crema_d"]])
    rows = [f'{actor},,"{_CREMA_ACTORS[actor].capitalize()}",,' for actor in actors]
    path.write_text("\n".join(['"ActorID","Age","Sex","Race","Ethnicity"', *rows, ""]), encoding="ascii")


def _write_votes(path: Path, params: DemoParams) -> None:
    """The corpus' own table of what listeners heard: here what was acted, but that the weakest level is as often taken for none.

    Nobody watched or rated these voices, so those columns are empty.
    """
    rows = []
    for number, clip in enumerate(_crema_d(params), 1):
        name = Path(clip.path).stem
        heard = name.split("_")[2][0]
        rows.append(f'"{number}","{name}","{f"{heard}:N" if name.endswith("_LO") else heard}","","","","",""')
    head = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"'
    path.write_text("\n".join([head, *rows, ""]), encoding="ascii")


_CLIPS: dict[str, Callable[[DemoParams], Iterator[Clip]]] = {
    "ravdess": _ravdess,
    "crema_d": _crema_d,
    "tess": _tess,
    "emodb": _emodb,
    "iesc": _iesc,
}
_FAULTS: dict[str, Callable[[_Studio], None]] = {
    "ravdess": _spoil_ravdess,
    "crema_d": _spoil_crema_d,
    "tess": _spoil_tess,
    "emodb": _spoil_emodb,
    "iesc": _spoil_iesc,
}
