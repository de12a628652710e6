import hashlib
from pathlib import Path

import numpy as np
import parselmouth
import pytest
import soundfile

from ser.audio import AudioParams, decode
from ser.collecting import hear
from ser.corpus import Utterance, load_corpus
from ser.demo import PLANTED, DemoError, DemoParams, clips_of, make_demo, synthesise
from ser.demo_voice import RATE_HZ, STYLES, _resonators, make_speaker, seeded, speak, style_of
from ser.emotions import CANONICAL
from ser.sources import DEMO_CORPORA

SMALL = DemoParams(
    seed=2026,
    speakers={"ravdess": 4, "crema_d": 4, "emodb": 4, "iesc": 4},
    takes={"ravdess": 1, "crema_d": 1, "tess": 1, "emodb": 1, "iesc": 1},
    strength=1.0,
    variation=1.0,
)
AUDIO = AudioParams(sampling_rate_hz=16_000, minimum_s=0.2, silence_peak=0.0005)
SIX = ("neutral", "happy", "sad", "angry", "fear", "disgust")


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    root = tmp_path_factory.mktemp("demo")
    for corpus in DEMO_CORPORA:
        make_demo(corpus, root / corpus, SMALL)
    return root


@pytest.fixture(scope="module")
def voices():
    """{emotion: features of eight speakers, twice each}, as (n_speakers, n_takes, n_features)."""
    return {emotion: np.array([[measured(said(n, emotion, take)) for take in (0, 1)] for n in range(8)]) for emotion in SIX}


def said(speaker_number: int, emotion: str, take: int) -> np.ndarray:
    speaker = make_speaker(f"voice {speaker_number}", "male" if speaker_number % 2 else "female", seed=1)
    rng = seeded(1, speaker.name, emotion, take)
    style = style_of(speaker, emotion, rng, strength=1.0, variation=1.0, seed=1)
    return speak(speaker, f"text {take}", style, rng, n_syllables=6, sung=False)


def measured(signal: np.ndarray) -> list[float]:
    """Pitch in semitones: mean, spread, slope, end; voiced share, energy in dB, high-band balance in dB, duration."""
    sound = parselmouth.Sound(signal.astype(float), RATE_HZ)
    pitch_hz = sound.to_pitch_ac(pitch_floor=65, pitch_ceiling=600).selected_array["frequency"]
    tones = 12 * np.log2(pitch_hz[pitch_hz > 0] / 100)
    power = np.abs(np.fft.rfft(signal)) ** 2
    hz = np.fft.rfftfreq(len(signal), 1 / RATE_HZ)
    return [
        tones.mean(),
        tones.std(),
        np.polyfit(np.linspace(-0.5, 0.5, len(tones)), tones, 1)[0],
        tones[-8:].mean() - tones.mean(),
        (pitch_hz > 0).mean(),
        10 * np.log10(np.square(signal).mean()),
        10 * np.log10(power[(hz > 1000) & (hz < 5000)].sum() / power[hz < 1000].sum()),
        len(signal) / RATE_HZ,
    ]


def test_same_bytes_on_every_run_and_no_rest_of_the_old_folder(tmp_path, demo):
    for corpus in ("tess", "iesc"):
        (tmp_path / corpus).mkdir()
        (tmp_path / corpus / "old.wav").write_text("left over")
        make_demo(corpus, tmp_path / corpus, SMALL)
        assert hashes(tmp_path / corpus) == hashes(demo / corpus)


def test_another_seed_is_another_voice():
    clip = clips_of("tess", SMALL)[0]
    other = DemoParams(7, SMALL.speakers, SMALL.takes, 1.0, 1.0)
    assert not np.array_equal(synthesise("tess", clip, SMALL), synthesise("tess", clip, other))


def test_more_speakers_leave_the_clips_of_the_others_alone():
    more = DemoParams(2026, SMALL.speakers | {"emodb": 6}, SMALL.takes | {"emodb": 2}, 1.0, 1.0)
    clip = clips_of("emodb", SMALL)[-1]
    assert clip in clips_of("emodb", more)
    assert np.array_equal(synthesise("emodb", clip, SMALL), synthesise("emodb", clip, more))


@pytest.mark.parametrize(
    ("path", "rate_hz", "channels", "container"),
    [
        ("ravdess/Actor_01/03-01-01-01-01-01-01.wav", 48_000, 1, "WAV"),
        ("ravdess/Actor_01/03-02-03-01-01-01-01.wav", 48_000, 1, "WAV"),
        ("ravdess/Actor_01/03-01-02-01-01-01-01.wav", 48_000, 2, "WAV"),
        ("crema_d/AudioWAV/1001_DFA_ANG_XX.wav", 16_000, 1, "WAV"),
        ("crema_d/AudioWAV/1001_DFA_ANG_XX.flac", 16_000, 1, "FLAC"),
        ("tess/OAF_angry/OAF_back_angry.wav", 24_414, 1, "WAV"),
        ("tess/YAF_pleasant_surprised/YAF_back_ps.wav", 24_414, 1, "WAV"),
        ("tess/YAF_angry/YAF_germ_angry.wav", 24_414, 1, "AIFF"),
        ("tess/OAF_Fear/OAF_food_fear.wav", 96_000, 1, "WAV"),
        ("emodb/wav/03a01Fa.wav", 16_000, 1, "WAV"),
        ("iesc/Speaker-1/Anger/A-1-1-1.wav", 32_000, 1, "WAV"),
        ("iesc/Speaker-3/Sad/S-1-3-1.wav", 44_100, 2, "WAV"),
        ("iesc/Speaker-1/Happy/H-10-1-9.mp3", 32_000, 1, "MP3"),
    ],
)
def test_files_have_the_format_of_the_release(demo, path, rate_hz, channels, container):
    info = soundfile.info(demo / path)
    assert (info.samplerate, info.channels, info.format) == (rate_hz, channels, container)


