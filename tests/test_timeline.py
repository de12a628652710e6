import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from ser.audio import AudioError, AudioParams, to_float, to_int16
from ser.prediction import Prediction
from ser.recording import open_recording
from ser.timeline import Timeline, TimelineError, TimelineParams, predict_recording, timeline_of
from tests.test_voice_activity import noise, voice

RATE_HZ = 16000
AUDIO = AudioParams(RATE_HZ, minimum_s=0.2, silence_peak=0.0005)


class FakePredictor:
    """Answers from every sample of the window, so that a sample too many or too few shows."""

    emotions = ("angry", "happy", "sad")
    audio = AUDIO

    def __init__(self):
        self.lengths = []
        self.calls = 0
        self.profiles = []

    def predict(self, signal, profile=None):
        assert len(signal) >= AUDIO.minimum_s * RATE_HZ and np.abs(signal).max() >= AUDIO.silence_peak
        self.lengths.append(len(signal))
        self.profiles.append(profile)
        weights = np.abs([signal.sum(), signal[::2].sum(), signal @ np.linspace(0, 2, len(signal))], dtype=np.float64) + 0.1
        times_s = np.array([0.25, 0.75]) * len(signal) / RATE_HZ
        return Prediction(self.emotions, weights / weights.sum(), 0.5, len(signal) / RATE_HZ, times_s, np.array([0.5, 0.5]))

    def predict_batch(self, signals, profile=None):
        self.calls += 1
        return [self.predict(signal, profile) for signal in signals]


def on_grid(signal):
    return to_float(to_int16(signal))


def talk(*lengths_s):
    """Speech and pauses in turn."""
    parts = [voice(s, seed=i) if i % 2 == 0 else noise(s, rms=0.0003, seed=i) for i, s in enumerate(lengths_s)]
    return on_grid(np.concatenate(parts))


def points_of(signal, sizes=None, params=None):
    timeline = Timeline(FakePredictor(), params)
    points, at = [], 0
    for size in sizes or [len(signal)]:
        points += timeline.push(signal[at : at + size])
        at += size
    return points + timeline.push(signal[at:]) + timeline.finish()


def assert_equal(points, expected):
    assert len(points) == len(expected)
    for one, other in zip(points, expected, strict=True):
        assert (one.start_s, one.end_s, one.speech, one.unsure_below) == (
            other.start_s,
            other.end_s,
            other.speech,
            other.unsure_below,
        )
        assert np.array_equal(one.probabilities, other.probabilities)


@pytest.mark.parametrize("seed", range(8))
def test_points_do_not_depend_on_the_blocks(seed):
    rng = np.random.default_rng(seed)
    signal = talk(1.7, 2.5, 1.3, 4.0, 2.21)[: int(rng.integers(50000, 187360))]
    params = TimelineParams(window_s=float(rng.choice([1.0, 2.9, 3.0])), hop_s=float(rng.choice([0.25, 0.5, 0.33])))
    longest = int(10 ** rng.uniform(2, 5))
    sizes = rng.integers(0, longest + 1, size=2 * len(signal) // longest + 5).tolist()
    assert_equal(points_of(signal, sizes, params), points_of(signal, None, params))


def test_sample_by_sample_is_the_same_too():
    signal = talk(0.6, 0.1, 0.6)
    assert_equal(points_of(signal, [1] * len(signal)), points_of(signal))


def test_a_point_every_hop_as_soon_as_its_audio_is_there():
    signal = talk(6.0)
    timeline = Timeline(FakePredictor())
    for end in range(8000, len(signal) + 1, 8000):
        assert timeline.push(signal[end - 8000 : end - 1]) == []
        points = timeline.push(signal[end - 1 : end])
        assert [p.end_s for p in points] == ([end / RATE_HZ] if end >= RATE_HZ else [])
        assert all(p.start_s == max(0.0, p.end_s - 3) for p in points)
    assert timeline.finish() == []
    assert timeline.heard_s == 6.0


def test_the_last_point_ends_where_the_audio_ends():
    points = points_of(talk(4.3))
    assert [p.end_s for p in points] == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.3]
    assert points[-1].start_s == pytest.approx(1.3)


