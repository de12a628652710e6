import ast
import io
import os
import stat
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from ser.audio import AudioError, AudioParams, load_audio, to_float, to_int16
from ser.recording import Limits, load_clip, open_recording, samples_to_signal, shown

PARAMS = AudioParams(sampling_rate_hz=16000, minimum_s=0.2, silence_peak=0.0005)
FORMATS = [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("MP3", None), ("OGG", "VORBIS"), ("AIFF", "PCM_16")]
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def tone(f0_hz=220.0, seconds=0.5, rate_hz=16000, channels=1):
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    glide = 0.3 * np.sin(2 * np.pi * f0_hz * times * (1 + times / 3)) * (1 + np.sin(20 * times)) / 2
    return np.stack([np.roll(glide, 9 * i) for i in range(channels)], axis=1).astype(np.float32)


def encoded(samples, rate_hz=16000, container="WAV", subtype=None):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=container, subtype=subtype)
    return buffer.getvalue()


def joined(source, block_s=10.0, params=PARAMS, **limits):
    with open_recording(source, params, Limits(**limits)) as recording:
        return np.concatenate(list(recording.blocks(block_s)))


def refusal(source, params=PARAMS, **limits):
    with pytest.raises(AudioError) as caught:
        load_clip(source, params, Limits(**limits))
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 600
    return sentence


# the same bits as the pipeline's


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
@pytest.mark.parametrize(("rate_hz", "channels"), [(16000, 1), (16000, 2), (44100, 1), (48000, 2), (8000, 1)])
def test_clips_are_the_pipelines_to_the_bit(container, subtype, rate_hz, channels, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(440, 1.5, rate_hz, channels), rate_hz, container, subtype))
    expected = load_audio(path, PARAMS)
    assert expected.dtype == np.float32
    for signal in (load_clip(path, PARAMS), load_clip(io.BytesIO(path.read_bytes()), PARAMS), joined(path, block_s=0.07)):
        assert signal.dtype == np.float32
        assert np.array_equal(signal, expected)


def test_clips_longer_than_what_is_decoded_at_a_time_are_the_pipelines_too(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded(tone(300, 20.0, 44100, 2), 44100, "MP3"))
    assert np.array_equal(load_clip(path, PARAMS), load_audio(path, PARAMS))


@pytest.mark.parametrize(("rate_hz", "channels"), [(1000, 1), (192000, 1), (16000, 32), (24414, 3)])
def test_odd_rates_and_many_channels_are_taken(rate_hz, channels, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone(100, 0.5, rate_hz, channels), rate_hz))
    with open_recording(path, PARAMS) as recording:
        assert (recording.sampling_rate_hz, recording.channels) == (rate_hz, channels)
        assert recording.duration_s == pytest.approx(0.5, abs=0.001)
    assert np.array_equal(load_clip(path, PARAMS), load_audio(path, PARAMS))


