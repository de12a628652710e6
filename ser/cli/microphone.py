"""A few seconds from the microphone, by whichever means there is."""

import math
import shutil
import subprocess
from typing import TYPE_CHECKING

from ser.errors import SerError

if TYPE_CHECKING:
    import numpy as np

_SLACK_S = 10.0  # by which arecord may be late


class MicrophoneError(SerError):
    """There is no way to record here."""


def record_samples(seconds: float, sampling_rate_hz: int) -> "np.ndarray":
    """Record mono, int16 of shape (n_samples,).

    `sounddevice` is used if it is installed and finds its library, else `arecord` of alsa-utils.

    Raises:
        MicrophoneError: neither is there, or there is no microphone.
    """
    try:
        import sounddevice
    except (ImportError, OSError):  # OSError: installed, but PortAudio is not
        if program := shutil.which("arecord"):
            return _arecord(program, seconds, sampling_rate_hz)
        raise MicrophoneError(
            "nothing to record with: install sounddevice (`pip install sounddevice`) or arecord (`apt install alsa-utils`), "
            "or record with any other program and use `ser predict FILE`"
        ) from None
    return _sounddevice(sounddevice, seconds, sampling_rate_hz)


def _sounddevice(sounddevice, seconds: float, sampling_rate_hz: int) -> "np.ndarray":
    try:
        samples = sounddevice.rec(round(seconds * sampling_rate_hz), sampling_rate_hz, channels=1, dtype="int16", blocking=True)
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"the microphone cannot be used ({error}); check that one is plugged in and free") from None
    return samples[:, 0]


def _arecord(program: str, seconds: float, sampling_rate_hz: int) -> "np.ndarray":
    import numpy as np

    whole_s = math.ceil(seconds)  # it takes no others
    command = [program, "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(sampling_rate_hz), "-d", str(whole_s)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=whole_s + _SLACK_S)
    except subprocess.TimeoutExpired:
        raise MicrophoneError("the microphone gives nothing; check that no other program holds it") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        reason = said[-1] if said else f"arecord ended with {done.returncode}"
        raise MicrophoneError(f"the microphone cannot be used ({reason}); check that one is plugged in and free")
    samples = np.frombuffer(done.stdout[: len(done.stdout) // 2 * 2], "<i2").astype(np.int16)
    return samples[: round(seconds * sampling_rate_hz)]
