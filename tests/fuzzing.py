"""Damaged audio files by the thousand, put to the door that uploads come through: `python -m tests.fuzzing --n 20000`.

Each case starts from a real, short file, is damaged by a generator seeded with the case's number, and has to become a
signal or an AudioError within seconds. Cases run in child processes, so that a crash or a hang inside a decoder is seen,
counted and laid at one case's door; `--only` runs one again in this process.
"""

import argparse
import io
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from ser.audio import AudioError, AudioParams, to_float, to_int16
from ser.recording import Limits, load_clip
from tests.test_voice_activity import CORPORA, voice

PARAMS = AudioParams(sampling_rate_hz=16000, minimum_s=0.2, silence_peak=0.0005)
DEADLINE_S = 10.0  # of one case
BATCH = 500  # cases a child runs, so that a leak shows as memory and a crash costs little
MEMORY_BYTES = 4 * 2**30  # of a child's address space: what believes a lying header fails
ENCODINGS = (
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAV", "IMA_ADPCM"),
    ("wav", "WAVEX", "PCM_24"),
    ("flac", "FLAC", "PCM_16"),
    ("flac", "FLAC", "PCM_24"),
    ("mp3", "MP3", None),
    ("mp3", "MP3", None),
    ("ogg", "OGG", "VORBIS"),
    ("ogg", "OGG", "OPUS"),
    ("aiff", "AIFF", "PCM_16"),
)
INTERESTING = (0, 1, 2, 3, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)


@dataclass
class Outcome:
    """What came of a run."""

    n: int = 0
    results: Counter = field(default_factory=Counter)  # by format and "signal" or the beginning of the sentence
    failures: list[str] = field(default_factory=list)  # crashes, hangs, other exceptions, impossible signals, files left
    slowest_s: float = 0.0
    peak_mib: float = 0.0


def originals() -> list[tuple[str, bytes]]:
    """Short real files, or synthesised speech where there are none: (format, content), in several rates and channel counts."""
    clips = [path for corpus in sorted(CORPORA.glob("*/")) for path in sorted(corpus.rglob("*.flac"))[7::400][:2]]
    signals = [soundfile.read(path, dtype="float32")[0] for path in clips] or [
        voice(1.5, f0_hz=f0_hz) for f0_hz in (100, 200, 300)
    ]
    files = []
    for number, signal in enumerate(signals):
        middle = len(signal) // 2
        short = signal[max(0, middle - 3000) : middle + 3000 + 500 * number]
        for name, container, subtype in ENCODINGS:
            rate_hz, channels = ((16000, 1), (44100, 2), (8000, 1))[number % 3]
            samples = np.stack([soxr.resample(short, 16000, rate_hz)] * channels, axis=1)
            buffer = io.BytesIO()
            rate_hz = 48000 if subtype == "OPUS" and rate_hz == 44100 else rate_hz
            soundfile.write(buffer, samples, rate_hz, format=container, subtype=subtype)
            files.append((name, buffer.getvalue()))
    return files + _by_ffmpeg(files[0][1])


def _by_ffmpeg(wav: bytes) -> list[tuple[str, bytes]]:
    if shutil.which("ffmpeg") is None:
        return []
    files = []
    with tempfile.TemporaryDirectory() as folder:
        for name, codec in (("m4a", "aac"), ("webm", "libopus")):
            path = Path(folder) / f"a.{name}"
            command = ["ffmpeg", "-loglevel", "quiet", "-i", "pipe:0", "-c:a", codec, str(path)]
            subprocess.run(command, input=wav, check=True)
            files.append((name, path.read_bytes()))
    return files