@pytest.mark.parametrize("name", ["a.raw", "a.vox", "a.gsm", "a.txt", "a"])
def test_the_name_decides_nothing(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(encoded(tone()))
    assert len(load_clip(path, PARAMS)) == 8000
    path.write_bytes(b"nothing like audio " * 500)
    assert "text, not audio" in refusal(path)
    upload = io.BytesIO(encoded(tone()))
    upload.name = name
    assert len(load_clip(upload, PARAMS)) == 8000


def test_uploads_are_read_from_their_beginning_and_left_open():
    upload = io.BytesIO(encoded(tone()))
    upload.seek(0, io.SEEK_END)
    assert len(load_clip(upload, PARAMS)) == len(load_clip(upload, PARAMS)) == 8000
    assert not upload.closed


def test_pipes_are_read_too():
    class Pipe(io.RawIOBase):
        def __init__(self, content):
            self.content = io.BytesIO(content)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.content.readinto(buffer)

    assert len(load_clip(Pipe(encoded(tone())), PARAMS)) == 8000
    assert "too large: more than 1000 bytes" in refusal(Pipe(encoded(tone())), max_bytes=1000)


@pytest.mark.parametrize(
    "samples", [tone(seconds=1, channels=2), tone(seconds=1)[:, 0], to_int16(tone(seconds=1)), tone(seconds=1).astype(float)]
)
def test_samples_in_memory_are_as_if_from_a_file(samples):
    subtype = "PCM_16" if samples.dtype == np.int16 else "FLOAT"
    expected = load_clip(io.BytesIO(encoded(samples, 44100, subtype=subtype)), PARAMS)
    assert np.array_equal(samples_to_signal(samples, 44100, PARAMS), expected)


@pytest.mark.parametrize(
    ("samples", "rate_hz", "sentence"),
    [
        (np.zeros((2, 2, 2)), 16000, "shape"),
        (np.zeros(()), 16000, "shape"),
        (np.zeros(8000, np.int32), 16000, "int32"),
        (np.array(["a", "b"]), 16000, "expected"),
        (np.full(8000, np.inf), 16000, "not numbers"),
        (np.full(8000, 1e300), 16000, "not numbers"),
        (tone(), 10, "10 Hz"),
        (tone(), -16000, "-16000 Hz"),
        (np.zeros((0,), np.float32), 16000, "no samples"),
        (np.zeros((100, 0), np.float32), 16000, "0 channels"),
        (np.zeros(8000, np.int16), 16000, "silent"),
        (tone(channels=33), 16000, "33 channels"),
    ],
)
def test_bad_samples_in_memory_are_refused(samples, rate_hz, sentence):
    with pytest.raises(AudioError, match=sentence):
        samples_to_signal(samples, rate_hz, PARAMS)


# blocks


def test_blocks_are_equally_long_but_the_last():
    with open_recording(io.BytesIO(encoded(tone(seconds=2.3, rate_hz=48000), 48000)), PARAMS) as recording:
        assert [len(block) for block in recording.blocks(0.5)] == [8000] * 4 + [4800]


def test_blocks_are_on_the_16_bit_grid():
    signal = joined(io.BytesIO(encoded(tone(rate_hz=24414), 24414, "FLAC", "PCM_24")), 0.1)
    assert np.array_equal(to_float(to_int16(signal)), signal)


def long_file(path, seconds, rate_hz=16000, channels=1, silent=False, **form):
    block = np.zeros((rate_hz, channels), np.float32) if silent else tone(200, 1.0, rate_hz, channels)
    with soundfile.SoundFile(path, "w", rate_hz, channels, **form) as file:
        for _ in range(seconds):
            file.write(block)
    return path


@pytest.mark.parametrize("form", [{"format": "FLAC"}, {"format": "MP3"}, {"format": "OGG", "subtype": "VORBIS"}])
def test_long_files_take_no_more_memory_than_short_ones(form, tmp_path):
    path = long_file(tmp_path / "a", 120, 32000, **form)
    tracemalloc.start()
    with open_recording(path, PARAMS) as recording:
        heard = sum(len(block) for block in recording.blocks(10.0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert heard == pytest.approx(120 * 16000, abs=32000)
    assert peak < 12_000_000  # as float32 the file is 15 MB, and some more while it is resampled


# what is refused, and how


def test_missing_files_folders_and_other_things(tmp_path):
    assert refusal(tmp_path / "nowhere.wav").startswith(f"{tmp_path / 'nowhere.wav'}: no such file")
    assert "a folder, not a file" in refusal(tmp_path)
    assert "cannot be opened" in refusal(tmp_path / ("x" * 300))
    assert "cannot be opened" in refusal(Path("a\0b.wav"))
    assert "no such file" in refusal(tmp_path / "a.wav" / ".." / "b.wav")


@POSIX
def test_named_pipes_and_devices_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    assert "not a regular file" in refusal(tmp_path / "pipe.wav")
    assert "not a regular file" in refusal(Path("/dev/zero"))


@POSIX
def test_circular_links(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "a.wav")
    assert "cannot be opened" in refusal(tmp_path / "a.wav")


@POSIX
def test_files_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(tone()))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    assert "no permission to read it" in refusal(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty: 0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git-LFS pointer.*git lfs pull"),
        (b"<!doctype html><title>Not found</title>" * 20, "text, not audio"),
        (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1/secret\n", "text, not audio"),
        (b"RIFF\x00\x00", "no audio format that is known"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "no audio format that is known"),
        (bytes(1000), "no audio format that is known"),
        (encoded(np.zeros((0, 1))), "no samples"),
        (encoded(tone(seconds=0.01)), "too short: 0.01 s"),
        (encoded(np.zeros(8000)), "silent: peak below 0.0005"),
        (encoded(0.0004 * tone()), "silent"),
        (encoded(np.full(8000, np.nan), subtype="FLOAT"), "not numbers"),
        (encoded(np.where(np.arange(8000) == 7999, np.inf, 0.1), subtype="FLOAT"), "not numbers"),
        (encoded(np.full(8000, 20000.0), subtype="FLOAT"), "beyond 100 where full scale is 1.0"),
        (encoded(tone(seconds=2.0, rate_hz=500), 500), "500 Hz, from 1000 to 768000 Hz"),
        (encoded(tone(seconds=0.3, rate_hz=800000), 800000), "800000 Hz"),
        (encoded(tone(channels=33)), "33 channels, at most 32"),
    ],
)
def test_bad_content_is_refused_with_the_reason_and_the_way_out(content, sentence, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=f"^{path}: .*{sentence}"):
        load_clip(path, PARAMS)
    with pytest.raises(AudioError, match=sentence):
        load_clip(io.BytesIO(content), PARAMS)


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.7, 0.95])
def test_truncated_files_give_what_is_left_or_a_sentence(container, subtype, share):
    content = encoded(tone(seconds=3.0), container=container, subtype=subtype)
    try:
        signal = load_clip(io.BytesIO(content[: int(share * len(content))]), PARAMS)
    except AudioError as error:
        assert str(error)
    else:
        assert 3200 <= len(signal) <= 48000


