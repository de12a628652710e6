"""Is a listed corpus where the parameters say?"""

from pathlib import Path

from ser.corpus import Corpus
from ser.errors import SerError
from ser.sources import DEMO_CORPORA, is_demo


class LocateError(SerError):
    """A listed corpus is not on disk."""


def locate(corpus: Corpus, root: str) -> None:
    """Check that a corpus folder exists below the root.

    Demo corpora need not exist yet: the demo stage makes them.

    Raises:
        LocateError: the folder is missing.
    """
    folder = Path(root, corpus.name)
    if not (is_demo(root) and corpus.name in DEMO_CORPORA) and not folder.is_dir():
        raise LocateError(
            f"corpus '{corpus.name}' ({corpus.title}) is not at {folder.absolute()}. {corpus.obtain} "
            f"Put them in that folder, or take '{corpus.name}' off corpora.use in params.yaml"
        )
