"""Put real output into the pages: each `<!-- output: COMMAND -->` is followed by what the command printed.

    python -m docs.outputs CORPORA        # a folder with the real corpora; models/ holds the trained and the released bundles

Commands run in a folder with a few clips of speakers that the released model never heard, and with `ser serve` on port 8000.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import soundfile

from ser.files import replacing

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/cli.md", "docs/api.md")
CLIPS = {"clip.wav": "08b09Tb", "a.wav": "08a02Wc", "b.mp3": "10a04Wa", "good.wav": "08a07Na"}  # EmoDB, test speakers
INTERVIEW = ("08b03Tc", "08a05Ta", "08b09Fd", "08a01Wa", "08b02Wd", "08b01Na")
MARK = re.compile(r"^<!-- output: (.+?) -->\n(?:```\n.*?^```\n)?", re.MULTILINE | re.DOTALL)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
MOST_LINES, COLUMNS = 40, 110
_PAUSE_S = 1.5


def lay_out(folder: Path, corpora: Path) -> None:
    """The files that the commands name."""
    speech = {path.stem: path for path in sorted((corpora / "emodb/wav").iterdir())}
    for name, stem in CLIPS.items():
        soundfile.write(folder / name, *soundfile.read(speech[stem]))
    rate_hz = soundfile.info(speech[INTERVIEW[0]]).samplerate
    pause = np.zeros(int(_PAUSE_S * rate_hz))
    parts = [part for stem in INTERVIEW for part in (soundfile.read(speech[stem])[0], pause)]
    soundfile.write(folder / "interview.mp3", np.concatenate(parts), rate_hz)
    (folder / "empty.wav").touch()
    (folder / "data").mkdir()
    (folder / "data/raw").symlink_to(corpora.resolve())
    for name in ("models", "docs"):
        (folder / name).symlink_to(ROOT / name)


def printed(command: str, folder: Path) -> str:
    """Standard output and error of a shell command, the middle of a long one left out."""
    plain = {"COLUMNS": str(COLUMNS), "TERM": "xterm", "NO_COLOR": "1"}
    environment = {**os.environ, **plain, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    shell = ["bash", "-c", command]
    if "|" not in command:  # as on a terminal
        shell = ["script", "--quiet", "--command", f"stty cols {COLUMNS}; {command}", "/dev/null"]
    done = subprocess.run(
        shell, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    text = _CONTROL.sub("", done.stdout.replace("\r\n", "\n")).replace(str(folder), ".")
    shown = [line.rpartition("\r")[2].rstrip() for line in text.strip("\n").split("\n")]
    lines = [line for line in shown if not line.startswith("predicting  [")]  # the progress bar
    if len(lines) > MOST_LINES:
        lines[MOST_LINES // 2 : -MOST_LINES // 2] = ["..."]
    return "\n".join(lines)


def filled(page: str, folder: Path) -> str:
    """The page, with the present output after each mark.

    Raises:
        SystemExit: a command printed nothing.
    """

    def block(mark: re.Match) -> str:
        if not (text := printed(mark[1], folder)):
            sys.exit(f"error: {mark[1]} printed nothing")
        return f"<!-- output: {mark[1]} -->\n```\n{text}\n```\n"

    return MARK.sub(block, page)


def main() -> None:
    """Fill the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", type=Path)
    corpora = parser.parse_args().corpora
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay_out(folder, corpora)
        server = subprocess.Popen([shutil.which("ser") or "ser", "serve"], cwd=folder, stderr=subprocess.DEVNULL)
        try:
            wait_for("http://127.0.0.1:8000/health")
            for page in PAGES:
                text = filled((ROOT / page).read_text(encoding="utf-8"), folder)
                with replacing(ROOT / page) as temporary:
                    temporary.write_text(text, encoding="utf-8")
        finally:
            server.terminate()
            server.wait()


def wait_for(url: str, most_s: float = 60.0) -> None:
    """Return once a server answers there; OSError when it still does not after `most_s`."""
    end = time.monotonic() + most_s
    while True:
        try:
            urlopen(url).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
