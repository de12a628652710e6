"""Pitch, loudness, formants, voice quality and rhythm of one utterance, measured by Praat."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ser.smoothing import prominent_peaks
from ser.tracks import mean, median, percentiles, sd, slope

if TYPE_CHECKING:
    import parselmouth

_REFERENCE_HZ = 27.5  # zero of the semitone scale, as in eGeMAPS (Eyben et al. 2016)
_FULL_SCALE_DB = 93.9794  # Praat's dB are re 2e-5 Pa; a signal of RMS 1.0 reads 93.98
_SILENT_DB = -90.0  # re full scale: less than one step of 16 bits
_MARGIN_S = 0.05
_SHORTEST_S = 0.06  # formants need 50 ms
_FIRST_PASS_HZ = 8000  # enough to find the quartiles of F0, and twice as fast
_FIRST_PASS_STEP_S = 0.02
_JUMP_ST = 6.0  # a larger step from one frame to the next is an octave error or a new phrase, not a glide
_LEVEL_TONE_ST_PER_S = 10.0  # slower movement is not heard as a glide over the length of a syllable ('t Hart 1976)
_FORMANTS = (1, 2, 3, 4)
# Praat's standard voice settings: shortest and longest period, period ratio, amplitude ratio (Voice 2, 3 in its manual)
_PERIOD_S = (1e-4, 0.02)
_PERIOD_FACTOR = 1.3
_AMPLITUDE_FACTOR = 1.6
_JITTERS = ("local", "local, absolute", "rap", "ppq5", "ddp")
_SHIMMERS = ("local", "local_dB", "apq3", "apq5", "apq11", "dda")
_SPECTRUM_WINDOW_S = 0.025

_PITCH_NAMES = (
    *(f"pro_f0_{statistic}_hz" for statistic in ("mean", "sd", "median", "p5", "p20", "p80", "p95", "range")),
    *(f"pro_f0_{statistic}_st" for statistic in ("mean", "sd", "median", "p5", "p20", "p80", "p95", "range")),
    "pro_f0_slope_hz_per_s",
    "pro_f0_slope_st_per_s",
    "pro_f0_curve_st_per_s2",
    "pro_f0_onset_to_end_st",
    "pro_f0_peak_position_share",
    "pro_f0_rising_share",
    "pro_f0_falling_share",
    "pro_f0_rise_mean_st_per_s",
    "pro_f0_fall_mean_st_per_s",
    "pro_f0_delta_mean_abs_st_per_s",
    "pro_f0_delta_sd_st_per_s",
    "pro_f0_delta2_mean_abs_st_per_s2",
)
_LEVEL_NAMES = (
    "pro_level_mean_db",
    "pro_level_voiced_mean_db",
    *(f"pro_level_{statistic}_db" for statistic in ("sd", "p5", "p20", "p50", "p80", "p95", "range")),
    "pro_level_slope_db_per_s",
    "pro_level_delta_mean_abs_db_per_s",
    *(f"pro_level_voiced_{statistic}_db" for statistic in ("sd", "range")),
    "pro_level_voiced_slope_db_per_s",
    "pro_level_peak_position_share",
    "pro_level_f0_correlation",
)
_FORMANT_NAMES = (
    *(f"pro_f{n}_{statistic}_hz" for n in _FORMANTS for statistic in ("mean", "sd", "median")),
    *(f"pro_f{n}_bandwidth_{statistic}_hz" for n in _FORMANTS for statistic in ("mean", "sd", "median")),
    "pro_formant_spacing_mean_hz",
)
_VOICE_NAMES = (
    "pro_jitter_local",
    "pro_jitter_local_absolute_s",
    "pro_jitter_rap",
    "pro_jitter_ppq5",
    "pro_jitter_ddp",
    "pro_shimmer_local",
    "pro_shimmer_local_db",
    "pro_shimmer_apq3",
    "pro_shimmer_apq5",
    "pro_shimmer_apq11",
    "pro_shimmer_dda",
    "pro_hnr_mean_db",
    "pro_hnr_sd_db",
    "pro_hnr_p5_db",
    "pro_hnr_p95_db",
)
_RHYTHM_NAMES = (
    "pro_duration_s",
    "pro_speech_duration_s",
    "pro_voiced_share",
    "pro_voiced_segments",
    "pro_voiced_segments_per_s",
    "pro_voiced_segment_mean_s",
    "pro_voiced_segment_sd_s",
    "pro_voiced_segment_max_s",
    "pro_nuclei",
    "pro_nuclei_per_s",
    "pro_pause_share",
    "pro_pauses_per_s",
    "pro_pause_max_s",
)
_SPECTRUM_NAMES = tuple(
    f"pro_{measure}_{statistic}_{unit}"
    for measure, unit in (
        ("alpha_ratio", "db"),
        ("hammarberg_index", "db"),
        ("tilt_0_500_hz", "db_per_khz"),
        ("tilt_500_1500_hz", "db_per_khz"),
    )
    for statistic in ("mean", "sd")
)


@dataclass(frozen=True)
class Prosody:
    """How prosody is measured; called with a signal, gives one row of numbers named by `names`."""

    sampling_rate_hz: int
    step_s: float
    search_floor_hz: float
    search_ceiling_hz: float
    floor_factor: float
    ceiling_factor: float
    voicing_threshold: float
    minimum_voiced_s: float
    formant_ceiling_hz: float
    formant_step_s: float
    level_floor_hz: float
    speech_gate_db: float
    pause_gate_db: float
    minimum_pause_s: float
    nucleus_dip_db: float

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, units at their ends (st: semitones re 27.5 Hz; levels re full scale; share: 0 to 1)."""
        return _PITCH_NAMES + _LEVEL_NAMES + _FORMANT_NAMES + _VOICE_NAMES + _RHYTHM_NAMES + _SPECTRUM_NAMES

    def __call__(self, signal: np.ndarray) -> np.ndarray:
        """Measure a mono float signal of shape (n_samples,); full scale is 1.0.

        Returns:
            float32 of shape (n_columns,). What cannot be measured (the pitch of a whisper, anything in silence) is NaN,
            never 0; counts and shares are 0 where there was speech to count in.
        """
        return np.array(list(self.measure(signal).values()), dtype=np.float32)

    def measure(self, signal: np.ndarray) -> dict[str, float]:
        """The same as a mapping from name to value, in the order of `names`."""
        values = dict.fromkeys(self.names, np.nan)
        duration_s = values["pro_duration_s"] = len(signal) / self.sampling_rate_hz
        if duration_s < self._shortest_s:
            return values
        signal = signal - signal.mean(dtype=np.float64)
        times, level = self._level_curve(signal)
        loud = percentiles(level, (95,))[0]
        if loud <= _SILENT_DB + 1:
            return values
        in_span = _between_first_and_last(level > loud - self.speech_gate_db)
        times, level = times[in_span], level[in_span]
        sound = self._cut(signal, times[0] - _MARGIN_S, times[-1] + _MARGIN_S)
        if sound.duration < self._shortest_s:
            return values

        pitch = self._pitch(sound)
        frame_times, f0, strength = _frames(pitch)
        keep = (f0 > 0) & (frame_times >= times[0] - self.step_s) & (frame_times <= times[-1] + self.step_s)
        if keep.sum() * self.step_s < self.minimum_voiced_s:
            keep[:] = False
        f0 = np.where(keep, f0, 0.0)
        voiced_level = np.interp(frame_times[keep], times, level)
        voiced_at_level = np.interp(times, frame_times, keep.astype(float), left=0, right=0) >= 0.5

        values |= zip(_LEVEL_NAMES, self._level(times, level, frame_times[keep], voiced_level, f0[keep]), strict=True)
        values |= self._rhythm(duration_s, level, loud, voiced_at_level, f0)
        if keep.any():
            values |= zip(_PITCH_NAMES, self._melody(frame_times, f0), strict=True)
            values |= zip(_FORMANT_NAMES, self._formants(sound, frame_times[keep]), strict=True)
            values |= zip(_VOICE_NAMES, _voice(sound, pitch, strength[keep]), strict=True)
            values |= zip(_SPECTRUM_NAMES, self._spectrum(sound, frame_times[keep]), strict=True)
        return values

    @property
    def _shortest_s(self) -> float:
        return max(_SHORTEST_S, 3 / self.search_floor_hz + self.step_s)  # Praat wants three periods for a pitch

    def _level_curve(self, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Praat's intensity in dB re full scale, up to the very ends of the clip thanks to half a window of silence there."""
        import parselmouth

        half = round(3.2 / self.level_floor_hz * self.sampling_rate_hz)
        padded = parselmouth.Sound(np.pad(signal, half), self.sampling_rate_hz, -half / self.sampling_rate_hz)
        intensity = padded.to_intensity(self.level_floor_hz, self.step_s)
        return intensity.xs(), np.maximum(intensity.values[0] - _FULL_SCALE_DB, _SILENT_DB)

    def _cut(self, signal: np.ndarray, start_s: float, end_s: float) -> "parselmouth.Sound":
        """The part with speech in it, keeping its place in time: silence costs as much time to analyse as speech."""
        import parselmouth

        start = max(0, round(start_s * self.sampling_rate_hz))
        part = signal[start : max(start, round(end_s * self.sampling_rate_hz))]
        return parselmouth.Sound(part, self.sampling_rate_hz, start / self.sampling_rate_hz)

    def _pitch(self, sound: "parselmouth.Sound") -> "parselmouth.Pitch":
        """Autocorrelation pitch in two passes, so that the speaker's sex need not be known.

        A wide search gives the quartiles of the clip; the second floor and ceiling are multiples of these. De Looze & Hirst
        (2008), "Detecting changes in key and range", give 0.75 q25 and 1.5 q75, and up to 2.5 q75 for expressive speech.
        """
        floor, ceiling = self.search_floor_hz, self.search_ceiling_hz
        wide = self._track(_at_most(sound, _FIRST_PASS_HZ), _FIRST_PASS_STEP_S, floor, ceiling).selected_array["frequency"]
        if (voiced := wide[wide > 0]).size:
            q25, q75 = percentiles(voiced, (25, 75))
            floor = max(self.floor_factor * q25, floor)
            ceiling = min(self.ceiling_factor * q75, ceiling)
        return self._track(sound, self.step_s, floor, ceiling)

    def _track(self, sound: "parselmouth.Sound", step_s: float, floor: float, ceiling: float) -> "parselmouth.Pitch":
        return sound.to_pitch_ac(step_s, floor, voicing_threshold=self.voicing_threshold, pitch_ceiling=ceiling)

    def _melody(self, times: np.ndarray, f0: np.ndarray) -> tuple[float, ...]:
        voiced = f0 > 0
        t, hz = times[voiced], f0[voiced]
        st = 12 * np.log2(hz / _REFERENCE_HZ)
        every = np.full(len(f0), np.nan)
        every[voiced] = st
        delta = np.diff(every)
        delta[np.abs(delta) > _JUMP_ST] = np.nan
        delta /= self.step_s
        delta2 = np.diff(delta) / self.step_s
        delta, delta2 = delta[np.isfinite(delta)], delta2[np.isfinite(delta2)]
        rising, falling = delta > _LEVEL_TONE_ST_PER_S, delta < -_LEVEL_TONE_ST_PER_S
        fifth = max(1, len(st) // 5)
        return (
            *_distribution(hz),
            *_distribution(st),
            slope(t, hz),
            slope(t, st),
            _curve(t, st),
            mean(st[-fifth:]) - mean(st[:fifth]),
            _position(t, int(np.argmax(st))),
            mean(rising),
            mean(falling),
            mean(delta[rising]),
            mean(delta[falling]),
            mean(np.abs(delta)),
            sd(delta),
            mean(np.abs(delta2)),
        )

    def _level(
        self, times: np.ndarray, level: np.ndarray, voiced_times: np.ndarray, voiced_level: np.ndarray, f0: np.ndarray
    ) -> tuple[float, ...]:
        """Two absolute levels; everything else is relative to the mean, so that the recording gain does not enter."""
        p5, p20, p50, p80, p95 = percentiles(level - mean(level), (5, 20, 50, 80, 95))
        voiced_range = np.ptp(percentiles(voiced_level, (5, 95))) if voiced_level.size else np.nan
        return (
            mean(level),
            mean(voiced_level),
            sd(level),
            *(p5, p20, p50, p80, p95, p95 - p5),
            slope(times, level),
            mean(np.abs(np.diff(level)) / self.step_s),
            sd(voiced_level),
            voiced_range,
            slope(voiced_times, voiced_level),
            _position(times, int(np.argmax(level))),
            _correlation(voiced_level, np.log(f0)),
        )

    def _formants(self, sound: "parselmouth.Sound", times: np.ndarray) -> tuple[float, ...]:
        """Burg formants in voiced frames; one ceiling for all, because the speaker's sex is not known."""
        low = _at_most(sound, round(2 * self.formant_ceiling_hz))  # Praat would resample too, but takes twice as long in all
        formants = low.to_formant_burg(self.formant_step_s, 5.0, self.formant_ceiling_hz, 0.025, 50.0)
        frequency = [_at(formants.get_value_at_time, n, times) for n in _FORMANTS]
        bandwidth = [_at(formants.get_bandwidth_at_time, n, times) for n in _FORMANTS]
        spacing = (frequency[-1] - frequency[0]) / (len(_FORMANTS) - 1)
        return (
            *(value for track in frequency for value in _mean_sd_median(track)),
            *(value for track in bandwidth for value in _mean_sd_median(track)),
            mean(spacing[np.isfinite(spacing)]),
        )

    def _rhythm(
        self, duration_s: float, level: np.ndarray, loud: float, voiced_at_level: np.ndarray, f0: np.ndarray
    ) -> dict[str, float]:
        """Voiced stretches, pauses, and syllable nuclei in the manner of de Jong & Wempe (2009).

        A nucleus is a peak of intensity, less than `pause_gate_db` below the loud parts, with a dip of `nucleus_dip_db`
        on either side, in a voiced frame.
        """
        speech_s = min(duration_s, len(level) * self.step_s)
        segments_s = _run_lengths(f0 > 0) * self.step_s
        pauses_s = _run_lengths(level < loud - self.pause_gate_db) * self.step_s
        pauses_s = pauses_s[pauses_s >= self.minimum_pause_s]
        peaks = prominent_peaks(level, height=loud - self.pause_gate_db, prominence=self.nucleus_dip_db)
        nuclei = int(voiced_at_level[peaks].sum())
        row = (
            duration_s,
            speech_s,
            min(1.0, segments_s.sum() / speech_s),
            len(segments_s),
            len(segments_s) / speech_s,
            mean(segments_s),
            sd(segments_s),
            segments_s.max(initial=0.0) or np.nan,
            nuclei,
            nuclei / speech_s,
            min(1.0, pauses_s.sum() / speech_s),
            len(pauses_s) / speech_s,
            pauses_s.max(initial=0.0),
        )
        return dict(zip(_RHYTHM_NAMES, row, strict=True))

    def _spectrum(self, sound: "parselmouth.Sound", times: np.ndarray) -> tuple[float, ...]:
        """Balance of low and high frequencies in voiced frames, defined as in eGeMAPS (Eyben et al. 2016)."""
        signal = sound.values[0]
        width = round(_SPECTRUM_WINDOW_S * self.sampling_rate_hz)
        middles = np.rint((times - sound.xmin) * self.sampling_rate_hz).astype(int)
        starts = np.clip(middles - width // 2, 0, len(signal) - width)
        frames = signal[starts[:, None] + np.arange(width)] * _hanning(width)
        n_fft = 1 << (width - 1).bit_length()
        power = np.abs(np.fft.rfft(frames, n_fft)) ** 2
        hz = np.arange(power.shape[1]) * self.sampling_rate_hz / n_fft
        db = 10 * np.log10(np.maximum(power, 1e-12 * power.max()))
        alpha = 10 * np.log10(_band(power, hz, 50, 1000).sum(axis=1) / _band(power, hz, 1000, 5000).sum(axis=1))
        hammarberg = _band(db, hz, 0, 2000).max(axis=1) - _band(db, hz, 2000, 5000).max(axis=1)
        tilts = []
        for low, high in ((0, 500), (500, 1500)):
            khz = hz[(hz >= low) & (hz < high)] / 1000
            centred = khz - mean(khz)
            tilts.append((_band(db, hz, low, high) * centred).sum(axis=1) / (centred**2).sum())
        return tuple(value for track in (alpha, hammarberg, *tilts) for value in (mean(track), sd(track)))


@cache
def _hanning(width: int) -> np.ndarray:
    return np.hanning(width)


def _frames(pitch: "parselmouth.Pitch") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    selected = pitch.selected_array
    return pitch.xs(), selected["frequency"], selected["strength"]


def _voice(sound: "parselmouth.Sound", pitch: "parselmouth.Pitch", strength: np.ndarray) -> tuple[float, ...]:
    """Jitter, shimmer and harmonics-to-noise ratio; the ratio is taken from the pitch track, as in Praat's voice report."""
    from parselmouth.praat import call

    pulses = call([sound, pitch], "To PointProcess (cc)")
    peaks = call([sound, pulses], "To AmplitudeTier (period)", 0, 0, *_PERIOD_S, _PERIOD_FACTOR)
    r = np.clip(strength, 1e-6, 1 - 1e-6)  # a perfectly periodic frame would be infinitely harmonic; 60 dB is beyond any voice
    hnr_db = 10 * np.log10(r / (1 - r))
    return (
        *(call(pulses, f"Get jitter ({kind})", 0, 0, *_PERIOD_S, _PERIOD_FACTOR) for kind in _JITTERS),
        *(call(peaks, f"Get shimmer ({kind})", *_PERIOD_S, _AMPLITUDE_FACTOR) for kind in _SHIMMERS),
        mean(hnr_db),
        sd(hnr_db),
        *percentiles(hnr_db, (5, 95)),
    )


def _at_most(sound: "parselmouth.Sound", rate_hz: int) -> "parselmouth.Sound":
    import parselmouth
    import soxr

    if sound.sampling_frequency <= rate_hz:
        return sound
    return parselmouth.Sound(soxr.resample(sound.values[0], sound.sampling_frequency, rate_hz, "HQ"), rate_hz, sound.xmin)


def _at(track: Callable[[int, float], float], n: int, times: np.ndarray) -> np.ndarray:
    return np.array([track(n, time) for time in times])


def _between_first_and_last(mask: np.ndarray) -> slice:
    where = np.flatnonzero(mask)
    return slice(where[0], where[-1] + 1)


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return edges[1::2] - edges[::2]


def _band(values: np.ndarray, hz: np.ndarray, low: float, high: float) -> np.ndarray:
    return values[:, (hz >= low) & (hz < high)]


def _distribution(x: np.ndarray) -> tuple[float, ...]:
    p5, p20, p50, p80, p95 = percentiles(x, (5, 20, 50, 80, 95))
    return (mean(x), sd(x), p50, p5, p20, p80, p95, p95 - p5)


def _mean_sd_median(track: np.ndarray) -> tuple[float, float, float]:
    x = track[np.isfinite(track)]
    return (mean(x), sd(x), median(x))


def _curve(t: np.ndarray, x: np.ndarray) -> float:
    """Second derivative of the best parabola: negative for a hat, positive for a valley."""
    return float(2 * np.polyfit(t - mean(t), x, 2)[0]) if t.size >= 5 else np.nan


def _position(t: np.ndarray, index: int) -> float:
    return float((t[index] - t[0]) / (t[-1] - t[0])) if t[-1] > t[0] else np.nan


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    if x.size < 3 or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return np.nan
    return float(np.corrcoef(x, y)[0, 1])
