"""The protocols our models are judged by: who is tested in which fold, on which emotions, and what others reached.

Plain data. Speaker lists that were published as files stay in `protocols/`; a fold names them.
"""

from dataclasses import dataclass
from typing import Literal

Measure = Literal["uar", "accuracy"]

_SIX = ("neutral", "happy", "sad", "angry", "fear", "disgust")


@dataclass(frozen=True)
class Published:
    """A figure that stands beside ours."""

    percent: float
    measure: Measure
    kind: Literal["from scratch", "functionals and SVM", "large pretrained"]
    system: str
    source: str
    setting: str = ""  # where it differs from the protocol as we run it
    fold: str = ""  # of one fold alone


@dataclass(frozen=True)
class Fold:
    """Who is tested: the speakers named, or those a published list gives, or else the whole corpus."""

    name: str  # part of stage and file names
    corpus: str
    speakers: tuple[str, ...] = ()
    listed_in: str = ""  # file in protocols/
    number: int = 1  # fold of a file that holds several, from 1


@dataclass(frozen=True)
class Benchmark:
    """One protocol."""

    title: str
    corpora: tuple[str, ...]  # whose clips train, validate and test
    emotions: tuple[str, ...]  # of its corpora, those that are told apart; order as in ser.emotions.CANONICAL
    folds: tuple[Fold, ...]
    headline: Measure = "uar"
    published: tuple[Published, ...] = ()
    first_mark: float | None = None  # percent, what we set out to reach first
    aim: float | None = None
    remark: str = ""
    also_learned: tuple[str, ...] = ()  # emotions of training and validation clips that nobody is tested on

    def fold(self, name: str) -> Fold:
        """The fold of that name (KeyError if there is none)."""
        return {fold.name: fold for fold in self.folds}[name]


def _one_speaker_out(corpus: str, *speakers: str) -> tuple[Fold, ...]:
    names = [f"{corpus}_{speaker}" for speaker in speakers]
    return tuple(Fold(name, corpus, speakers=(name,)) for name in names)


def _svm(percent: float, fold: str = "") -> Published:
    system, source = "openSMILE ComParE 2016 + linear SVM", "measured by us on the same folds"
    return Published(percent, "uar", "functionals and SVM", system, source, fold=fold)


BENCHMARKS: dict[str, Benchmark] = {
    "ravdess_emobox": Benchmark(
        title="RAVDESS, the six folds of EmoBox",
        corpora=("ravdess",),
        emotions=(*_SIX, "surprised", "calm"),
        folds=tuple(Fold(f"fold_{n}", "ravdess", listed_in="ravdess_emobox_6fold.json", number=n) for n in range(1, 7)),
        published=(
            Published(
                62.3, "uar", "from scratch", "ResLSTM-SA", "github.com/Mak-Sim/ResLSTM-SER, README",
                setting="5 folds, features normalised over all clips",
            ),
            _svm(55.7),
            Published(
                75.3, "uar", "large pretrained", "Whisper-large-v3 encoder, frozen", "EmoBox, Interspeech 2024",
            ),
        ),
        first_mark=66.0,
        aim=75.3,
    ),
    "ravdess_19_to_24": Benchmark(
        title="RAVDESS, trained on actors 01-18, tested on 19-24",
        corpora=("ravdess",),
        emotions=(*_SIX, "surprised", "calm"),
        folds=(Fold("actors_19_to_24", "ravdess", listed_in="ravdess_actors_19_to_24.json"),),
        headline="accuracy",
        published=(
            Published(40.8, "accuracy", "from scratch", "GRU", "github.com/deepak-kalyani/speech_emotion, its own result files"),
        ),
        first_mark=68.0,
        aim=76.0,
    ),
    "emodb_loso": Benchmark(
        title="EmoDB, leave one speaker out",
        corpora=("emodb",),
        emotions=(*_SIX, "boredom"),
        folds=_one_speaker_out("emodb", "03", "08", "09", "10", "11", "12", "13", "14", "15", "16"),
        published=(
            Published(
                77.1, "uar", "from scratch", "ComParE 2016 + linear SVC", "github.com/audeering/w2v2-how-to, notebook.ipynb",
            ),
            _svm(78.6),
            Published(
                93.4, "uar", "large pretrained", "wav2vec2-large-robust embedding + SVC",
                "github.com/audeering/w2v2-how-to, notebook.ipynb",
            ),
        ),
        first_mark=82.0,
        aim=90.0,
        remark="The same ten sentences are said by every speaker: unheard voices, heard words.",
    ),
    "iesc_loso": Benchmark(
        title="IESC, leave one speaker out",
        corpora=("iesc",),
        emotions=("neutral", "happy", "sad", "angry", "fear"),
        folds=_one_speaker_out("iesc", *"12345678"),
        published=(_svm(43.7),),
        first_mark=50.0,
        aim=65.0,
        remark="No published figure on unheard speakers was found.",
    ),
    "tess_both_ways": Benchmark(
        title="TESS, trained on one actress, tested on the other",
        corpora=("tess",),
        emotions=(*_SIX, "surprised"),
        folds=_one_speaker_out("tess", "YAF", "OAF"),
        published=(
            Published(
                77.2, "accuracy", "from scratch", "2D CNN on log-mel", "github.com/zubiiabbasi/speech-emotion-gradcam",
                setting="tuned on the test actress, 200 words, happy never found", fold="tess_YAF",
            ),
            _svm(44.3, fold="tess_YAF"),
            _svm(47.1, fold="tess_OAF"),
        ),
        first_mark=58.0,
        aim=78.0,
        remark="Two speakers in all, so validation is on words that training leaves out, said by the training actress.",
    ),
    "crema_d_published": Benchmark(
        title="CREMA-D, the speaker lists of audEERING's crema-d 1.1.0",
        corpora=("crema_d",),
        emotions=_SIX,
        folds=(Fold("published_lists", "crema_d", listed_in="crema_d_audeering.json"),),
        published=(
            Published(
                56.7, "uar", "from scratch", "network on log-mel", "a public repository whose name is not known to us",
                setting="all 91 actors, another speaker-disjoint split (5480/896/1054 clips)",
            ),
            _svm(54.5),
            Published(
                76.8, "uar", "large pretrained", "Whisper-large-v3 encoder, frozen", "EmoBox, Interspeech 2024",
                setting="all 91 actors heard in training",
            ),
        ),
        first_mark=59.0,
        aim=68.0,
        remark="Each actor keeps the published part; where a copy of the corpus lacks actors, the table counts those there.",
    ),
    "corpus_out": Benchmark(
        title="Leave one corpus out, the emotions that all five share",
        corpora=("ravdess", "crema_d", "tess", "emodb", "iesc"),
        emotions=("neutral", "happy", "sad", "angry", "fear"),
        folds=tuple(Fold(corpus, corpus) for corpus in ("ravdess", "crema_d", "tess", "emodb", "iesc")),
        remark="Another recording chain, other actors and for some folds another language than in training. Clips of the other "
        "emotions are learned too; none is tested, and none may be answered.",
        also_learned=("disgust", "surprised", "calm", "boredom"),
    ),
}  # fmt: skip