@pytest.mark.parametrize("corpus", DEMO_CORPORA)
def test_every_sound_clip_is_known_and_usable(demo, corpus):
    reader = load_corpus(corpus)
    odd = {path for path, _ in PLANTED[corpus]}
    for clip in clips_of(corpus, SMALL):
        name = reader.parse(clip.path)
        assert name.recorded_emotion == clip.emotion
        assert name.sex in {clip.sex, "unknown"}
        heard = hear(demo / corpus / clip.path, AUDIO)
        assert heard.rejected == ""
        assert 0.7 < heard.duration_s < 4
        assert np.abs(heard.samples).max() > 160 or clip.path in odd
    assert "synthetic" in (demo / corpus / "SYNTHETIC.txt").read_text().lower()


@pytest.mark.parametrize("corpus", DEMO_CORPORA)
def test_each_planted_fault_is_there(demo, corpus):
    reader = load_corpus(corpus)
    paths = {clip.path for clip in clips_of(corpus, SMALL)} | {path for path, reason in PLANTED[corpus] if not reason}
    seen = {}
    for path in paths:
        seen.setdefault(decode(demo / corpus / path).sha256, set()).add(path)
    for path, reason in PLANTED[corpus]:
        file = demo / corpus / path
        assert file.is_file(), path
        known = isinstance(reader.read(path), Utterance)
        assert known == (reason != "unknown name"), path
        heard = hear(file, AUDIO)
        if reason in ("", "duplicate", "two labels", "unknown name"):
            assert heard.rejected == "", path
        else:
            assert reason in heard.rejected, path
        if reason == "duplicate":
            assert seen[heard.audio_sha256] - {path}, path  # the path itself may be one of the clips
        if reason == "two labels":
            seen.setdefault(heard.audio_sha256, set()).add(path)
    if corpus == "crema_d":
        assert any(len(paths) == 2 and all("_TIE_" in path for path in paths) for paths in seen.values())


def test_lossless_copy_in_another_container_is_the_same_audio(demo):
    folder = demo / "crema_d/AudioWAV"
    assert decode(folder / "1001_DFA_ANG_XX.flac").sha256 == decode(folder / "1001_DFA_ANG_XX.wav").sha256


def test_corpora_and_emotions_agree_with_the_rest_of_the_project():
    assert set(PLANTED) == set(DEMO_CORPORA)
    assert set(STYLES) == set(CANONICAL)


def test_no_demo_of_an_unknown_corpus(tmp_path):
    with pytest.raises(DemoError, match="no demo of corpus 'savee'"):
        make_demo("savee", tmp_path / "savee", SMALL)
    assert not list(tmp_path.iterdir())


def test_too_few_speakers_are_refused():
    with pytest.raises(ValueError, match="speakers.iesc must lie between 4 and 8"):
        DemoParams(1, SMALL.speakers | {"iesc": 2}, SMALL.takes, 1.0, 1.0)


def test_resonators_stand_at_the_formants():
    formants_hz = np.array([[500.0, 1500, 2500, 3500, 4500]])
    roots = np.roots(_resonators(formants_hz)[0])
    found = np.sort(np.angle(roots[roots.imag > 0])) * RATE_HZ / (2 * np.pi)
    assert found == pytest.approx(formants_hz[0], abs=0.1)


def test_voice_is_in_a_human_range(voices):
    for rows in voices.values():
        pitch_st, _, _, _, voiced, *_ = rows.mean(axis=(0, 1))
        assert 0 < pitch_st < 24  # 100 to 400 Hz
        assert 0.5 < voiced < 0.9


@pytest.mark.parametrize("emotion", ["neutral", "sad", "angry"])
def test_voice_is_neither_a_buzzer_nor_a_whisper(emotion):
    sound = parselmouth.Sound(said(0, emotion, 0).astype(float), RATE_HZ)
    hnr_db = sound.to_harmonicity_cc(time_step=0.02, minimum_pitch=75).values
    assert 5 < hnr_db[hnr_db > -100].mean() < 20


def test_pitch_energy_and_tempo_follow_the_table(voices):
    pitch, spread, _, _, _, energy, bright, seconds = np.array([voices[name].mean(axis=(0, 1)) for name in SIX]).T
    at = {name: n for n, name in enumerate(SIX)}
    for high in ("angry", "happy", "fear"):
        assert pitch[at[high]] > pitch[at["neutral"]] > pitch[at["sad"]]
        assert seconds[at[high]] < seconds[at["sad"]]
    for loud in ("angry", "happy"):
        assert energy[at[loud]] > energy[at["neutral"]] > energy[at["sad"]]
        assert bright[at[loud]] > bright[at["sad"]]
        assert spread[at[loud]] > spread[at["neutral"]]


def test_unheard_speakers_are_recognised_well_above_chance_but_not_perfectly(voices):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    stacked = np.stack([voices[name] for name in SIX])  # (emotions, speakers, takes, features)
    n_emotions, n_speakers, n_takes, _ = stacked.shape
    labels = np.repeat(np.arange(n_emotions), n_takes * (n_speakers - 1))
    recalls = []
    for out in range(n_speakers):
        train = np.delete(stacked, out, axis=1).reshape(len(labels), -1)
        model = LinearDiscriminantAnalysis().fit(train, labels)
        guessed = model.predict(stacked[:, out].reshape(n_emotions * n_takes, -1)).reshape(n_emotions, n_takes)
        recalls.append((guessed == np.arange(n_emotions)[:, np.newaxis]).mean())
    assert 0.55 < np.mean(recalls) < 0.95