def test_the_last_window_is_whole_wherever_the_audio_ends():
    timeline = Timeline(predictor := FakePredictor())
    timeline.push(talk(8.0))
    timeline.push(talk(8.0)[:1])
    (point,) = timeline.finish()
    assert predictor.lengths[-1] == 48000
    assert point.end_s - point.start_s == pytest.approx(3.0)


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.99])
def test_what_is_shorter_than_the_first_window_gives_one_point(seconds):
    (point,) = points_of(talk(seconds))
    assert point.speech
    assert (point.start_s, point.end_s) == (0, seconds)


def test_what_is_too_short_for_the_predictor_gives_one_point_without_speech():
    (point,) = points_of(talk(0.1))
    assert not point.speech and point.unsure
    assert points_of(np.zeros(0, np.float32)) == []


def test_without_speech_probabilities_are_carried_and_the_predictor_is_not_asked():
    timeline = Timeline(predictor := FakePredictor())
    before = timeline.push(on_grid(noise(2.0, rms=0.0003)))
    assert predictor.calls == 0
    assert not any(p.speech for p in before)
    assert all(np.allclose(p.probabilities, 1 / 3) and p.unsure for p in before)
    spoken = timeline.push(talk(2.0))
    assert spoken[-1].speech
    after = timeline.push(on_grid(noise(6.0, rms=0.0003)))
    last_spoken = [p for p in spoken + after if p.speech][-1]
    silent = after[-4:]
    assert not any(p.speech for p in silent)
    assert all(np.array_equal(p.probabilities, last_spoken.probabilities) for p in silent)


def test_digital_silence_is_never_put_to_the_predictor():
    points = points_of(np.zeros(5 * RATE_HZ, np.float32))
    assert len(points) == 9
    assert not any(p.speech for p in points)


class StepPredictor(FakePredictor):
    """Sure of the first emotion for the first 2 s of answers, of the second afterwards."""

    def predict(self, signal, profile=None):
        self.lengths.append(len(signal))
        return Prediction(self.emotions, np.eye(3)[0 if len(self.lengths) <= 3 else 1], 0.5, len(signal) / RATE_HZ)


def test_smoothing_is_a_first_order_low_pass_in_time():
    timeline = Timeline(StepPredictor(), TimelineParams(smoothing_s=2.0))
    points = timeline.push(talk(6.0))
    assert [p.probabilities[0] for p in points[:3]] == [1, 1, 1]
    rest = [p.probabilities[0] for p in points[3:]]
    assert rest == pytest.approx([np.exp(-0.25 * k) for k in range(1, len(rest) + 1)])
    assert all(p.probabilities.sum() == pytest.approx(1) for p in points)
    unsmoothed = Timeline(StepPredictor(), TimelineParams(smoothing_s=0)).push(talk(6.0))
    assert unsmoothed[3].probabilities.tolist() == [0, 1, 0]


def test_windows_that_are_ready_together_go_to_the_predictor_together_but_never_without_bound():
    timeline = Timeline(predictor := FakePredictor())
    assert len(timeline.push(talk(3.0))) == 5
    assert predictor.calls == 1
    timeline.push(talk(60.0))
    assert predictor.calls <= 1 + 60 / 4 + 1


def test_profiles_reach_the_predictor():
    timeline = Timeline(predictor := FakePredictor(), profile="a voice")
    timeline.push(talk(1.0))
    assert predictor.profiles == ["a voice"]


def test_memory_does_not_grow_with_the_audio():
    timeline = Timeline(FakePredictor())
    block = talk(10.0)
    timeline.push(block)
    tracemalloc.start()
    for _ in range(12):
        timeline.push(block)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1_000_000  # two minutes of samples are 7.7 MB


@pytest.mark.parametrize(
    "samples", [np.zeros((10, 2), np.float32), np.array([np.nan], np.float32), np.array([np.inf], np.float32)]
)
def test_samples_of_another_shape_or_not_finite_are_refused(samples):
    with pytest.raises(AudioError, match="finite mono samples"):
        Timeline(FakePredictor()).push(samples)


