"""Load on the API: clips from many clients at once, then live streams at the pace of speech, and the server's memory meanwhile.

    python -m benchmarks.load_api --model hybrid --seconds 60          # starts a server, and ends it
    python -m benchmarks.load_api --url http://127.0.0.1:8000 --pid 4711 --seconds 600

The report is JSON on standard output. This program runs on the same processors as the server and takes its share of them.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import soundfile
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ser.demo_voice import NEUTRAL, make_speaker, seeded, speak

RATE_HZ = 16000
FRAME_S = 0.1
LONGEST_S = 3600


def voice(seconds: float, seed: int, recordings: Sequence[Path]) -> np.ndarray:
    """Int16, shape (n_samples,): recordings one after the other, a synthetic demo voice without any, cut to the length asked for.

    Each seed begins with another recording. A plain buzz will not do: where everything is periodic, Praat weighs many more
    candidates for the pitch of a frame than speech has, and a prediction takes twice as long.
    """
    parts, n_samples, n_parts = [], 0, 0
    while n_samples < seconds * RATE_HZ:
        if recordings:
            part, rate_hz = soundfile.read(recordings[(seed * 7 + n_parts) % len(recordings)], dtype="int16", always_2d=True)
            if rate_hz != RATE_HZ:
                sys.exit(f"{recordings[0].parent}: recordings at {rate_hz} Hz; give some at {RATE_HZ} Hz")
            part = part[:, 0]
        else:
            speaker = make_speaker(f"load_{seed}", "female" if seed % 2 else "male", seed=seed)
            spoken = speak(speaker, f"{n_parts}", NEUTRAL, seeded("load", seed, n_parts), n_syllables=8, sung=False)
            part = np.rint(spoken * 32767).astype(np.int16)
        parts.append(part)
        n_samples, n_parts = n_samples + len(part), n_parts + 1
    return np.concatenate(parts)[: round(seconds * RATE_HZ)]


def form_of(samples: np.ndarray) -> tuple[bytes, dict[str, str]]:
    """Body and headers of an upload, made once: the time to encode it is not the server's."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="WAV")
    request = httpx.Request("POST", "http://x", files={"file": ("clip.wav", file.getvalue(), "audio/wav")})
    return request.read(), {"Content-Type": request.headers["Content-Type"]}


@dataclass
class Clips:
    """What the clients of /predict saw."""

    seconds: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)

    def report(self, n_clients: int, clip_s: float) -> dict:
        """Percentiles are of answers with status 200."""
        good = sorted(self.latencies_s)
        cuts = statistics.quantiles(good, n=100, method="inclusive") if len(good) > 1 else [float("nan")] * 99
        return {
            "clients": n_clients,
            "clip_s": clip_s,
            "seconds": round(self.seconds, 1),
            "requests": sum(self.statuses.values()),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items(), key=str)},
            "requests_per_s": round(len(good) / self.seconds, 1),
            **{f"p{percent}_ms": round(1000 * cuts[percent - 1], 1) for percent in (50, 95, 99)},
            "longest_ms": round(1000 * good[-1], 1) if good else None,
        }


async def load_clips(
    url: str, headers: dict[str, str], n_clients: int, clip_s: float, seconds: float, recordings: Sequence[Path]
) -> Clips:
    """Each client asks again as soon as it has its answer."""
    seen = Clips()
    forms = [form_of(voice(clip_s, seed, recordings)) for seed in range(n_clients)]
    address = urlsplit(url)
    start = time.perf_counter()

    async def client(request: bytes) -> None:
        wires = None
        while time.perf_counter() - start < seconds:
            asked = time.perf_counter()
            try:
                wires = wires or await asyncio.open_connection(address.hostname, address.port)
                async with asyncio.timeout(60):
                    status = await exchange(*wires, request)
            except (OSError, EOFError, TimeoutError) as error:
                status, wires = type(error).__name__, None
            if status == 200:
                seen.latencies_s.append(time.perf_counter() - asked)
            seen.statuses[status] += 1
        if wires:
            wires[1].close()

    await asyncio.gather(*(client(request_of(address.netloc, body, headers | own)) for body, own in forms))
    seen.seconds = time.perf_counter() - start
    return seen


