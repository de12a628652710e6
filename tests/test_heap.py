"""Freed memory stays with the process."""

import subprocess
import sys

import pytest

LOOP = """
import resource, sys
import numpy as np
from ser.heap import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(50):
    parts = [np.ones(2**17) for _ in range(8)]  # 8 MiB in arrays as large as a clip's spectra
    del parts
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the setting is glibc's")
def test_arrays_do_not_come_as_new_pages_again_and_again():
    def page_faults(how: str) -> int:
        return int(subprocess.run([sys.executable, "-c", LOOP, how], check=True, capture_output=True, text=True).stdout)

    assert page_faults("kept") < page_faults("given back") / 2