def test_a_finished_timeline_takes_no_more():
    timeline = Timeline(FakePredictor())
    timeline.push(talk(1.2))
    assert len(timeline.finish()) == 1
    assert timeline.finish() == []
    with pytest.raises(TimelineError, match="finished"):
        timeline.push(talk(1.0))


@pytest.mark.parametrize(
    "fields",
    [
        {"hop_s": 0},
        {"hop_s": 4.0},
        {"window_s": float("nan")},
        {"first_s": 0},
        {"first_s": 3.5},
        {"smoothing_s": -1},
        {"speech_share": 2},
    ],
)
def test_settings_that_make_no_sense_are_refused(fields):
    with pytest.raises(TimelineError, match=next(iter(fields))):
        TimelineParams(**fields)


def test_points_as_plain_values():
    point = points_of(talk(1.0))[0]
    values = point.as_dict()
    assert values["start_s"] == 0 and values["end_s"] == 1 and values["speech"] is True
    assert values["emotion"] == point.emotion and set(values["probabilities"]) == set(FakePredictor.emotions)


def recording_of(signal):
    file = io.BytesIO()
    soundfile.write(file, signal, RATE_HZ, format="WAV", subtype="PCM_16")
    return open_recording(file, AUDIO)


def test_a_file_gives_what_a_stream_of_its_samples_gives():
    signal = talk(12.0, 3.0, 9.3)
    with recording_of(signal) as recording:
        points = list(timeline_of(recording, FakePredictor()))
    assert_equal(points, points_of(signal, [1000] * 300))


def test_a_silent_file_is_refused_at_its_end():
    with pytest.raises(AudioError, match="silent"), recording_of(np.zeros(5 * RATE_HZ)) as recording:
        list(timeline_of(recording, FakePredictor()))


@pytest.mark.parametrize("seconds", [0.3, 3.0, 30.0])
def test_up_to_half_a_minute_is_one_clip(seconds):
    signal = talk(seconds)
    with recording_of(signal) as recording:
        prediction = predict_recording(recording, predictor := FakePredictor(), profile="a voice")
    assert predictor.lengths == [len(signal)]
    assert predictor.profiles == ["a voice"]
    assert np.array_equal(prediction.probabilities, FakePredictor().predict(signal).probabilities)


@pytest.mark.parametrize(("seconds", "lengths_s"), [(30.5, [10, 10, 5.25, 5.25]), (40, [10] * 4), (47, [10, 10, 10, 8.5, 8.5])])
def test_longer_ones_are_cut_into_chunks(seconds, lengths_s):
    with recording_of(talk(seconds)) as recording:
        prediction = predict_recording(recording, predictor := FakePredictor())
    assert [n / RATE_HZ for n in predictor.lengths] == lengths_s
    assert prediction.duration_s == seconds
    assert prediction.probabilities.sum() == pytest.approx(1)
    assert len(prediction.attention) == 2 * len(lengths_s)
    assert prediction.attention.sum() == pytest.approx(1)
    assert (np.diff(prediction.attention_times_s) > 0).all() and prediction.attention_times_s[-1] < seconds


def test_chunks_count_by_the_speech_in_them():
    spoken, pause = talk(10.0), on_grid(noise(10.0, rms=0.001))
    with recording_of(np.concatenate([spoken, pause, pause, pause])) as recording:
        prediction = predict_recording(recording, FakePredictor())
    of_speech, of_pause = (FakePredictor().predict(signal).probabilities for signal in (spoken, pause))
    assert np.abs(of_speech - of_pause).max() > 0.1
    assert prediction.probabilities == pytest.approx(of_speech, abs=0.01)  # the pause begins with the end of a word


def test_without_any_speech_chunks_count_equally_and_silent_ones_for_nothing():
    pause, nothing = on_grid(noise(10.0, rms=0.001)), np.zeros(10 * RATE_HZ, np.float32)
    with recording_of(np.concatenate([nothing, pause, nothing, pause])) as recording:
        prediction = predict_recording(recording, predictor := FakePredictor())
    assert len(predictor.lengths) == 2
    assert prediction.probabilities == pytest.approx(FakePredictor().predict(pause).probabilities)
