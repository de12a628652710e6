"""What the ablation trains on beside the pipeline's features and labels: each made as its name says, and of nothing held out."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks import code_hashes, front_ends, pretrain, standardise, teach, train, votes
from ser.architectures import load_architecture
from ser.arrays import Arrays, write_arrays
from ser.audio import to_float, to_int16
from ser.contrastive import ContrastiveParams
from ser.emotions import CANONICAL
from ser.errors import SerError
from ser.features import Features
from ser.files import read_csv, write_csv
from ser.params import load_params
from ser.soft_targets import read_soft
from ser.transfer import take_over
from tests import tiny
from tests.pipeline import ROOT


@pytest.fixture
def run(monkeypatch):
    """A command of the benchmark, with paths and words for arguments."""

    def run(module, *arguments):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
        module.main()

    return run


CLIPS = pd.DataFrame({
    "id": ["crema_d/1001_A", "crema_d/1001_B", "crema_d/1001_C", "tess/1001_A", "crema_d/1001_D"],
    "corpus": ["crema_d", "crema_d", "crema_d", "tess", "crema_d"],
    "emotion": ["angry", "sad", "fear", "angry", "happy"],
})  # fmt: skip


@pytest.fixture
def listeners(tmp_path):
    def write(text):
        (tmp_path / "crema_d").mkdir(exist_ok=True)
        (tmp_path / "crema_d/summaryTable.csv").write_text(text)
        write_csv(tmp_path / "clips.csv", CLIPS)
        return tmp_path / "crema_d", tmp_path / "clips.csv", tmp_path / "votes.csv"

    return write


def test_votes_are_even_over_a_tie_and_clips_without_any_are_left_out(listeners, run):
    table = '"","FileName","VoiceVote","FaceVote"\n"1","1001_A","A","S"\n"2","1001_B","N:S","S"\n"3","1001_D","D:F:H","H"\n'
    paths = listeners(table + '"4","1001_Z","A","A"\n')
    run(votes, *paths)
    found = read_soft(paths[-1], CANONICAL)
    assert list(found) == ["crema_d/1001_A", "crema_d/1001_B", "crema_d/1001_D"], "and clips of other corpora"
    heard = {name: {CANONICAL[n]: float(share) for n, share in enumerate(values) if share} for name, values in found.items()}
    assert heard["crema_d/1001_A"] == {"angry": 1.0}
    assert heard["crema_d/1001_B"] == {"neutral": 0.5, "sad": 0.5}
    assert heard["crema_d/1001_D"] == pytest.approx({"happy": 1 / 3, "fear": 1 / 3, "disgust": 1 / 3}, abs=1e-6)


def test_a_clip_whose_vote_is_empty_is_left_out(listeners, run):
    paths = listeners("FileName,VoiceVote\n1001_A,\n1001_B,S\n")
    run(votes, *paths)
    assert list(read_soft(paths[-1], CANONICAL)) == ["crema_d/1001_B"]


def test_votes_without_their_table_end_in_one_sentence(listeners, run):
    paths = listeners("FileName,FaceVote\n1001_A,A\n")
    with pytest.raises(SerError, match=r"summaryTable.csv: no column 'VoiceVote'; take the file that comes with CREMA-D$"):
        run(votes, *paths)
    (paths[0] / "summaryTable.csv").unlink()
    with pytest.raises(SerError, match=r"crema_d/summaryTable.csv: no such file; it comes with CREMA-D, beside .*clips$"):
        run(votes, *paths)
    assert not paths[-1].exists()


def test_prosody_is_in_deviations_of_the_clean_clips_and_copies_by_the_same_numbers(tmp_path, run):
    random = np.random.default_rng(1)
    values = random.normal([5, -300, 1, 7], [2, 50, 0.01, 0], (40, 4)).astype(np.float32)
    values[3, 1] = values[4, :] = np.nan
    clean = [(f"c{n}", row[None]) for n, row in enumerate(values)]
    copies = [(f"c{n}#1", row[None] + 3) for n, row in enumerate(values[:5])]
    recipe = {"name": "Prosody", "fields": {"step_s": 0.01}}
    for name, items in (("clean", clean), ("copies", copies)):
        write_arrays(tmp_path / name, items, dtype="float32", recipe=recipe, columns="abcd")
    run(standardise, *(tmp_path / name for name in ("clean", "copies", "out/clean", "out/copies")))
    ours, theirs = Arrays(tmp_path / "out/clean"), Arrays(tmp_path / "out/copies")
    assert ours.ids == [name for name, _ in clean] and theirs.ids == [name for name, _ in copies]
    found = np.concatenate([ours[name] for name in ours.ids])
    assert np.array_equal(np.isnan(found), np.isnan(values))
    np.testing.assert_allclose(np.nanmean(found, axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.nanstd(found, axis=0), [1, 1, 1, 0], atol=1e-3)
    of_copies = np.concatenate([theirs[name] for name in theirs.ids])
    np.testing.assert_allclose((of_copies - found[:5])[0], 3 / np.array([*np.nanstd(values[:, :3], axis=0), 1]), rtol=1e-3)
    assert ours.recipe == theirs.recipe == {**recipe, "units": "deviations in its corpus", "columns": list("abcd")}


WINDOWS_S = (0.032, 0.016, 0.064)
RATE_HZ = tiny.RATE_HZ


def clicks():
    """Bursts at known frames, in a voice between two silences, one of which is longer than any window."""
    voice = tiny.speech(0.6) * 0.05
    random = np.random.default_rng(1)
    signal = np.concatenate([np.zeros(8000), voice, np.zeros(3000)])
    for frame in (40, 55, 62):
        signal[frame * 256 - 8 : frame * 256 + 8] += random.normal(0, 0.3, 16)
    return to_float(to_int16(signal))


def extracted(signal, n_mels=64, windows_s=WINDOWS_S):
    spectrograms = tuple(replace(tiny.spectrogram(), n_mels=n_mels, window_s=window_s) for window_s in windows_s)
    name, frames = front_ends.Extraction(spectrograms, {"clip": to_int16(signal)})("clip")
    assert name == "clip"
    return frames


def test_the_first_bands_are_the_pipelines_spectrogram():
    for signal in (clicks(), tiny.speech(0.2), tiny.speech(0.02)):
        expected = tiny.spectrogram()(signal)
        frames = extracted(signal)
        assert frames.shape == (len(expected), 3 * 64)
        np.testing.assert_array_equal(frames[:, :64], expected)
    np.testing.assert_array_equal(extracted(clicks(), windows_s=(0.032,)), tiny.spectrogram()(clicks()))
    assert extracted(clicks(), 80, (0.032,)).shape == (len(tiny.spectrogram()(clicks())), 80)


def test_frames_of_all_windows_are_of_the_same_moments():
    frames, first = extracted(clicks()), tiny.spectrogram().trimmed(clicks())[1]
    assert first > 20, "silence was cut"
    for n in range(3):
        level = frames[:, 64 * n : 64 * (n + 1)].mean(axis=1)
        for frame in (40, 55, 62):
            around = level[frame - first - 4 : frame - first + 5]
            assert around.argmax() == 4, f"window {n}, frame {frame}"
    spread = [(frames[:, 64 * n + 40] > frames[40 - first, 64 * n + 40] - 6).sum() for n in (1, 0, 2)]
    assert spread == sorted(spread) and spread[0] < spread[-1], "the longer the window, the longer a click"


def test_the_command_stores_the_front_end_of_that_name(tmp_path, run, monkeypatch):
    monkeypatch.setenv("SER_WORKERS", "1")
    monkeypatch.setenv("SER_PARAMS", str(tiny.PARAMS))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"front_ends": {"two": {"n_mels": 32, "windows_s": [0.032, 0.016]}}}))
    monkeypatch.setattr(front_ends, "PARAMS", tmp_path / "params.yaml")
    signals = {"a": clicks(), "b#1": tiny.speech(0.3)}
    recipe = {"sampling_rate_hz": RATE_HZ}
    write_arrays(tmp_path / "audio", ((name, to_int16(x)) for name, x in signals.items()), dtype="int16", recipe=recipe)
    run(front_ends, "two", tmp_path / "audio", tmp_path / "out")
    store = Arrays(tmp_path / "out")
    assert store.ids == ["a", "b#1"] and store.dtype == np.float16
    for name, signal in signals.items():
        np.testing.assert_array_equal(store[name], extracted(signal, 32, (0.032, 0.016)).astype(np.float16))
    assert store.recipe["columns"] == [f"{n}_mel_{band}" for n in (0, 1) for band in range(32)]
    assert [fields["window_s"] for fields in store.recipe["fields"]] == [0.032, 0.016]


def test_a_front_end_without_a_window_is_refused():
    with pytest.raises(ValueError, match="windows_s must name at least one"):
        front_ends.FrontEnd(64, ())


def test_a_teacher_answers_for_training_clips_alone(tmp_path, run, monkeypatch):
    rows = [(f"iesc/{n}", "iesc", split) for n, split in enumerate(["train", "test", "train", "validation", "pool", "train"])]
    write_csv(tmp_path / "fold.csv", pd.DataFrame(rows, columns=["id", "corpus", "split"]).assign(emotion="sad", speaker="s"))
    (tmp_path / "features/prosody/clean/iesc").mkdir(parents=True)
    (tmp_path / "hybrid").mkdir()
    (tmp_path / "hybrid/model.json").write_text('{"inputs": {"prosody": {}}}')
    answers = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    asked = []

    class Teacher:
        description = {"emotions": ["neutral", "happy", "sad"]}

        def __init__(self, model_dir, features_dir):
            assert model_dir == tmp_path / "hybrid" and [path.name for path in features_dir.iterdir()] == ["prosody"]

        def probabilities(self, clips):
            asked.extend(clip.id for clip in clips)
            return answers

    monkeypatch.setattr(teach, "Scorer", Teacher)
    run(teach, *(tmp_path / name for name in ("hybrid", "fold.csv", "features", "soft.csv")))
    assert asked == ["iesc/0", "iesc/2", "iesc/5"]
    found = read_soft(tmp_path / "soft.csv", ("neutral", "happy", "sad"))
    assert list(found) == asked
    softened = np.sqrt(answers)
    np.testing.assert_allclose(np.stack(list(found.values())), softened / softened.sum(axis=1, keepdims=True), atol=0.002)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A few files that import one another, and some that nobody does."""
    files = {
        "benchmarks/train.py": "import numpy\nfrom ser.a import f\nfrom stages.running import run\n",
        "ser/a.py": "def f():\n    from ser import b\n    import ser.deep.c as c\n",
        "ser/b.py": "import ser.a\nfrom ser.deep import nothing\n",
        "ser/deep/c.py": '"""No import."""\n',
        "ser/models/cnn.py": "from ser.layers import Dense\n",
        "ser/layers.py": "import os\n",
        "stages/running.py": "",
        "ser/models/gru.py": "from ser.unheard import x\n",
        "ser/unheard.py": "",
        "benchmarks/other.py": "import ser.unheard\n",
        "numpy.py": "",
    } | {f"{folder}/__init__.py": "" for folder in ("ser", "ser/deep", "ser/models", "stages", "benchmarks")}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


