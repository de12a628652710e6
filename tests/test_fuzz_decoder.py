import os
import time

import numpy as np
import pytest

from tests import fuzzing

pytestmark = pytest.mark.slow  # each case runs in a process of its own

N = int(os.environ.get("SER_FUZZ", "2000"))


def test_damaged_files_are_refused_or_decoded_without_a_crash_or_a_hang():
    outcome = fuzzing.run(N, seed=2)
    print(f"\n{outcome.n} cases, slowest {outcome.slowest_s:.2f} s, peak {outcome.peak_mib:.0f} MiB")
    assert outcome.failures == []
    assert outcome.n == sum(outcome.results.values()) == N
    decoded = sum(count for result, count in outcome.results.items() if result.endswith(": signal"))
    assert 0.1 < decoded / N < 0.9  # damage neither harmless nor hopeless: both ways are gone
    assert outcome.peak_mib < 600


def test_a_case_is_the_same_every_time_and_cases_differ():
    files = fuzzing.originals()
    assert {name for name, _ in files} >= {"wav", "flac", "mp3", "ogg", "aiff"}
    assert fuzzing.case(files, 1, 5) == fuzzing.case(files, 1, 5)
    assert len({fuzzing.case(files, 1, number)[1] for number in range(30)}) > 25
    assert all(fuzzing.judge(content, None) == "signal" for _, content in files)


@pytest.mark.parametrize(
    ("failing", "sentence"),
    [("os.abort()", "the process ended with -6"), ("time.sleep(60)", "hung for"), ("raise ValueError('x')", "ValueError: x")],
)
def test_crashes_hangs_and_stray_exceptions_are_laid_at_one_case(failing, sentence, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os, time\n"
        "import ser.recording as door\n"
        "real, calls = door.load_clip, []\n"
        "def load_clip(*arguments):\n"
        "    calls.append(1)\n"
        f"    if len(calls) == 2 and not os.path.exists({str(tmp_path / 'once')!r}):\n"
        f"        open({str(tmp_path / 'once')!r}, 'w').close()\n"
        f"        {failing}\n"
        "    return real(*arguments)\n"
        "door.load_clip = load_clip\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.getcwd()}")
    monkeypatch.setattr(fuzzing, "DEADLINE_S", 3.0)
    start = time.monotonic()
    outcome = fuzzing.run(4, seed=2)
    assert time.monotonic() - start < 90
    (failure,) = outcome.failures
    assert failure.startswith("seed 2 case 1: ") and sentence in failure
    assert outcome.n == 4


def test_every_kind_of_damage_changes_the_file_and_none_fails_on_the_shortest():
    content = np.random.default_rng(0).bytes(4000)
    for mutation in fuzzing.MUTATIONS:
        changed = [bytes(mutation(bytearray(content), content[::-1], np.random.default_rng(seed))) for seed in range(20)]
        assert sum(result != content for result in changed) > 10, mutation
        for seed in range(20):
            mutation(bytearray(b"a"), b"b", np.random.default_rng(seed))


def test_ogg_files_that_fit_their_checksums_are_left_as_they_are():
    oggs = [content for name, content in fuzzing.originals() if name == "ogg"]
    assert oggs
    assert all(fuzzing._with_checksums(bytearray(content)) == content for content in oggs)