def test_half_a_wav_is_half_the_audio():
    content = encoded(tone(seconds=3.0))
    assert len(load_clip(io.BytesIO(content[: len(content) // 2]), PARAMS)) == pytest.approx(24000, abs=50)


def test_large_files_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "a.wav"
    with open(path, "wb") as file:
        file.write(encoded(tone()))
        file.truncate(2**31 + 1)  # sparse
    start = time.monotonic()
    assert "too large: more than 2147483648 bytes" in refusal(path)
    assert time.monotonic() - start < 0.5


def test_small_files_of_hours_are_refused_by_what_they_declare(tmp_path):
    path = long_file(tmp_path / "a.flac", 20, 8000, silent=True, format="FLAC")
    content = bytearray(path.read_bytes())
    assert len(content) < 20_000
    at = content.index(b"fLaC") + 8 + 10  # STREAMINFO: rate (20 bits), channels (3), bits (5), samples (36)
    fields = int.from_bytes(content[at : at + 8], "big")
    content[at : at + 8] = ((fields >> 36 << 36) | 8000 * 3600 * 100).to_bytes(8, "big")
    assert "too long: more than 7200 s" in refusal(io.BytesIO(content))


def test_small_files_of_hours_are_refused_by_what_they_hold_too(tmp_path):
    path = long_file(tmp_path / "a.flac", 40, 8000, silent=True, format="FLAC")
    content = bytearray(path.read_bytes())
    at = content.index(b"fLaC") + 8 + 10
    fields = int.from_bytes(content[at : at + 8], "big")
    content[at : at + 8] = (fields >> 36 << 36).to_bytes(8, "big")  # 0: not known, as a stream has it
    with open_recording(io.BytesIO(content), PARAMS) as recording:
        assert recording.duration_s is None
    tracemalloc.start()
    assert "too long: more than 30 s" in refusal(io.BytesIO(content), max_duration_s=30.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_small_files_of_many_samples_are_refused_too():
    content = encoded(np.zeros((8000, 8)), container="FLAC")
    assert "too long: more than 60000 samples" in refusal(io.BytesIO(content), max_samples=60_000)


def test_a_file_that_vanishes_while_it_is_read_is_read_on(tmp_path):
    path = long_file(tmp_path / "a.wav", 60)
    with open_recording(path, PARAMS) as recording:
        path.unlink()
        assert sum(len(block) for block in recording.blocks()) == 60 * 16000


def test_a_disk_that_fails_is_a_sentence():
    class Failing(io.BytesIO):
        def read(self, count=-1):
            if self.tell() > 100_000:
                raise OSError(5, "Input/output error")
            return super().read(count)

    assert "cannot be read ([Errno 5] Input/output error)" in refusal(Failing(encoded(tone(seconds=10.0))))


def test_damage_within_the_file_shows_while_it_is_read():
    content = bytearray(encoded(np.random.default_rng(0).uniform(-0.5, 0.5, 160_000), container="FLAC"))
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    assert "undecodable: damaged inside" in refusal(io.BytesIO(content))


def test_names_in_sentences_fit_a_terminal():
    path = Path(os.fsdecode(b"/no/caf\xe9\n\x1b[31m.wav"))
    assert shown(path) == "/no/caf\ufffd\ufffd\ufffd[31m.wav"
    refusal(path).encode("utf-8")
    assert shown(Path("/data/ärger 1.wav")) == "/data/ärger 1.wav"


@POSIX
def test_files_with_names_that_are_not_utf_8_are_read(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.wav"))
    try:
        path.write_bytes(encoded(tone()))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert len(load_clip(path, PARAMS)) == 8000


def test_errors_of_the_block_name_the_file_as_well(tmp_path):
    (tmp_path / "a.wav").write_bytes(encoded(tone()))
    with pytest.raises(AudioError, match="a.wav: no voice in it"), open_recording(tmp_path / "a.wav", PARAMS):
        raise AudioError("no voice in it")


# ffmpeg, played by a script: what it is asked, what it answers, and what if it does not

M4A = b"\x00\x00\x00\x20ftypM4A \x00\x00\x02\x00isomiso2" + bytes(500)
PLAYER = """#!{python}
import os, struct, sys, time
source = sys.argv[sys.argv.index("-i") + 1].removeprefix("file:")
content = open(source, "rb").read()
mode = os.environ["FFMPEG_PLAYS"]
open(os.environ["FFMPEG_LOG"], "a").write(repr((os.getpid(), len(content), sys.argv[1:])) + "\\n")
out = sys.stdout.buffer
if mode == "nothing":
    sys.exit(1)
if mode == "hang":
    time.sleep(600)
out.write(struct.pack(">6I", 0x2E736E64, 32, 0xFFFFFFFF, 3, 48000, 2) + bytes(8))
second = open(os.environ["FFMPEG_SECOND"], "rb").read()
for _ in range(10**9 if mode == "endless" else 2):
    out.write(second)
    out.flush()
if mode == "stall":
    time.sleep(600)
if mode == "odd":
    out.write(b"x")
"""


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    if sys.platform == "win32":
        pytest.skip("POSIX scripts")
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(PLAYER.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "second").write_bytes(to_int16(tone(440, 1.0, 48000, 2)).astype(">i2").tobytes())
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr("ser.recording._PATIENCE_S", 0.3)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("FFMPEG_SECOND", str(tmp_path / "second"))
    monkeypatch.setenv("FFMPEG_LOG", str(tmp_path / "log"))

    def play(mode):
        monkeypatch.setenv("FFMPEG_PLAYS", mode)

    def started():
        return [ast.literal_eval(line) for line in (tmp_path / "log").read_text().splitlines()]

    play.started = started
    play("well")
    yield play
    assert not list(temporary.iterdir())
    for process_id, *_ in started() if (tmp_path / "log").exists() else []:
        with pytest.raises(ProcessLookupError):
            os.kill(process_id, 0)


@pytest.mark.parametrize("as_upload", [False, True])
def test_m4a_goes_through_ffmpeg(ffmpeg, as_upload, tmp_path):
    (tmp_path / "a.wav").write_bytes(M4A)
    source = io.BytesIO(M4A) if as_upload else tmp_path / "a.wav"
    with open_recording(source, PARAMS) as recording:
        assert (recording.sampling_rate_hz, recording.channels, recording.duration_s) == (48000, 2, None)
        signal = np.concatenate(list(recording.blocks()))
    samples = np.concatenate([to_float(to_int16(tone(440, 1.0, 48000, 2)))] * 2)
    expected = to_float(to_int16(soxr.resample(samples.mean(axis=1, dtype=np.float32), 48000, 16000, quality="VHQ")))
    assert np.array_equal(signal, expected)
    ((_, n_bytes, arguments),) = ffmpeg.started()
    assert n_bytes == len(M4A)
    assert arguments[arguments.index("-f") + 1] == "mov"  # never guessed by ffmpeg
    assert not any("a.wav" in argument for argument in arguments)


@pytest.mark.parametrize(
    ("head", "demuxer"), [(b"\x1aE\xdf\xa3", "matroska"), (b"#!AMR\n", "amr"), (b"\xff\xf1\x50\x80", "aac"), (M4A[:12], "mov")]
)
def test_the_demuxer_follows_from_the_first_bytes(ffmpeg, head, demuxer):
    assert len(load_clip(io.BytesIO(head + bytes(range(256)) * 4), PARAMS)) == 32000
    arguments = ffmpeg.started()[0][2]
    assert arguments[arguments.index("-f") + 1] == demuxer


@pytest.mark.parametrize(("mode", "sentence"), [("hang", "makes no headway"), ("nothing", "finds no audio in this m4a file")])
def test_an_ffmpeg_that_does_not_answer_is_given_up(ffmpeg, mode, sentence):
    ffmpeg(mode)
    assert sentence in refusal(io.BytesIO(M4A))


def test_an_ffmpeg_that_stalls_is_given_up(ffmpeg, monkeypatch):
    ffmpeg("stall")
    monkeypatch.setattr("ser.recording._PATIENCE_S", -1.7)  # less the two seconds that it has decoded
    with pytest.raises(AudioError, match="makes no headway"), open_recording(io.BytesIO(M4A), PARAMS):
        raise AssertionError("the header cannot have come in time")
    monkeypatch.setattr("ser.recording._PATIENCE_S", 0.3)
    start = time.monotonic()
    assert "makes no headway" in refusal(io.BytesIO(M4A))
    assert time.monotonic() - start < 5


def test_an_ffmpeg_that_never_ends_is_stopped_at_the_limit(ffmpeg):
    ffmpeg("endless")
    assert "too long: more than 20 s" in refusal(io.BytesIO(M4A), max_duration_s=20.0)


def test_a_reader_that_loses_interest_stops_ffmpeg(ffmpeg):
    ffmpeg("endless")
    with open_recording(io.BytesIO(M4A), PARAMS) as recording:
        next(recording.blocks(0.1))


def test_half_a_frame_at_the_end_is_left_out(ffmpeg):
    ffmpeg("odd")
    assert len(load_clip(io.BytesIO(M4A), PARAMS)) == 32000


def test_text_is_never_given_to_ffmpeg(ffmpeg):
    assert "text, not audio" in refusal(io.BytesIO(b"#EXTM3U\nfile:///etc/passwd\n"))
    assert "text, not audio" in refusal(io.BytesIO(b"ffconcat version 1.0\nfile /etc/passwd\n"))


@pytest.mark.parametrize(("content", "name"), [(M4A, "m4a"), (b"\x1aE\xdf\xa3" + bytes(200), "webm")])
def test_without_ffmpeg_the_sentence_says_how_to_get_it(content, name, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(io.BytesIO(content)).startswith(f"{name} needs ffmpeg, which is not installed: install it")


def test_limits_can_be_narrowed():
    content = encoded(tone(seconds=1.0, channels=2))
    assert "at most 1 are taken" in refusal(io.BytesIO(content), max_channels=1)
    assert "too long" in refusal(io.BytesIO(content), max_duration_s=0.9)
    assert "too large" in refusal(io.BytesIO(content), max_bytes=100)
    assert len(load_clip(io.BytesIO(content), replace(PARAMS, minimum_s=1.0))) == 16000
