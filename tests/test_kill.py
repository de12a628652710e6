"""SIGKILL at any moment: the next `dvc repro` ends with the same bytes as an undisturbed run of another fresh copy."""

import os
import signal
from contextlib import closing

import psutil
import pytest
import yaml

from tests.conftest import TINY, raw_corpora
from tests.pipeline import Project, ran

pytestmark = pytest.mark.slow


def exists(pattern):
    """A file of that pattern is there: the stage is in the middle of its work."""
    return lambda project, text: any(project.folder.glob(pattern))


def says(words):
    return lambda project, text: words in text


# The stages to kill in, and the sign that each is half-way. DVC's order differs from run to run.
KILLS = {
    "collect@emodb": exists("data/audio/clean/.emodb*"),
    "unify": says("Updating lock file 'dvc.lock'"),  # DVC itself, between two stages
    "augment@emodb": exists("data/audio/augmented/.emodb.part"),
    "spectrogram@emodb-clean": exists("data/features/spectrogram/clean/.emodb.part"),
    "prosody@emodb-clean": exists("data/features/prosody/clean/.emodb.part"),
    "train@cnn": says("cnn epoch 3/12"),
    "evaluate@cnn": exists("metrics/plots/cnn"),  # the first of its three outputs
    "bundle@cnn": exists("models/.cnn.part"),
    "track": exists("mlruns/*/*/artifacts/*"),
}


def under_way(text):
    """The last stage that began, and what was said since."""
    stage, _, after = text.rpartition("Running stage '")[2].partition("'")
    return stage, after


def lose_the_lock(project):
    """DVC writes dvc.lock in place, so it may be left half written; then DVC says so, and the file is to be deleted.

    What follows shows that nothing is lost by that: finished stages come back from the run cache without running.
    """
    lock = project.folder / "dvc.lock"
    lock.write_text(lock.read_text()[: lock.stat().st_size // 2])
    refused = project.run("dvc", "repro", "track", check=False)
    assert refused.returncode != 0 and "dvc.lock" in refused.stdout
    lock.unlink()


def test_a_pipeline_killed_in_every_kind_of_stage_ends_as_an_undisturbed_one(undisturbed, tmp_path):
    project = Project.fresh(tmp_path / "ser", TINY)
    raw_corpora(project.folder / "data/raw", "emodb", "tess")
    project.environment["SER_WORKERS"] = "1"  # and the number of processes does not matter
    killed, texts, finished = [], [], set()
    while len(killed) < len(KILLS):
        waiting = KILLS.keys() - set(killed)
        with closing(project.start("dvc", "repro", "track")) as running:

            def half_way(running=running, waiting=waiting):
                stage, after = under_way(running.text)
                return stage in waiting and KILLS[stage](project, after)

            assert running.wait_until(half_way), f"{waiting} over before they could be killed:\n{running.text[-3000:]}"
            running.kill()
        text = running.text
        stage, _ = under_way(text)
        assert stage in waiting
        assert not ran(text) & finished, "what was done before the last kill is not done again"
        finished |= ran(text) - {stage}
        killed.append(stage)
        texts.append(text)
        if stage == "unify":
            lose_the_lock(project)

    last = project.repro("track")
    assert "track" in ran(last)
    resumed = "".join([*texts[killed.index("train@cnn") + 1 :], last])  # other stages may come before it, and be killed
    assert "going on after epoch" in resumed and "cnn epoch 12/12" in resumed
    assert project.outputs() == undisturbed.outputs()
    locks = [yaml.safe_load((copy.folder / "dvc.lock").read_text()) for copy in (project, undisturbed)]
    assert locks[0] == locks[1]
    networks = [(copy.folder / "models/cnn/model.keras").read_bytes() for copy in (project, undisturbed)]
    assert networks[0] == networks[1]
    assert project.mlflow_runs() == undisturbed.mlflow_runs() == {"parents": 1, "children": 3, "others": 0}
    left = [path for name in ("data", "models", "metrics") for path in (project.folder / name).rglob(".*")]
    assert [path for path in left if path.name.endswith((".part", ".spool"))] == []
    assert not (project.folder / "data/unfinished/cnn").exists()
    assert "up to date" in project.repro("track")


def test_a_killed_worker_is_one_sentence_and_leaves_nothing(undisturbed, tmp_path):
    out = tmp_path / "out" / "emodb"
    with closing(undisturbed.start("python", "-m", "stages.prosody", "data/audio/clean/emodb", str(out))) as running:

        def workers():
            children = psutil.Process(running.process.pid).children(recursive=True)
            begun = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
            return [child for child in begun if child.cpu_times().user > 0.3]  # at work, not just starting

        assert running.wait_until(lambda: running.process.poll() is None and bool(workers()))
        os.kill(workers()[0].pid, signal.SIGKILL)
        assert running.process.wait(timeout=120) == 1
    (sentence,) = [line for line in running.text.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert "a worker process died" in sentence and "dvc repro" in sentence and "SER_WORKERS=1" in sentence
    assert "Traceback" not in running.text
    assert list(out.parent.iterdir()) == []
