import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser.audio import AudioError, AudioParams, decode, load_audio, to_float, to_int16, to_signal

PARAMS = AudioParams(sampling_rate_hz=16000, minimum_s=0.2, silence_peak=0.0005)


def tone(f0_hz=220.0, seconds=0.5, sampling_rate_hz=16000):
    times = np.arange(int(seconds * sampling_rate_hz)) / sampling_rate_hz
    return (0.3 * np.sin(2 * np.pi * f0_hz * times)).astype(np.float32)


def test_16_bit_mono_at_the_working_rate_passes_untouched(tmp_path):
    samples = to_int16(tone())
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="PCM_16")
    signal = load_audio(tmp_path / "a.wav", PARAMS)
    assert signal.dtype == np.float32
    assert np.array_equal(to_int16(signal), samples)
    assert np.array_equal(to_float(samples), signal)


def test_every_signal_is_on_the_16_bit_grid_so_that_storing_it_loses_nothing(tmp_path):
    soundfile.write(tmp_path / "a.flac", tone(sampling_rate_hz=24414), 24414, subtype="PCM_24")
    signal = load_audio(tmp_path / "a.flac", PARAMS)
    assert np.array_equal(to_float(to_int16(signal)), signal)


@pytest.mark.parametrize("rate_hz", [8000, 24414, 44100, 48000, 96000])
def test_resampling_keeps_length_pitch_and_level(rate_hz, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(440.0, 1.0, rate_hz), rate_hz)
    signal = load_audio(tmp_path / "a.wav", PARAMS)
    assert abs(len(signal) - 16000) <= 1
    spectrum = np.abs(np.fft.rfft(signal, 16000))
    assert spectrum.argmax() == 440
    assert np.abs(signal[1000:-1000]).max() == pytest.approx(0.3, abs=0.005)


def test_stereo_is_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), 0 * tone()], axis=1), 16000)
    assert np.abs(load_audio(tmp_path / "a.wav", PARAMS)).max() == pytest.approx(0.15, abs=0.001)


@pytest.mark.parametrize(("container", "subtype"), [("AIFF", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)])
def test_suffix_is_not_trusted(container, subtype, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(), 16000, format=container, subtype=subtype)
    assert len(load_audio(path, PARAMS)) >= 7900


def test_chunk_before_the_data_is_skipped(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16000, subtype="PCM_16")
    content = (tmp_path / "a.wav").read_bytes()
    at = content.index(b"data")
    filler = b"FLLR" + (40).to_bytes(4, "little") + bytes(40)
    content = content[:4] + (len(content) - 8 + 48).to_bytes(4, "little") + content[8:at] + filler + content[at:]
    (tmp_path / "b.wav").write_bytes(content)
    assert decode(tmp_path / "b.wav").sha256 == decode(tmp_path / "a.wav").sha256


def test_hash_follows_the_samples_not_the_container(tmp_path):
    samples = to_int16(tone())
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    soundfile.write(tmp_path / "b.flac", samples, 16000)
    soundfile.write(tmp_path / "c.wav", samples, 8000)
    soundfile.write(tmp_path / "d.wav", samples.reshape(-1, 2), 16000)
    one, same, rate, layout = (decode(tmp_path / name).sha256 for name in ("a.wav", "b.flac", "c.wav", "d.wav"))
    assert one == same
    assert len({one, rate, layout}) == 3


def test_file_objects_are_decoded_too():
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), 16000, format="WAV")
    buffer.seek(0)
    assert decode(buffer).duration_s == 0.5
    with pytest.raises(AudioError, match="undecodable"):
        decode(io.BytesIO(b"nothing like audio" * 100))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a.wav: Git-LFS pointer.*git lfs pull"),
        (b"", "a.wav: undecodable"),
        (b"RIFF\x00\x00", "a.wav: undecodable"),
        (b"hello, this is no sound" * 50, "a.wav: undecodable"),
    ],
)
def test_files_without_audio_are_refused_by_name(content, sentence, tmp_path):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=sentence):
        load_audio(tmp_path / "a.wav", PARAMS)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (tone(seconds=0.1), "too short: 0.10 s"),
        (0 * tone(), "silent"),
        (0.0004 * tone(), "silent"),
        (np.array([], np.float32), "no samples"),
        (np.full(8000, np.nan, np.float32), "not numbers"),
    ],
)
def test_unusable_audio_is_refused_with_the_reason(samples, sentence, tmp_path):
    soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=sentence):
        load_audio(tmp_path / "a.wav", PARAMS)


def test_quiet_recordings_are_speech_too(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.02 * tone(), 16000)  # peaks at 0.006, as a dozen clips of RAVDESS do
    assert len(to_signal(decode(tmp_path / "a.wav"), PARAMS)) == 8000


def test_missing_file():
    with pytest.raises(AudioError, match="nowhere.wav: no such file"):
        load_audio(Path("nowhere.wav"), PARAMS)