def mutated(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """One kind of damage in half of the cases, two to four in the others; the pages of half of the Ogg files are made
    to fit their checksums again, since a page that does not is never decoded.
    """
    damaged = bytearray(content)
    for _ in range(int(rng.choice([1, 1, 1, 2, 3, 4]))):
        if damaged:
            damaged = bytearray(MUTATIONS[int(rng.integers(len(MUTATIONS)))](damaged, other, rng))
    return bytes(_with_checksums(damaged) if rng.random() < 0.5 else damaged)


def _with_checksums(content: bytearray) -> bytearray:
    """Ogg pages with the checksums of what is in them now (RFC 3533)."""
    for start in [match.start() for match in re.finditer(b"OggS", content)]:
        if len(content) - start >= 27:
            lengths = content[start + 27 : start + 27 + content[start + 26]]
            beyond = start + 27 + len(lengths) + sum(lengths)
            content[start + 22 : start + 26] = bytes(4)
            checksum = 0
            for byte in content[start:beyond]:
                checksum = (checksum << 8 & 0xFFFFFFFF) ^ OGG_TABLE[checksum >> 24 ^ byte]
            content[start + 22 : start + 26] = checksum.to_bytes(4, "little")
    return content


def _ogg_entry(value: int) -> int:
    value <<= 24
    for _ in range(8):
        value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


OGG_TABLE = [_ogg_entry(value) for value in range(256)]


def _flip_bits(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    for _ in range(int(2 ** rng.uniform(0, 8))):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return content


def _edit_header(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    width = int(rng.choice([1, 2, 4, 8]))
    at = int(rng.integers(min(len(content), 256)))
    value = INTERESTING[int(rng.integers(len(INTERESTING)))] if rng.random() < 0.7 else int(rng.integers(2**63))
    content[at : at + width] = (value % 256**width).to_bytes(width, str(rng.choice(["little", "big"])))
    return content


def _flip_header_bits(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 6))):
        content[int(rng.integers(min(len(content), 128)))] ^= 1 << int(rng.integers(8))
    return content


def _truncate(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    return content[: int(rng.integers(len(content)))]


def _behead(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    return content[int(rng.integers(min(len(content), 512))) :]


def _swap_blocks(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    size = int(2 ** rng.uniform(2, 10))
    first, second = sorted(rng.integers(0, max(1, len(content) - size), 2).tolist())
    if second - first >= size:
        one, two = content[first : first + size], content[second : second + size]
        content[first : first + size], content[second : second + size] = two, one
    return content


def _insert(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    at, size = int(rng.integers(len(content))), int(2 ** rng.uniform(0, 12))
    kinds = (rng.bytes(size), bytes(size), b"\xff" * size, bytes(content[at : at + size]))
    content[at:at] = kinds[int(rng.integers(len(kinds)))]
    return content


def _delete(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    at = int(rng.integers(len(content)))
    del content[at : at + int(2 ** rng.uniform(0, 11))]
    return content


def _graft(content: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    """One file's head on another one's body."""
    at = int(rng.integers(min(len(content), len(other), 2048)))
    return content[:at] + other[at:]


MUTATIONS = (_flip_bits, _edit_header, _flip_header_bits, _truncate, _behead, _swap_blocks, _insert, _delete, _graft)


def case(files: list[tuple[str, bytes]], seed: int, number: int) -> tuple[str, bytes]:
    """The format that case `number` started from, and its bytes."""
    rng = np.random.default_rng([seed, number])
    name, content = files[int(rng.integers(len(files)))]
    _, other = files[int(rng.integers(len(files)))]
    return name, mutated(content, other, rng)


def judge(content: bytes, path: Path | None) -> str:
    """ "signal", or the sentence's beginning; AssertionError for a signal that cannot be.

    Args:
        content: the damaged file.
        path: where to put it, for what comes as a path; None for an upload in memory.
    """
    if path is not None:
        path.write_bytes(content)
    try:
        signal = load_clip(path or io.BytesIO(content), PARAMS, Limits(max_duration_s=600))
    except AudioError as error:
        sentence = str(error).removeprefix(f"{path}: ")
        return " ".join(sentence.split(":")[:2])[:40] if sentence.startswith("undecodable") else sentence.split(":")[0][:40]
    assert signal.dtype == np.float32 and signal.ndim == 1 and len(signal) > 0
    assert np.array_equal(to_float(to_int16(signal)), signal), "not finite or not on the grid"
    return "signal"


def run_child(seed: int, first: int, beyond: int) -> None:
    """Run cases and write two lines each: its number before, its result after."""
    import resource

    files = originals()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with tempfile.TemporaryDirectory(dir=os.environ["FUZZ_FOLDER"]) as folder:
        for number in range(first, beyond):
            name, content = case(files, seed, number)
            print(json.dumps({"begins": number}), flush=True)
            start = time.monotonic()
            try:
                result, failed = judge(content, Path(folder) / "upload.wav" if number % 2 else None), False
            except (Exception, SystemExit) as error:  # noqa: BLE001 - anything but an AudioError is what is looked for
                result, failed = f"{type(error).__name__}: {error}"[:200], True
            left = os.listdir(tempfile.gettempdir())
            peak_mib = _peak_mib()
            values = {
                "format": name,
                "result": result,
                "failed": failed,
                "s": time.monotonic() - start,
                "left": left,
                "mib": peak_mib,
            }
            print(json.dumps(values), flush=True)


def _peak_mib() -> float:
    """Most memory this process has held. Linux's `ru_maxrss` also counts the parent it was forked from, so it is not asked."""
    if sys.platform == "linux":
        return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(n: int, seed: int = 1) -> Outcome:
    """Run cases 0 to n."""
    outcome = Outcome()
    number = 0
    with tempfile.TemporaryDirectory() as folder:
        while number < n:
            number = _run_batch(outcome, Path(folder), seed, number, min(number + BATCH, n))
    return outcome


def _run_batch(outcome: Outcome, folder: Path, seed: int, first: int, beyond: int) -> int:
    """Run a child until it is done, dead or silent; return the number to go on with."""
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(temporary), "FUZZ_FOLDER": str(folder)}
    command = [sys.executable, "-m", "tests.fuzzing", "--child", str(first), str(beyond), "--seed", str(seed)]
    number, n_before = first, outcome.n
    with open(folder / "stderr", "w+", encoding="utf-8", errors="replace") as stderr:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, env=environment, bufsize=0, cwd=Path(__file__).parents[1]
        )
        try:
            for values in _lines(child):
                number = values.get("begins", number)
                _note(outcome, values, number, seed)
            died = child.wait(DEADLINE_S)
        except TimeoutError:
            outcome.failures.append(f"seed {seed} case {number}: hung for {DEADLINE_S:g} s")
            died = None
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        stderr.seek(0)
        complaints = [line for line in stderr if "Traceback" in line or "cffi callback" in line]
    if died:
        outcome.failures.append(f"seed {seed} case {number}: the process ended with {died}")
    if complaints:
        outcome.failures.append(f"seed {seed} cases {first} to {number}: {complaints[0].strip()}")
    if outcome.n == n_before:
        raise RuntimeError(f"the child did not run a case; see `python -m tests.fuzzing --seed {seed} --only {number}`")
    return number + 1


def _note(outcome: Outcome, values: dict, number: int, seed: int) -> None:
    if "begins" in values:
        outcome.n += 1
        return
    outcome.results[f"{values['format']}: {values['result'] if not values['failed'] else 'FAILED'}"] += 1
    outcome.slowest_s = max(outcome.slowest_s, values["s"])
    outcome.peak_mib = max(outcome.peak_mib, values["mib"])
    if values["failed"]:
        outcome.failures.append(f"seed {seed} case {number}: {values['result']}")
    if values["left"]:
        outcome.failures.append(f"seed {seed} case {number}: left {values['left']}")


def _lines(child: subprocess.Popen) -> Iterator[dict]:
    """The child's lines as they come; TimeoutError after a silence of `DEADLINE_S`, first start-up excepted."""
    waiting, patience_s = b"", 60.0
    while select.select([child.stdout], [], [], patience_s)[0]:
        data = os.read(child.stdout.fileno(), 65536)
        if not data:
            return
        *lines, waiting = (waiting + data).split(b"\n")
        yield from map(json.loads, lines)
        patience_s = DEADLINE_S
    raise TimeoutError


def main() -> int:
    """Run cases and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20000, help="number of cases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this case here and show its error")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(arguments.seed, *arguments.child)
        return 0
    if arguments.only is not None:
        name, content = case(originals(), arguments.seed, arguments.only)
        saved = Path(tempfile.gettempdir()) / f"case_{arguments.seed}_{arguments.only}.bin"
        saved.write_bytes(content)
        print(f"{name}, {len(content)} bytes, saved as {saved}", flush=True)
        print(judge(content, None))
        return 0
    start = time.monotonic()
    outcome = run(arguments.n, arguments.seed)
    for result, count in sorted(outcome.results.items()):
        print(f"{count:6}  {result}")
    print(
        f"{outcome.n} cases in {time.monotonic() - start:.0f} s, "
        f"the slowest {outcome.slowest_s:.2f} s, at most {outcome.peak_mib:.0f} MiB"
    )
    print(f"{len(outcome.failures)} failures", *outcome.failures, sep="\n")
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