def request_of(host: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole POST of /predict as it goes over the wire, made once."""
    lines = {"Host": host, "Content-Length": str(len(body)), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /predict HTTP/1.1\r\n{head}\r\n".encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send a request and read its answer to the end: the status. A library's client would take a fifth of the processors."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = re.search(r"\r\ncontent-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(" ", 2)[1])


@dataclass
class Live:
    """What the clients of /stream saw."""

    lags_s: list[float] = field(default_factory=list)
    points: Counter = field(default_factory=Counter)  # by whether there was speech
    ends: Counter = field(default_factory=Counter)

    def report(self, n_streams: int, seconds: float) -> dict:
        """A lag is from the sending of a point's last sample to its arrival."""
        cuts = statistics.quantiles(self.lags_s, n=100, method="inclusive") if len(self.lags_s) > 1 else [float("nan")] * 99
        return {
            "streams": n_streams,
            "audio_s_each": seconds,
            "ends": {str(end): count for end, count in self.ends.items()},
            "points": self.points.total(),
            "points_with_speech": self.points[True],
            **{f"lag_p{percent}_ms": round(1000 * cuts[percent - 1], 1) for percent in (50, 95, 99)},
            "longest_lag_ms": round(1000 * max(self.lags_s), 1) if self.lags_s else None,
        }


async def load_streams(url: str, headers: dict[str, str], n_streams: int, seconds: float, recordings: Sequence[Path]) -> Live:
    """All at once, each a frame every 0.1 s, begun a little apart as people do."""
    seen = Live()
    address = "ws" + url.removeprefix("http") + f"/stream?sampling_rate_hz={RATE_HZ}"
    step = round(FRAME_S * RATE_HZ)

    async def stream(number: int) -> None:
        sound = voice(30.0, number, recordings)
        await asyncio.sleep(number / n_streams * 0.5)
        try:
            async with connect(address, additional_headers=headers, compression=None) as socket:
                start = time.perf_counter()
                listening = asyncio.create_task(listen(socket, start))
                for n in range(round(seconds / FRAME_S)):
                    at = n * step % len(sound)
                    await asyncio.sleep(start + (n + 1) * FRAME_S - time.perf_counter())
                    await socket.send(sound[at : at + step].tobytes())
                await socket.send('{"end": true}')
                await listening
                seen.ends[socket.close_code or 1000] += 1
        except (OSError, WebSocketException, TimeoutError) as error:
            seen.ends[type(error).__name__] += 1

    async def listen(socket, start: float) -> None:
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "point":
                seen.lags_s.append(time.perf_counter() - start - message["end_s"])
                seen.points[message["speech"]] += 1
            elif message["type"] == "end":
                return

    await asyncio.gather(*(stream(number) for number in range(n_streams)))
    return seen


async def watch_memory(pid: int, samples: list[tuple[float, float, float]]) -> None:
    """Each second: time, resident and unshared memory in MB, of the server and its children."""
    start = time.perf_counter()
    while True:
        rss = uss = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(pid)
            for process in [server, *server.children(recursive=True)]:
                memory = process.memory_full_info()
                rss, uss = rss + memory.rss, uss + memory.uss
            samples.append((time.perf_counter() - start, rss / 2**20, uss / 2**20))
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def watched(pid: int | None) -> AsyncIterator[list[tuple[float, float, float]]]:
    """The samples of `watch_memory`, none without a process."""
    samples: list[tuple[float, float, float]] = []
    watching = asyncio.create_task(watch_memory(pid, samples)) if pid else None
    try:
        yield samples
    finally:
        if watching:
            watching.cancel()


def memory_report(samples: list[tuple[float, float, float]]) -> dict | None:
    """First, last and most, and the slope over the second half, when caches and pools are filled."""
    if not samples:
        return None
    times, rss, uss = np.array(samples).T
    half = len(times) // 2
    slope = np.polyfit(times[half:], uss[half:], 1)[0] * 60 if len(times) - half > 2 else float("nan")
    return {
        "seconds": round(times[-1], 1),
        "resident_mb": {"first": round(rss[0], 1), "last": round(rss[-1], 1), "most": round(rss.max(), 1)},
        "unshared_mb": {"first": round(uss[0], 1), "last": round(uss[-1], 1), "most": round(uss.max(), 1)},
        "unshared_mb_per_minute_in_second_half": None if np.isnan(slope) else round(slope, 3),
    }


@contextlib.contextmanager
def started(model: str | None, processes: int) -> Iterator[tuple[str, int]]:
    """A server of our own: its address and process."""
    code = "from ser.api.app import serve; from ser.api.settings import Settings; serve(Settings.from_environment(), port=0)"
    environment = os.environ | {"SER_PROCESSES": str(processes)} | ({"SER_MODEL": model} if model else {})
    root = Path(__file__).parents[1]
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if match := re.search(r"running on (http://\S+)", line):
                break
            sys.stderr.write(line)
        else:
            sys.exit("error: the server did not start")
        with open(os.devnull, "w") as nowhere:
            draining = subprocess.Popen(["cat"], stdin=process.stderr, stdout=nowhere)  # a full pipe would block the server
        yield match[1], process.pid
        draining.terminate()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


async def measure(url: str, pid: int | None, options: argparse.Namespace) -> dict:
    """Both loads, one after the other."""
    headers = {"Authorization": f"Bearer {os.environ['SER_TOKEN']}"} if "SER_TOKEN" in os.environ else {}
    recordings = sorted(options.clips.rglob("*.flac")) + sorted(options.clips.rglob("*.wav")) if options.clips else []
    report: dict = {
        "model": httpx.get(url + "/model", headers=headers).raise_for_status().json()["name"],
        "processors": os.cpu_count(),
        "speech": f"{len(recordings)} recordings" if recordings else "synthetic demo voices",
    }
    async with watched(pid) as samples:
        if options.clients:
            await load_clips(url, headers, options.clients, options.clip_seconds, min(2.0, options.seconds), recordings)  # warm
            clips = await load_clips(url, headers, options.clients, options.clip_seconds, options.seconds, recordings)
            report["predict"] = clips.report(options.clients, options.clip_seconds)
        if options.streams:
            live = await load_streams(url, headers, options.streams, options.stream_seconds, recordings)
            report["streams"] = live.report(options.streams, options.stream_seconds)
    report["memory"] = memory_report(samples)
    return report


def bounded(text: str) -> float:
    """A duration that ends."""
    if not 0 < float(text) <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"more than 0 and at most {LONGEST_S} s")
    return float(text)


def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="of a running server; without it one is started")
    parser.add_argument("--pid", type=int, help="of that server, to watch its memory")
    parser.add_argument("--model", help="for the server that is started")
    parser.add_argument("--processes", type=int, default=2, help="of the server that is started")
    parser.add_argument("--clients", type=int, default=16, help="0 leaves this part out")
    parser.add_argument("--clips", type=Path, help="folder of 16 kHz recordings to send; synthetic demo voices without it")
    parser.add_argument("--clip-seconds", type=bounded, default=3.0)
    parser.add_argument("--seconds", type=bounded, default=60.0, help="of load on /predict")
    parser.add_argument("--streams", type=int, default=20, help="0 leaves this part out")
    parser.add_argument("--stream-seconds", type=bounded, default=60.0)
    options = parser.parse_args()
    with (
        contextlib.nullcontext((options.url, options.pid)) if options.url else started(options.model, options.processes) as place
    ):
        print(json.dumps(asyncio.run(measure(*place, options)), indent=2))


if __name__ == "__main__":
    main()
