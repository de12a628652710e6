"""Where somebody speaks: frames that stand out of the noise and have a pitch.

Two old measures, each blind where the other sees. The level over a noise floor that is tracked as the running minimum
(after Doblinger 1995, "Computationally efficient speech enhancement by spectral minima tracking in subbands", Eurospeech:
down at once, up slowly) passes over steady hum and fans, but takes every bang for speech. The height of the first peak of
the autocorrelation (Boersma 1993, "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17: the
frame's autocorrelation divided by its window's) passes over bangs, hiss and breath, but takes hum for a voice. Speech has
to pass both. A frame counts as speech, too, for a short while after voice was heard: consonants have no pitch.

What it cannot do: whispering has no pitch and is not found; singing, music and the speech of bystanders are.
"""

from dataclasses import dataclass

import numpy as np

_EMPTY_DB = -120.0  # the level of digital silence


@dataclass(frozen=True)
class VoiceActivityParams:
    """How speech is told from the rest. Levels are of the band, re full scale."""

    frame_s: float = 0.04  # three periods of the lowest pitch
    step_s: float = 0.02
    lowest_pitch_hz: float = 75.0
    highest_pitch_hz: float = 500.0
    lowest_hz: float = 150.0  # band: above hum and rumble,
    highest_hz: float = 3500.0  # below what a telephone loses
    periodicity: float = 0.55  # of 1; Praat takes 0.45, but white noise reaches 0.36 in frames as short as these
    margin_db: float = 6.0  # over the noise floor
    quietest_db: float = -75.0  # below it nothing is speech; the quietest clips of RAVDESS lie 15 dB above
    floor_rise_db_per_s: float = 5.0  # a hum that sets in is taken for a voice for some seconds
    hangover_s: float = 0.2  # longest silence in a stop consonant, about


class VoiceActivity:
    """A stream's frames, judged as they come; the answers do not depend on how the stream is cut into blocks."""

    def __init__(self, sampling_rate_hz: int, params: VoiceActivityParams | None = None) -> None:
        self.params = params = params or VoiceActivityParams()
        self.frame = round(params.frame_s * sampling_rate_hz)
        self.step = round(params.step_s * sampling_rate_hz)
        self._pitch = _Pitch(sampling_rate_hz, self.frame, params)
        self._rest = np.zeros(0, np.float32)
        self._floor_db = params.quietest_db
        self._frames_to_hang = 0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Take mono float32 samples, shape (n_samples,); return whether each frame they complete is speech, shape (n,).

        Frame i of the stream begins at sample `i * step` and has `frame` samples.
        """
        signal = np.concatenate([self._rest, samples])
        n_frames = max(0, (len(signal) - self.frame) // self.step + 1)
        self._rest = signal[n_frames * self.step :].copy()
        if not n_frames:
            return np.zeros(0, bool)
        frames = np.lib.stride_tricks.sliding_window_view(signal, self.frame)[:: self.step][:n_frames]
        levels_db, periodicities = self._pitch(frames)
        pairs = zip(levels_db.tolist(), periodicities.tolist(), strict=True)
        return np.array([self._judge(level_db, periodicity) for level_db, periodicity in pairs])

    def _judge(self, level_db: float, periodicity: float) -> bool:
        params = self.params
        risen_db = self._floor_db + params.floor_rise_db_per_s * params.step_s
        self._floor_db = max(params.quietest_db, min(level_db, risen_db))
        if level_db > self._floor_db + params.margin_db and periodicity > params.periodicity:
            self._frames_to_hang = round(params.hangover_s / params.step_s)
            return True
        self._frames_to_hang -= 1
        return self._frames_to_hang >= 0


class _Pitch:
    """Level and periodicity of frames."""

    def __init__(self, sampling_rate_hz: int, frame: int, params: VoiceActivityParams) -> None:
        self._window = np.hanning(frame + 2)[1:-1]
        shortest, longest = (round(sampling_rate_hz / hz) for hz in (params.highest_pitch_hz, params.lowest_pitch_hz))
        self._lags = slice(shortest, longest + 1)
        self._n_fft = 1 << (frame + longest).bit_length()  # no wrap-around up to the longest lag
        frequencies_hz = np.fft.rfftfreq(self._n_fft, 1 / sampling_rate_hz)
        self._band = (frequencies_hz >= params.lowest_hz) & (frequencies_hz <= params.highest_hz)
        of_window = np.fft.irfft(np.abs(np.fft.rfft(self._window, self._n_fft)) ** 2)
        self._of_window = of_window[self._lags] / of_window[0]
        self._full_scale = self._n_fft * (self._window**2).sum() / 2  # of the one-sided spectrum

    def __call__(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Levels in dB and periodicities, each (n_frames,), of frames (n_frames, frame)."""
        centred = frames - frames.mean(axis=1, dtype=np.float64, keepdims=True)
        power = np.abs(np.fft.rfft(centred * self._window, self._n_fft)) ** 2 * self._band
        total = power.sum(axis=1)
        correlation = np.fft.irfft(power)[:, self._lags] / self._of_window
        at_zero = 2 * total / self._n_fft  # the correlation at lag zero, without the band's edges
        periodicities = correlation.max(axis=1) / np.maximum(at_zero, 1e-12)
        levels_db = 10 * np.log10(np.maximum(total / self._full_scale, 10 ** (_EMPTY_DB / 10)))
        return levels_db, periodicities