IMPORTED = [
    "benchmarks/train.py",
    "ser/a.py",
    "ser/b.py",
    "ser/deep/c.py",
    "ser/layers.py",
    "ser/models/cnn.py",
    "stages/running.py",
]


def test_the_code_listed_is_what_is_imported_and_nothing_else(project, run):
    run(code_hashes, "cnn", "out/cnn.csv")
    assert list(read_csv(project / "out/cnn.csv")["path"]) == IMPORTED
    run(code_hashes, "gru", "out/gru.csv")
    others = {"ser/models/gru.py", "ser/unheard.py"}
    assert set(read_csv(project / "out/gru.csv")["path"]) == set(IMPORTED) - {"ser/models/cnn.py", "ser/layers.py"} | others


def test_the_hashes_change_with_an_imported_file_and_with_no_other(project, run):
    def hashes():
        run(code_hashes, "cnn", "out.csv")
        return (project / "out.csv").read_bytes()

    before = hashes()
    for name in ("ser/unheard.py", "ser/models/gru.py", "numpy.py"):
        (project / name).write_text("changed = 1\n")
        assert hashes() == before
    for name in IMPORTED:
        text = (project / name).read_text()
        (project / name).write_text(text + "# changed\n")
        assert hashes() != before, name
        (project / name).write_text(text)
    assert hashes() == before
    (project / "ser/layers.py").write_text("import ser.unheard\n")
    run(code_hashes, "cnn", "out.csv")
    assert "ser/unheard.py" in set(read_csv(project / "out.csv")["path"])


