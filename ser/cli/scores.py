"""How often the models are right, where the file names say what was acted."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ser.cli.output import Row

_NAMED = "files named"


@dataclass(frozen=True)
class Score:
    """One model on the clips of one folder argument that have a known label."""

    place: str
    model: str
    n_clips: int
    n_unsure: int
    n_foreign: int  # clips of an emotion that the model does not have; not counted
    corpora: tuple[str, ...]
    accuracy: float
    uar: float  # over the emotions that occur

    def sentence(self, several: bool) -> str:
        """The score as a line; the model is named if there are several."""
        model = f"{self.model}: " if several else ""
        left_out = f", {self.n_foreign} of other emotions not counted" if self.n_foreign else ""
        return (
            f"{self.place}: {model}accuracy {self.accuracy:.1%}, UAR {self.uar:.1%} over {self.n_clips} "
            f"{'clip' if self.n_clips == 1 else 'clips'} with a known label ({self.n_unsure} unsure{left_out})"
        )


def scores(rows: "Iterable[Row]") -> Iterator[Score]:
    """A score for each folder and model, in the order in which they come, with clips whose label is known and answered."""
    groups: dict[tuple[str, str], list] = {}
    for row in rows:
        for answer in row.answers if row.label else ():
            if answer.prediction:
                place = row.clip.folder if row.clip.folder is not None else _NAMED
                groups.setdefault((place, answer.model), []).append((row.label, answer.prediction))
    for (place, model), answered in groups.items():
        score = _score(place, model, answered)
        if score and (place != _NAMED or score.n_clips > 1):
            yield score


def _score(place: str, model: str, answered: list) -> Score | None:
    import numpy as np

    from ser.scoring import accuracy, confusion, uar

    emotions = list(answered[0][1]["probabilities"])
    pairs = [(label.among(emotions), prediction) for label, prediction in answered]
    known = [(emotions.index(truth), prediction) for truth, prediction in pairs if truth]
    if not known:
        return None
    truth = np.array([code for code, _ in known])
    predicted = np.array([emotions.index(prediction["emotion"]) for _, prediction in known])
    counts = confusion(truth, predicted, len(emotions))
    return Score(
        place=place,
        model=model,
        n_clips=len(known),
        n_unsure=sum(prediction["unsure"] for _, prediction in known),
        n_foreign=len(pairs) - len(known),
        corpora=tuple(sorted({label.corpus for label, _ in answered})),
        accuracy=float(accuracy(counts)),
        uar=float(uar(counts)),
    )
