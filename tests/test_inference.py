"""From stored features to probabilities: a clip's answer is its own, and long clips are heard whole."""

import keras
import numpy as np
import pytest

from ser.arrays import write_arrays
from ser.features import Clip, Features
from ser.files import write_json
from ser.inference import Enrolment, Scorer, predict
from ser.models import prosody as prosodic
from ser.models.cnn import Params, build
from ser.speaker import EnrolledFeatures
from ser.trained import TrainedModelError, save_model
from ser.windows import windows

N_FRAMES, N_BANDS, N_COLUMNS = 16, 8, 2
LENGTHS = {"short": 5, "exact": 16, "long": 50, "longer": 2000}  # the last alone fills two batches of windows


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(1)
    frames = [(name, random.normal(-40, 10, (n, N_BANDS))) for name, n in LENGTHS.items()]
    write_arrays(folder / "spectrogram/clean/emodb", frames, dtype="float16", recipe={})
    columns = [(name, random.random((1, N_COLUMNS))) for name in LENGTHS]
    write_arrays(folder / "prosody/clean/emodb", columns, dtype="float32", recipe={})
    return Features(folder)


@pytest.fixture(scope="module")
def cnn():
    keras.utils.set_random_seed(1)
    params = Params(stem_filters=4, filters=(4,), attention_units=4, embedding=4, dropout=0.5, level_free=True)
    return build({"spectrogram": (N_FRAMES, N_BANDS)}, 3, params)


def clips(*names):
    return [Clip(name, "emodb") for name in names]


def test_a_clips_answer_does_not_depend_on_its_companions(cnn, features):
    together = predict(cnn, clips(*LENGTHS), features, ["spectrogram"], N_FRAMES)
    backwards = predict(cnn, clips(*reversed(LENGTHS)), features, ["spectrogram"], N_FRAMES)
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-6)
    np.testing.assert_allclose(together.sum(axis=1), 1.0, rtol=1e-6)
    for n, name in enumerate(LENGTHS):
        alone = predict(cnn, clips(name), features, ["spectrogram"], N_FRAMES)
        np.testing.assert_allclose(alone[0], together[n], atol=1e-6)


def test_a_long_clip_is_the_mean_over_its_windows(cnn, features):
    (found,) = predict(cnn, clips("long"), features, ["spectrogram"], N_FRAMES)
    cut = windows(features.get("spectrogram", Clip("long", "emodb")), N_FRAMES)
    assert len(cut) == 6
    answers = cnn.predict_on_batch({"spectrogram": cut})
    assert np.ptp(answers, axis=0).max() > 1e-4
    np.testing.assert_allclose(found, answers.mean(axis=0), atol=1e-5)


class Echo:
    """A model that answers with the example itself, and keeps the shapes it was given."""

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, inputs):
        self.shapes.append({kind: x.shape for kind, x in inputs.items()})
        return inputs["prosody"]


def test_all_batches_have_one_shape_and_every_window_its_clips_prosody(features):
    echo = Echo()
    found = predict(echo, clips(*LENGTHS), features, ["spectrogram", "prosody"], N_FRAMES)
    np.testing.assert_allclose(found, [features.get("prosody", clip) for clip in clips(*LENGTHS)], rtol=1e-5)
    assert echo.shapes == [{"spectrogram": (128, N_FRAMES, N_BANDS), "prosody": (128, N_COLUMNS)}] * 3
    assert np.array_equal(
        predict(echo, clips("long", "short"), features, ["prosody"], N_FRAMES),
        [features.get("prosody", clip) for clip in clips("long", "short")],
    )


def test_no_clips_are_refused(cnn, features):
    with pytest.raises(ValueError, match="no clips"):
        predict(cnn, [], features, ["spectrogram"], N_FRAMES)


def saved(folder, model):
    save_model(model, folder / "model.keras")
    write_json(folder / "model.json", {"n_frames": N_FRAMES})
    return folder


@pytest.fixture
def prosody_net():
    keras.utils.set_random_seed(1)
    shapes = {"prosody": (N_COLUMNS,), "speaker": (N_COLUMNS,)}
    return prosodic.build(shapes, 3, prosodic.Params(units=(8,), dropout=0.1))


def test_a_scorer_answers_as_the_model_it_holds(cnn, features, tmp_path):
    scorer = Scorer(saved(tmp_path, cnn), features.folder)
    found = scorer.probabilities(clips("long", "short"))
    assert np.array_equal(found, predict(cnn, clips("long", "short"), features, ["spectrogram"], N_FRAMES))
    assert not scorer.can_enrol
    with pytest.raises(TrainedModelError, match="model.json: missing"):
        Scorer(tmp_path / "nowhere", features.folder)


def test_speakers_are_unknown_unless_an_enrolment_is_asked_for(prosody_net, features, tmp_path):
    scorer = Scorer(saved(tmp_path, prosody_net), features.folder)
    assert scorer.can_enrol
    told, names = clips(*LENGTHS), ["a", "a", "a", "b"]
    unknown = scorer.probabilities(told)
    stored = np.stack([features.get("prosody", clip) for clip in told])
    expected = prosody_net.predict_on_batch({"prosody": stored, "speaker": np.full_like(stored, np.nan)})
    np.testing.assert_allclose(unknown, expected, atol=1e-5)
    known = scorer.probabilities(told, names, Enrolment(clips=2, seed=1))
    with_means = EnrolledFeatures(features, told, names, n_clips=2, seed=1)
    means = np.stack([with_means.get("speaker", clip) for clip in told])
    expected = prosody_net.predict_on_batch({"prosody": stored, "speaker": means})
    np.testing.assert_allclose(known, expected, atol=1e-5)
    assert np.abs(known - unknown)[:3].max(axis=1).min() > 1e-4
    assert np.array_equal(known[3], unknown[3]), "the only clip of its speaker stays unknown"
