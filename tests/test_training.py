"""Training: it learns, keeps its best epoch, and a killed one ends with the same bits as one left alone."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from ser.arrays import write_arrays
from ser.batches import Batches, BatchParams
from ser.features import Features
from ser.heads import make_heads
from ser.models.prosody import Params, build
from ser.trained import load_model, save_model
from ser.training import TrainParams, Validation, fit, forget, rate_after_plateaus, schedule

EMOTIONS = ("neutral", "happy", "sad")
KINDS = ("prosody", "speaker")
BATCHES = BatchParams(
    batch_size=8, n_frames=1, augmented_share=0.0, corpus_balance=0.5, emotion_balance=1.0, minimum_tempo=1.0, maximum_tempo=1.0,
    gain_db=0.0, tilt_db=0.0, band_shift=0.0, time_masks=0, maximum_time_mask=0, band_masks=0, maximum_band_mask=0,
    mixup=0.3, noise=0.1, column_dropout=0.1, known_share=0.5, minimum_enrolled_clips=1, maximum_enrolled_clips=3,
)  # fmt: skip


def settings(**changed):
    standard = {
        "seed": 1, "epochs": 4, "patience": 9, "learning_rate": 0.02, "weight_decay": 0.01, "warmup_share": 0.1,
        "label_smoothing": 0.1, "average": 0.9, "precision": "float32",
    }  # fmt: skip
    return TrainParams(**{**standard, **changed})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Emotions that differ in three columns; even clips are for training, odd ones for validation."""
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(1)
    rows = pd.DataFrame({"id": [f"c{n}" for n in range(60)], "corpus": "emodb", "speaker": [f"s{n % 4}" for n in range(60)]})
    rows["emotion"] = [EMOTIONS[n // 2 % 3] for n in range(60)]
    columns = [(f"c{n}", np.eye(3)[[n // 2 % 3]] * 3 + random.normal(0, 0.5, (1, 3))) for n in range(60)]
    write_arrays(folder / "prosody/clean/emodb", columns, dtype="float32", recipe={})
    write_arrays(folder / "prosody/augmented/emodb", [], dtype="float32", recipe={})
    return rows[::2].reset_index(drop=True), rows[1::2].reset_index(drop=True), Features(folder)


def new_model():
    return build({"prosody": (3,), "speaker": (3,)}, 3, Params(units=(8,), dropout=0.3))


@pytest.fixture(scope="module")
def train(corpus):
    """Train from scratch, or from the state file given, as a new process would."""
    all_rows, validation_rows, features = corpus

    def run(resume, params=None, report=lambda epoch, values: None, validation=None, batches=BATCHES, rows=all_rows):
        params = params or settings()
        keras.utils.set_random_seed(params.seed)
        model = new_model()
        heads = make_heads(rows, params.heads)
        batches = Batches(rows, features, KINDS, EMOTIONS, batches, params.seed, heads=heads)
        batches.deviation = np.ones(3, np.float32)
        validation = validation or Validation(validation_rows, features, KINDS, EMOTIONS, 1)
        return model, fit(model, batches, validation, params, resume, report, heads)

    return run


@pytest.fixture(scope="module")
def undisturbed(train, tmp_path_factory):
    return train(tmp_path_factory.mktemp("resume") / "a.npz")


class Scripted:
    """Validation whose scores are given, and which keeps the weights it was shown."""

    def __init__(self, *scores):
        self.rows, self.scores, self.shown = scores, scores, []

    def score(self, model):
        self.model = model
        self.shown.append(model.get_weights())
        return {"validation_uar": self.scores[len(self.shown) - 1]}


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_what_can_be_told_apart_is_learned(train, tmp_path):
    _, history = train(tmp_path / "a.npz", settings(epochs=25, patience=25))
    assert [row["epoch"] for row in history] == list(range(1, 26))
    assert set(history[0]) == {"epoch", "loss", "learning_rate", "validation_loss", "validation_uar"}
    assert history[-1]["loss"] < history[0]["loss"]
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    assert history[-1]["validation_uar"] > 0.9
    assert history[2]["learning_rate"] > history[-1]["learning_rate"] > 0


class Killed(BaseException):
    pass


@pytest.mark.parametrize("epoch", [2, 4])
def test_a_killed_training_goes_on_to_the_same_bits(train, undisturbed, tmp_path, epoch, monkeypatch):
    def kill(number, values):
        if number == epoch:
            raise Killed

    resume, reported, asked = tmp_path / "cnn/a.npz", [], []
    with pytest.raises(Killed):
        train(resume, report=kill)
    assert [path.name for path in resume.parent.iterdir()] == ["a.npz"]
    epochs = Batches.epoch
    monkeypatch.setattr(Batches, "epoch", lambda self, number: asked.append(number) or epochs(self, number))
    model, history = train(resume, report=lambda number, values: reported.append((number, values)))
    whole, expected = undisturbed
    assert asked == list(range(epoch + 1, 5)), "done epochs are not trained again"
    assert history == expected
    assert equal(model.get_weights(), whole.get_weights())
    assert reported == [(row["epoch"], row) for row in expected]


def test_a_training_killed_amid_an_epoch_repeats_that_epoch(train, undisturbed, tmp_path, monkeypatch):
    steps = []

    def die_at_the_eighth_step(self, inputs, targets, **how):
        steps.append(1)
        if len(steps) == 8:  # the second of the third epoch
            raise Killed
        return original(self, inputs, targets, **how)

    original = keras.Model.train_on_batch
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(keras.Model, "train_on_batch", die_at_the_eighth_step)
        train(tmp_path / "a.npz")
    model, history = train(tmp_path / "a.npz")
    assert history == undisturbed[1]
    assert equal(model.get_weights(), undisturbed[0].get_weights())


def test_the_best_epoch_is_kept_averaged_and_a_tie_goes_to_the_later(train, tmp_path):
    validation, own = Scripted(0.2, 0.8, 0.8, 0.5), []
    model, history = train(tmp_path / "a.npz", settings(), lambda *_: own.append(validation.model.get_weights()), validation)
    assert [row["validation_uar"] for row in history] == [0.2, 0.8, 0.8, 0.5]
    assert equal(model.get_weights(), validation.shown[2])
    assert not equal(validation.shown[1], validation.shown[2])
    assert not equal(own[2], validation.shown[2]), "the average is judged, while the weights themselves go on learning"


def test_patience_ends_it(train, tmp_path):
    validation = Scripted(0.5, 0.9, 0.1, 0.1, 0.1, 0.1)
    _, history = train(tmp_path / "a.npz", settings(epochs=6, patience=2), validation=validation)
    assert len(history) == 4


def test_without_validation_the_last_epoch_is_kept(train, corpus, tmp_path):
    nobody = Validation(corpus[1][:0], corpus[2], KINDS, EMOTIONS, 1)
    model, history = train(tmp_path / "a.npz", settings(epochs=2, average=0.0), validation=nobody)
    assert set(history[0]) == {"epoch", "loss", "learning_rate"}
    with np.load(tmp_path / "a.npz") as state:  # of the last epoch
        assert equal([value.numpy() for value in model.variables], [state[f"variable_{n}"] for n in range(len(model.variables))])


def test_validation_weighs_corpora_and_emotions_equally(monkeypatch):
    rows = pd.DataFrame(
        {
            "id": list("abcdef"),
            "corpus": ["tess"] * 4 + ["iesc"] * 2,
            "emotion": ["happy", "happy", "happy", "sad", "neutral", "sad"],
        }
    )
    said = np.array([1, 1, 0, 0, 0, 0])  # tess: 2/3 of happy, none of sad; iesc: all of neutral, none of sad
    scores = np.where(np.eye(3)[said] == 1, 0.8, 0.1)
    monkeypatch.setattr("ser.training.predict", lambda *args: scores)
    found = Validation(rows, None, KINDS, EMOTIONS, 1).score(None)
    assert found["validation_uar"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert found["validation_loss"] == pytest.approx(-(3 * np.log(0.8) + 3 * np.log(0.1)) / 6)


def test_the_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    shares = [schedule(step, 100, 0.1) for step in range(100)]
    assert shares[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert shares[10] == 1.0 and shares[55] == pytest.approx(0.5)
    assert all(a > b > 0 for a, b in zip(shares[10:], shares[11:], strict=False))
    assert schedule(100, 100, 0.1) == pytest.approx(0.0)
    assert schedule(0, 1, 0.0) == 1.0 and schedule(0, 1, 1.0) == 1.0


def test_forgetting_sweeps_the_states_of_this_model(tmp_path):
    for name in ("cnn/a.npz", "cnn/old.npz", "hybrid/b.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    forget(tmp_path / "cnn/a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["hybrid"]
    forget(tmp_path / "cnn/a.npz")


def losses(*values):
    return [{"epoch": n + 1, "validation_loss": value} for n, value in enumerate(values)]


def test_the_rate_shrinks_for_each_plateau_of_the_validation_loss():
    params = settings(schedule="plateau", plateau_patience=2, plateau_factor=0.1)
    assert rate_after_plateaus([], params) == rate_after_plateaus(losses(1.0, 0.9, 0.9), params) == 1.0
    assert rate_after_plateaus(losses(1.0, 1.1, 1.0), params) == pytest.approx(0.1)
    assert rate_after_plateaus(losses(1.0, 1.1, 0.9, 1.0), params) == 1.0, "a fall in between starts the waiting anew"
    assert rate_after_plateaus(losses(1.0, 1.1, 1.2, 1.1, 1.3, 0.5), params) == pytest.approx(0.01)
    assert rate_after_plateaus([{"epoch": n} for n in range(9)], params) == 1.0, "no validation, no plateau"


@pytest.mark.slow  # several trainings
def test_a_plateau_schedule_is_followed_also_after_a_kill(train, tmp_path):
    params = settings(epochs=6, schedule="plateau", plateau_patience=1, plateau_factor=0.5, learning_rate=0.5, average=0.0)
    _, history = train(tmp_path / "a.npz", params)
    rates = [row["learning_rate"] for row in history]
    expected = [0.5 * rate_after_plateaus(history[:n], params) for n in range(len(history))]
    assert rates == pytest.approx(expected) and len(set(rates)) > 1

    class Killed(BaseException):
        pass

    def kill(epoch, values):
        if epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "b.npz", params, report=kill)
    assert train(tmp_path / "b.npz", params)[1] == history


@pytest.mark.slow  # several trainings
def test_each_optimizer_learns_and_is_another(train, tmp_path):
    ends = {}
    for name in ("adamw", "adam", "rmsprop"):
        model, history = train(tmp_path / f"{name}.npz", settings(optimizer=name, weight_decay=0.0 if name != "adamw" else 0.01))
        assert history[-1]["loss"] < history[0]["loss"]
        ends[name] = model.get_weights()
    assert not equal(ends["adam"], ends["rmsprop"]) and not equal(ends["adam"], ends["adamw"])


HEADS = {"arousal": 0.3, "speaker": -0.5}
UNMIXED = replace(BATCHES, mixup=0.0)


@pytest.fixture(scope="module")
def headed(train, tmp_path_factory):
    """Trained with heads from one end to the other."""
    return train(tmp_path_factory.mktemp("resume") / "a.npz", settings(heads=HEADS), batches=UNMIXED)


def test_heads_teach_the_network_and_are_gone_when_it_is_trained(train, headed, tmp_path):
    alone, _ = train(tmp_path / "a.npz", batches=UNMIXED)
    model, history = headed
    assert model.output_shape == (None, 3) and [type(layer) for layer in model.layers] == [type(layer) for layer in alone.layers]
    assert [weight.shape for weight in model.get_weights()] == [weight.shape for weight in alone.get_weights()]
    assert not equal(model.get_weights(), alone.get_weights()) and len(history) == 4
    save_model(model, tmp_path / "model.keras")
    again = load_model(tmp_path)
    assert not [layer.name for layer in again.layers if "head" in layer.name]
    assert equal(again.get_weights(), model.get_weights()) and again.output_shape == (None, 3)


def test_the_loss_told_is_that_of_all_heads(train, headed, tmp_path):
    _, history = train(tmp_path / "a.npz", settings(epochs=1), batches=UNMIXED)
    assert headed[1][0]["loss"] > history[0]["loss"] + 0.3 * np.log(2) / 2
    assert headed[1][0].keys() == history[0].keys()


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_training_with_heads_goes_on_to_the_same_bits(train, headed, tmp_path, epoch):
    def kill(number, values):
        if number == epoch:
            raise Killed

    params = settings(heads=HEADS)
    with pytest.raises(Killed):
        train(tmp_path / "a.npz", params, kill, batches=UNMIXED)
    model, history = train(tmp_path / "a.npz", params, batches=UNMIXED)
    assert history == headed[1]
    assert equal(model.get_weights(), headed[0].get_weights())


def test_an_emotion_that_no_clip_could_have_is_not_unlearned(train, corpus, tmp_path):
    """Without it in the corpus, neither loss nor gradient say anything of it; with it among the wrong ones they do."""
    two = corpus[0][corpus[0]["emotion"] != "sad"].reset_index(drop=True)
    params = settings(epochs=2, weight_decay=0.0)
    keras.utils.set_random_seed(params.seed)
    kernel, bias = new_model().get_layer("emotion").get_weights()
    unknown, history = train(tmp_path / "a.npz", params, batches=replace(UNMIXED, absent_unknown=True), rows=two)
    wrong, _ = train(tmp_path / "b.npz", params, batches=UNMIXED, rows=two)
    assert all(np.isfinite(row["loss"]) for row in history)
    learned, learned_bias = unknown.get_layer("emotion").get_weights()
    np.testing.assert_allclose(learned[:, 2], kernel[:, 2], atol=1e-3)  # Adam makes something of what rounding leaves
    assert learned_bias[2] == pytest.approx(bias[2], abs=1e-3) and np.abs(learned[:, :2] - kernel[:, :2]).max() > 0.01
    assert np.abs(wrong.get_layer("emotion").get_weights()[0][:, 2] - kernel[:, 2]).max() > 0.01


@pytest.mark.parametrize("absent_unknown", [False, True])
def test_a_balanced_loss_weighs_each_example_and_asks_the_same_of_it(train, corpus, tmp_path, monkeypatch, absent_unknown):
    """The gradient of a batch is the mean of each example's own, times its weight."""
    rows = corpus[0][: -len(corpus[0]) // 2]
    rows = rows[(rows["emotion"] != "sad") | (rows.index < 6)].reset_index(drop=True)
    size, smoothing = rows.groupby("emotion")["id"].transform("size"), 0.1
    weights = {emotion: len(rows) / 3 / n for emotion, n in zip(rows["emotion"], size, strict=True)}
    assert len(set(weights.values())) > 1

    class Checked(Exception):
        pass

    def check(self, inputs, targets, **_):
        found = np.array([weights[EMOTIONS[code]] for code in np.nanargmax(targets, axis=1)])[:, None]
        assert len(set(found[:, 0])) > 1
        with tf.GradientTape() as tape:
            answers = self(inputs, training=False)
            loss = self.compute_loss(inputs, tf.constant(targets), answers)
        wanted = (1 - smoothing) * (targets > 0) + smoothing / 3
        gradient = tape.gradient(loss, self.get_layer("emotion").bias)
        np.testing.assert_allclose(gradient, (found * (answers.numpy() - wanted)).mean(axis=0), atol=1e-6)
        raise Checked

    monkeypatch.setattr(keras.Model, "train_on_batch", check)
    batches = replace(UNMIXED, loss_balance=1.0, absent_unknown=absent_unknown)
    with pytest.raises(Checked):
        train(tmp_path / "a.npz", settings(label_smoothing=smoothing), batches=batches, rows=rows)
