"""What the app says: names, colours and sentences."""

import re
from dataclasses import dataclass

EMOJI = {
    "neutral": "😐",
    "happy": "😄",
    "sad": "😢",
    "angry": "😠",
    "fear": "😨",
    "disgust": "🤢",
    "surprised": "😲",
    "calm": "😌",
    "boredom": "🥱",
}
# Readable on white and on near-black; hues far apart, so that neighbours in a stack can be told from one another.
COLOURS = {
    "neutral": "#8d99ae",
    "happy": "#e9b000",
    "sad": "#3b82f6",
    "angry": "#e5484d",
    "fear": "#8b5cf6",
    "disgust": "#5b9a2f",
    "surprised": "#f27fb2",
    "calm": "#14a89d",
    "boredom": "#a1785c",
}
CORPORA = {"ravdess": "RAVDESS", "crema_d": "CREMA-D", "tess": "TESS", "emodb": "EmoDB", "iesc": "IESC"}

STYLE = """
.stMainBlockContainer { padding-top: 3rem; padding-bottom: 2rem; }
@media (max-width: 640px) { .stMainBlockContainer { padding-top: 3.5rem; } }
"""

TAGLINE = "Which emotion a voice sounds like, clip by clip. It hears acting and tone, not what a person feels."
DEMO = (
    "Trained on synthetic demo voices: {models}. Such a model shows that the app works. "
    "What it says of a real voice means nothing."
)
NOT_FOR = (
    "Not for judging people. In the European Union, inferring the emotions of people at work or in education is prohibited, "
    "save for medical or safety reasons (EU AI Act, Article 5(1)(f))."
)
PRIVACY = "Uploads and recordings are held in memory while this page is open, and are never saved."
VOICE_HELP = (
    "Add about five clips of one person, in any mood: the model then hears each further clip against that voice. "
    "Emotions need not be known. Take the clips away to go back."
)
UAR = "UAR: recall averaged over the emotions, on speakers who were not in training, with its 95 % interval. Chance is {chance}."
TIMELINE = "Smoothed, from overlapping windows of {window:g} s, each drawn at its middle; blank where nobody speaks."
SURE = "{confidence} probable; this model gives a verdict from {threshold} on."
UNSURE = "Nearest is {emotion} with {confidence}; this model gives a verdict from {threshold} on."


@dataclass(frozen=True)
class Measure:
    """A prosodic value worth showing, in words."""

    label: str
    unit: str
    digits: int
    scale: float = 1.0  # from the measured value to the one shown
    higher: str = "higher"
    lower: str = "lower"  # both stand before "than in ..."

    def text(self, value: float) -> str:
        """The value with its unit."""
        return f"{value * self.scale:.{self.digits}f} {self.unit}".strip()


MEASURES = {
    "pro_f0_mean_hz": Measure("Pitch, mean", "Hz", 0),
    "pro_f0_range_st": Measure("Pitch, range", "semitones", 1, higher="wider", lower="narrower"),
    "pro_f0_slope_st_per_s": Measure("Pitch, slope", "semitones/s", 1, higher="rising more", lower="falling more"),
    "pro_level_voiced_mean_db": Measure("Loudness, mean", "dB", 1, higher="louder", lower="quieter"),
    "pro_level_voiced_sd_db": Measure("Loudness, variation", "dB", 1, higher="more varied", lower="more even"),
    "pro_nuclei_per_s": Measure("Tempo", "syllables/s", 1, higher="faster", lower="slower"),
    "pro_pause_share": Measure("Pauses", "%", 0, 100, higher="more", lower="fewer"),
    "pro_hnr_mean_db": Measure("Clearness of voice", "dB", 1, higher="clearer", lower="breathier or rougher"),
    "pro_jitter_local": Measure("Irregular pitch (jitter)", "%", 2, 100),
    "pro_shimmer_local": Measure("Irregular loudness (shimmer)", "%", 1, 100),
    "pro_alpha_ratio_mean_db": Measure("Brightness (alpha ratio)", "dB", 1, higher="brighter", lower="darker"),
}


def with_emoji(emotion: str) -> str:
    """An emotion's emoji and name."""
    return f"{EMOJI[emotion]} {emotion}" if emotion in EMOJI else emotion


def percent(share: float) -> str:
    """A share in whole percent; the sign never wraps to the next line."""
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def corpus_title(name: str) -> str:
    """The corpus as its authors write it."""
    return CORPORA.get(name, name)


def plain(text: str) -> str:
    """Text of a stranger (a file's name), so that Markdown shows it letter by letter."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$:~])", r"\\\1", text)


def clock(seconds: float) -> str:
    """Seconds as people write them: 3.2 s, 4:05, 1:02:03."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
