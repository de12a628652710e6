"""How well `ser.fingerprint` tells the same recording from another take, on real speech: the tables of docs/audit.md.

    python -m benchmarks.fingerprint data/raw            # a folder with ravdess, crema_d, tess, emodb, iesc, or some of them
    python -m benchmarks.fingerprint data/raw --clips 20

Three tables in Markdown on standard output: the share of changed copies that is found, other takes of the same words by the
same speaker, and all clips against all others. Needs the pipeline's packages and ffmpeg.
"""

import argparse
import io
import itertools
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import librosa
import numpy as np
import soundfile
import soxr

from ser import fingerprint as prints
from ser.audio import AudioParams
from ser.corpus import DESCRIPTIONS, Corpus, load_corpus
from ser.fingerprint import Fingerprint, compare, fingerprint, near_duplicates
from ser.recording import load_clip

RATE_HZ = 16000
TRIM = 4800  # samples, 0.3 s
Change = Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, int]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", type=Path, help="folder of the corpora")
    parser.add_argument("--clips", type=int, default=60, help="of each corpus, for the changed copies (default 60)")
    parser.add_argument("--seed", type=int, default=6)
    args = parser.parse_args()
    corpora = [load_corpus(path.stem) for path in sorted(DESCRIPTIONS.glob("*.yaml")) if (args.corpora / path.stem).is_dir()]
    files = {corpus.name: clips_of(corpus, args.corpora / corpus.name) for corpus in corpora}
    print_changes(files, args.clips, args.seed)
    start = time.process_time()
    known = {path: fingerprint(load(path), RATE_HZ) for paths in files.values() for path in paths}
    each_ms = (time.process_time() - start) / len(known) * 1000
    print_takes(corpora, args.corpora, files, known)
    print_all(known, args.corpora, each_ms)


def clips_of(corpus: Corpus, folder: Path) -> list[Path]:
    """Files with a name of the corpus, sorted."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and corpus.is_audio(path.relative_to(folder).as_posix()))
    return [path for path in found if corpus.parse(path.relative_to(folder).as_posix())]


def load(path: Path) -> np.ndarray:
    """The signal as `ser audit` takes it: mono, 16 kHz, float32."""
    return load_clip(path, AudioParams(RATE_HZ, 0.0, 0.0))


# Changed copies


def resampled(rate_hz: int) -> Change:
    """Resampled, and so without what lies above half the new rate."""
    return lambda signal, rng: (soxr.resample(signal, RATE_HZ, rate_hz), rate_hz)


def louder(gain_db: float) -> Change:
    """Gain, then clipped and rounded as a 16-bit file does."""

    def change(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        scaled = np.clip(np.rint(signal * 10 ** (gain_db / 20) * 32768), -32768, 32767)
        return (scaled / 32768).astype(np.float32), RATE_HZ

    return change


def trimmed(at_start: int, at_end: int) -> Change:
    """So many samples less."""
    return lambda signal, rng: (signal[at_start : len(signal) - at_end], RATE_HZ)


def shifted(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Turned by up to half a second, what falls off one end coming in at the other, as notebooks do with `np.roll`."""
    return np.roll(signal, int(rng.integers(-8000, 8000))), RATE_HZ


