"""How a stage starts and fails: log lines to stderr, one sentence and exit status 1 on a known mistake."""

import logging
import os
import sys
from collections.abc import Callable

from ser.errors import SerError


def run(main: Callable[[], None]) -> None:
    """Run a stage's `main`; a SerError becomes its message and exit status 1, without a traceback."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported: it reports missing GPUs as errors
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        main()
    except SerError as error:
        sys.exit(f"error: {error}")
