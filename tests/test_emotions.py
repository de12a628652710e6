import pytest

from ser.emotions import CANONICAL, Policy
from ser.sources import CorporaParams


def test_default_policy_has_the_seven_common_emotions_in_fixed_order():
    policy = Policy(calm="neutral", boredom="drop")
    assert policy.emotions == ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised")
    assert policy.apply("calm") == "neutral"
    assert policy.apply("boredom") is None


def test_eight_emotions_are_a_parameter_away():
    policy = Policy(calm="keep", boredom="drop")
    assert policy.emotions[-1] == "calm" and len(policy.emotions) == 8
    assert policy.apply("calm") == "calm"


@pytest.mark.parametrize("calm", ["neutral", "keep", "drop"])
@pytest.mark.parametrize("boredom", ["drop", "keep"])
def test_every_label_given_is_one_of_the_emotions(calm, boredom):
    policy = Policy(calm=calm, boredom=boredom)
    given = [policy.apply(name) for name in CANONICAL]
    assert {name for name in given if name} == set(policy.emotions)
    assert given.count(None) == (calm == "drop") + (boredom == "drop")


def test_only_the_demo_folder_is_synthetic():
    assert CorporaParams(root="data/demo/", use=("tess",)).synthetic
    assert not CorporaParams(root="data/raw", use=("tess",)).synthetic


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"use": ()}, "at least one"),
        ({"use": ("tess", "tess")}, "twice"),
        ({"channels": ("opera",)}, "speech, song"),
        ({"channels": ()}, "speech, song"),
    ],
)
def test_impossible_choice_of_corpora_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        CorporaParams(**{"root": "data/raw", "use": ("tess",), **changes})