def coded(*options: str) -> Change:
    """Through a lossy coder and back."""

    def change(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        wav = io.BytesIO()
        soundfile.write(wav, signal, RATE_HZ, format="WAV")
        command = ["ffmpeg", "-v", "error", "-i", "-", *options, "-"]
        return soundfile.read(io.BytesIO(subprocess.run(command, input=wav.getvalue(), capture_output=True, check=True).stdout))

    return change


def noisy(snr_db: float) -> Change:
    """White noise added, so far below the clip's mean power."""

    def change(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        level = np.sqrt(np.mean(signal**2)) * 10 ** (-snr_db / 20)
        return signal + level * rng.standard_normal(len(signal)), RATE_HZ

    return change


def reverberant(signal: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """A room that decays by 60 dB in 0.3 s, as loud as the voice itself."""
    t = np.arange(round(0.3 * RATE_HZ)) / RATE_HZ
    room = rng.standard_normal(len(t)) * 10 ** (-3 * t / 0.3)
    room /= np.sqrt(np.sum(room**2))
    room[0] += 1
    return np.convolve(signal, room), RATE_HZ


def faster(factor: float) -> Change:
    """Played faster: pitch and tempo together."""
    return lambda signal, rng: (signal, round(RATE_HZ * factor))


CHANGES: dict[str, Change] = {
    "resampled to 8 kHz": resampled(8000),
    "resampled to 22.05 kHz": resampled(22050),
    "resampled to 44.1 kHz": resampled(44100),
    "gain -20 dB": louder(-20),
    "gain +10 dB, clipped at full scale": louder(10),
    "0.3 s trimmed at the start": trimmed(TRIM, 0),
    "0.3 s trimmed at the end": trimmed(0, TRIM),
    "0.3 s trimmed at both": trimmed(TRIM, TRIM),
    "rolled by up to 0.5 s": shifted,
    "mp3, 64 kbit/s": coded("-f", "mp3", "-b:a", "64k"),
    "mp3, 32 kbit/s": coded("-f", "mp3", "-b:a", "32k"),
    "ogg vorbis, 48 kbit/s": coded("-f", "ogg", "-c:a", "libvorbis", "-b:a", "48k"),
    "noise, SNR 20 dB": noisy(20),
    "noise, SNR 10 dB": noisy(10),
    "reverberation, 0.3 s": reverberant,
    "speed +1 %": faster(1.01),
    "speed +2 %": faster(1.02),
    "speed +5 %": faster(1.05),
    "tempo +10 %, pitch kept": lambda signal, rng: (librosa.effects.time_stretch(signal, rate=1.1), RATE_HZ),
    "pitch +1 semitone, tempo kept": lambda signal, rng: (
        librosa.effects.pitch_shift(signal, sr=RATE_HZ, n_steps=1),
        RATE_HZ,
    ),
}


def print_changes(files: dict[str, list[Path]], n_clips: int, seed: int) -> None:
    """Share of the copies found beside their originals, and matches between others."""
    rng = random.Random(seed)
    sample = {corpus: rng.sample(paths, min(n_clips, len(paths))) for corpus, paths in files.items()}
    signals = {corpus: [load(path) for path in paths] for corpus, paths in sample.items()}
    originals = [fingerprint(signal, RATE_HZ) for signals_ in signals.values() for signal in signals_]
    owners = [corpus for corpus, signals_ in signals.items() for _ in signals_]
    twins = {(match.first, match.second) for match in near_duplicates(originals)}
    print(f"{len(owners)} clips, {len(twins)} pairs of originals alike\n")
    print(f"| copy | found | {' | '.join(sample)} | mean share of bits that differ | other pairs matched |")
    print("|---|---" + "|---" * len(sample) + "|---|---|")
    for name, change in CHANGES.items():
        noise = np.random.default_rng(seed)
        copies = [fingerprint(*_as_read(change(signal, noise))) for signals_ in signals.values() for signal in signals_]
        _print_change(name, originals, copies, owners, twins)


def _as_read(changed: tuple[np.ndarray, int]) -> tuple[np.ndarray, int]:
    """The copy at 16 kHz, as it would come out of its file."""
    signal, rate_hz = changed
    return (soxr.resample(signal, rate_hz, RATE_HZ, quality="VHQ") if rate_hz != RATE_HZ else signal), RATE_HZ


def _print_change(
    name: str, originals: Sequence[Fingerprint], copies: Sequence[Fingerprint], owners: Sequence[str], twins: set[tuple[int, int]]
) -> None:
    n = len(originals)
    rates, others = {}, 0
    for match in near_duplicates([*originals, *copies]):
        first, second = match.first, match.second
        if second - first == n:
            rates[first] = match.error_rate
        elif (min(first % n, second % n), max(first % n, second % n)) not in twins:
            others += 1
    shares = []
    for corpus in dict.fromkeys(owners):
        mine = [index for index, owner in enumerate(owners) if owner == corpus]
        shares.append(f"{sum(index in rates for index in mine) / len(mine):.1%}")
    mean = f"{np.mean(list(rates.values())):.3f}" if rates else ""
    print(f"| {name} | {len(rates) / n:.1%} | {' | '.join(shares)} | {mean} | {others} |", flush=True)


# Other takes


def print_takes(corpora: Sequence[Corpus], root: Path, files: dict[str, list[Path]], known: dict[Path, Fingerprint]) -> None:
    """Pairs of clips of one speaker, sentence and emotion, each compared at every lag."""
    print("\n| same speaker, sentence, emotion and strength | pairs | matched | smallest share of bits that differ | median |")
    print("|---|---|---|---|---|")
    for corpus in corpora:
        takes = defaultdict(list)
        for path in files[corpus.name]:
            said = corpus.parse(path.relative_to(root / corpus.name).as_posix())
            if said.sentence:
                takes[said.speaker, said.sentence, said.recorded_emotion, said.intensity].append(path)
        pairs = [pair for paths in takes.values() for pair in itertools.combinations(paths, 2)]
        rates = sorted((compare(known[first], known[second]), first.stem, second.stem) for first, second in pairs)
        if rates:
            matched = [rate for rate in rates if rate[0] <= prints.ERROR_RATE]
            named = "; ".join(f"{first} and {second} at {rate:.3f}" for rate, first, second in matched)
            values = [rate[0] for rate in rates if rate not in matched]
            line = f"{len(matched)}{f' ({named})' if named else ''} | {values[0]:.3f} | {np.median(values):.3f}"
            print(f"| {corpus.name} | {len(pairs)} | {line} |", flush=True)


def print_all(known: dict[Path, Fingerprint], root: Path, each_ms: float) -> None:
    """Every clip against every other, by search, up to more than twice the limit, so that the gap around it shows."""
    paths = list(known)
    start = time.process_time()
    near_duplicates(list(known.values()))
    search_s = time.process_time() - start
    limit, prints.ERROR_RATE = prints.ERROR_RATE, 0.25
    matches = sorted(near_duplicates(list(known.values())), key=lambda match: match.error_rate)
    prints.ERROR_RATE = limit
    n_pairs = len(paths) * (len(paths) - 1) // 2
    print(f"\n{len(paths)} clips, {n_pairs:,} pairs; {each_ms:.1f} ms a clip to read and fingerprint, {search_s:.1f} s to search")
    print(f"\n| pair (limit {limit}) | share of bits that differ |\n|---|---|")
    beyond = [match for match in matches if match.error_rate > limit]
    for match in [match for match in matches if match.error_rate <= limit] + beyond[:3]:
        first, second = (paths[index].relative_to(root).as_posix() for index in (match.first, match.second))
        print(f"| {first}, {second} | {match.error_rate:.3f}{' (no match)' if match.error_rate > limit else ''} |")


if __name__ == "__main__":
    sys.exit(main())