def test_our_own_files_need_no_import_that_is_not_followed():
    """Relative imports are not, nor are names that an __init__ holds."""
    for package in ("ser", "stages", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            assert "\nfrom ." not in text and "    from ." not in text, path
            if path.name == "__init__.py":
                assert "import" not in text and "=" not in text, path


CNN = {"stem_filters": 2, "filters": [2], "attention_units": 2, "embedding": 4, "dropout": 0.1}
LEARNING = {
    "seed": 1, "epochs": 2, "learning_rate": 0.01, "weight_decay": 0.0, "clips_a_batch": 2, "projection": 3, "temperature": 0.1,
}  # fmt: skip


@pytest.fixture
def pretrained(tmp_path, run, monkeypatch):
    """A folder that the command wrote without RAVDESS, what it read and what it asked to be learned."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["models"]["cnn"]["architecture"] |= CNN
    params["models"]["cnn"]["batches"]["n_frames"] = 16
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"pretrain": LEARNING}))
    monkeypatch.setenv("SER_PARAMS", str(tmp_path / "params.yaml"))
    monkeypatch.setattr(pretrain, "PARAMS", tmp_path / "own.yaml")
    random, rows = np.random.default_rng(1), []
    for corpus, level in (("ravdess", 1e6), ("tess", -40), ("iesc", -30)):
        names = [f"{corpus}/{n}" for n in range(3)]
        rows += [(name, corpus, "sad") for name in names]
        frames = ((name, random.normal(level, 5, (10, 8))) for name in names)
        write_arrays(tmp_path / "features/spectrogram/clean" / corpus, frames, dtype="float32", recipe={})
    write_csv(tmp_path / "clips.csv", pd.DataFrame(rows, columns=["id", "corpus", "emotion"]))
    found = SimpleNamespace(read=set(), folder=tmp_path / "out/cnn")
    get = Features.get
    monkeypatch.setattr(Features, "get", lambda self, kind, clip: (found.read.add(clip.id), get(self, kind, clip))[1])

    def learn(model, clips, features, batches, params):
        found.clips, found.batches, found.params = clips, batches, params
        found.statistics = [np.array(weight) for weight in model.get_layer("standardise_spectrogram").get_weights()]
        model.set_weights([random.random(weight.shape) for weight in model.get_weights()])
        found.weights = model.get_weights()

    monkeypatch.setattr(pretrain, "learn_views", learn)
    run(pretrain, "ravdess", tmp_path / "clips.csv", tmp_path / "features", found.folder)
    return found


def test_no_clip_of_the_corpus_left_out_is_heard(pretrained):
    others = [f"{corpus}/{n}" for corpus in ("tess", "iesc") for n in range(3)]
    assert [clip.id for clip in pretrained.clips] == others and pretrained.read == set(others)
    assert pretrained.params == ContrastiveParams(**LEARNING) and pretrained.batches.n_frames == 16
    mean, deviation = pretrained.statistics
    assert np.abs(mean).max() < 10, "level-free, and without the corpus that is far too loud"
    assert (3 < deviation).all() and (deviation < 8).all()


def test_what_learned_without_labels_is_a_start_for_any_emotions(pretrained, monkeypatch):
    cnn = load_architecture("cnn")
    sizes = load_params("models.cnn.architecture", cnn.Params)
    keras.utils.set_random_seed(5)
    model = cnn.build({"spectrogram": (16, 8)}, 4, sizes)
    before = [np.array(weight) for weight in model.get_layer("emotion").get_weights()]
    take_over(model, ("neutral", "happy", "sad", "angry"), pretrained.folder)
    now = [weight for layer in model.layers if layer.name != "emotion" for weight in layer.get_weights()]
    assert len(now) == len(pretrained.weights) - 2
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(now, pretrained.weights, strict=False))
    assert all(np.array_equal(ours, own) for ours, own in zip(model.get_layer("emotion").get_weights(), before, strict=True))
    assert json.loads((pretrained.folder / "model.json").read_text()) == {"model": "cnn", "emotions": []}
    assert sorted(path.name for path in pretrained.folder.iterdir()) == ["model.json", "model.keras"]


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """`benchmarks.train` with nothing in the place of training and answering; gives what each was called with."""
    monkeypatch.chdir(ROOT)
    own = {"pool": False, "clean": "own_units", "copies": "four_copies", "views": 3, "batches": {"soft_share": 0.5}}
    recipes = {"plain": {"prosody": {"pool": False}}, "own": {"prosody": own}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"enrolment": {"clips": 2, "seed": 1}, "recipes": recipes}))
    monkeypatch.setattr(train, "PARAMS", tmp_path / "params.yaml")
    called = SimpleNamespace()

    def train_fold(model, architecture, recipe, fold_csv, stores, start, out, resume, *, soft, clips):
        called.training = {"stores": stores, "soft": soft, "clips": clips, "recipe": recipe}
        return {"took_s": 1.0, "train_utterances_a_s": 1.0}

    def answer_fold(model_dir, fold_csv, stores, enrolment, *, choose, views):
        called.answering = {"stores": stores, "views": views}
        return pd.DataFrame({"id": ["a"]}), 1.0

    monkeypatch.setattr(train, "train_fold", train_fold)
    monkeypatch.setattr(train, "answer_fold", answer_fold)
    monkeypatch.setattr(train, "load_description", lambda folder: {"n_parameters": 1, "validation": {"epoch": 1}})
    return called


def paths_of_a_training(tmp_path):
    names = ("folds/iesc_1.csv", "clean", "copies", "start", "trained", "predictions", "resume")
    return [tmp_path / name for name in names]


def test_a_recipe_reads_its_variants_of_the_features_and_hears_its_views(tmp_path, run, trained):
    paths = paths_of_a_training(tmp_path)
    run(train, "prosody", "plain", 4, *paths)
    assert trained.training["stores"] == trained.answering["stores"] == ([tmp_path / "clean"], [tmp_path / "copies"])
    assert trained.answering["views"].n == 0 and trained.training["soft"] is None and trained.training["clips"] is None
    with pytest.raises(SerError, match="own_units: no such folder of features"):  # in place of the pipeline's, unseen
        run(train, "prosody", "own", 4, *paths, "--variants", tmp_path / "variants")
    for name in ("own_units", "four_copies"):
        (tmp_path / "variants" / name).mkdir(parents=True)
    run(train, "prosody", "own", 4, *paths, "--variants", tmp_path / "variants", "--clips", tmp_path / "clips.csv")
    own, four = tmp_path / "variants/own_units", tmp_path / "variants/four_copies"
    own = ([own, tmp_path / "clean"], [four, tmp_path / "copies"])
    assert trained.training["stores"] == trained.answering["stores"] == own
    assert trained.training["clips"] == tmp_path / "clips.csv"
    views = trained.answering["views"]
    assert views.n == 3 and views.seed == 4 and views.batches == trained.training["recipe"].batches


def test_soft_targets_are_one_table_or_that_of_the_fold_in_a_folder(tmp_path, run, trained):
    paths = paths_of_a_training(tmp_path)
    for name in ("taught", "own_units", "four_copies"):
        (tmp_path / name).mkdir()
    run(train, "prosody", "own", 1, *paths, "--variants", tmp_path, "--soft", tmp_path / "taught")
    assert trained.training["soft"] == tmp_path / "taught/iesc_1.csv"
    run(train, "prosody", "own", 1, *paths, "--variants", tmp_path, "--soft", tmp_path / "votes.csv")
    assert trained.training["soft"] == tmp_path / "votes.csv"
