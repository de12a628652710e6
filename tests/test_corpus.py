import pickle

import pytest
import yaml

from ser.corpus import CorpusError, load_corpus
from ser.locating import LocateError, locate

FIVE = ("ravdess", "crema_d", "tess", "emodb", "iesc")
MINE = {
    "title": "Mine",
    "language": "nl",
    "licence": "own",
    "obtain": "Ask me.",
    "pattern": r"(?P<emotion>[a-z]+)/(?P<speaker>[a-z]+)_\d+$",
    "emotion": {"joy": "happy", "rage": "angry"},
}


def write(folder, **changes):
    node = {key: value for key, value in {**MINE, **changes}.items() if value is not None}
    folder.mkdir(exist_ok=True)
    (folder / "mine.yaml").write_text(yaml.safe_dump(node), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("corpus", "path", "expected"),
    [
        ("ravdess", "Actor_02/03-01-06-02-01-01-02.wav", "02 female fear 06 strong speech Kids are talking by the door"),
        ("ravdess", "Actor_13/03-02-02-01-02-02-13.wav", "13 male calm 02 normal song Dogs are sitting by the door"),
        ("ravdess", "Actor_01/03-01-01-01-01-01-01.wav", "01 male neutral 01 - speech Kids are talking by the door"),
        ("crema_d", "AudioWAV/1001_DFA_ANG_XX.wav", "1001 male angry ANG - speech Don't forget a jacket"),
        ("crema_d", "AudioWAV/1091_IEO_HAP_LO.wav", "1091 female happy HAP low speech It's eleven o'clock"),
        ("crema_d", "1040_ITH_SAD_X.wav", "1040 male sad SAD - speech I think I have a doctor's appointment"),
        ("tess", "OAF_Pleasant_surprise/OAF_back_ps.wav", "OAF female surprised ps - speech back"),
        ("tess", "OAF_neutral/OA_bite_neutral.wav", "OAF female neutral neutral - speech bite"),
        ("tess", "YAF_fear/YAF_neat_fear.wav", "YAF female fear fear - speech neat"),
        ("emodb", "wav/03a01Fa.wav", "03 male happy F - speech Der Lappen liegt auf dem Eisschrank"),
        ("emodb", "wav/16b10Lb.wav", "16 female boredom L - speech Die wird auf dem Platz sein, wo wir sie immer hinlegen"),
        ("iesc", "Speaker-8/Sad/S-8-8-18.wav", "8 unknown sad Sad - speech "),
    ],
)
def test_official_names_say_what_they_should(corpus, path, expected):
    said = load_corpus(corpus).parse(path)
    speaker, sex, emotion, source, intensity, channel, sentence = expected.split(" ", 6)
    assert said.speaker == f"{corpus}_{speaker}"
    assert (said.sex, said.recorded_emotion, said.source_emotion) == (sex, emotion, source)
    assert (said.intensity, said.channel, said.sentence) == (intensity.strip("-"), channel, sentence)
    assert said.language == ("de" if corpus == "emodb" else "en")


@pytest.mark.parametrize(
    ("corpus", "path", "nested"),
    [
        ("ravdess", "Actor_01/03-01-01-01-01-01-01.wav", "audio_speech_actors_01-24/"),
        ("tess", "OAF_Fear/OAF_back_fear.wav", "tess toronto emotional speech set data/"),
        ("iesc", "Speaker-1/Anger/A-1-1-1.wav", "Indian Emotional Speech Corpora (IESC)/"),
    ],
)
def test_nested_second_copy_has_the_same_id(corpus, path, nested):
    read = load_corpus(corpus).parse
    assert read(path) == read(nested + path)
    assert read(path).id.startswith(f"{corpus}/")


@pytest.mark.parametrize(
    ("corpus", "path"),
    [
        ("ravdess", "Actor_01/01-01-01-01-01-01-01.wav"),  # sound of a video
        ("ravdess", "Actor_01/03-01-09-01-01-01-01.wav"),
        ("ravdess", "Actor_01/03-01-01-01-01-01-01 (1).wav"),
        ("crema_d", "AudioWAV/1001_XXX_ANG_XX.wav"),
        ("crema_d", "AudioWAV/1001_DFA_JOY_XX.wav"),
        ("tess", "noise.wav"),
        ("emodb", "wav/03a01Xa.wav"),
        ("iesc", "Anger/A-1-1-1.wav"),
    ],
)
def test_unknown_names_are_not_guessed(corpus, path):
    corpus = load_corpus(corpus)
    assert corpus.parse(path) is None
    assert isinstance(corpus.read(path), str)


def test_capitals_of_a_release_do_not_matter():
    assert load_corpus("tess").parse("oaf_BACK_Angry.WAV").speaker == "tess_OAF"
    assert load_corpus("iesc").parse("speaker-1/anger/a-1-1-1.wav").recorded_emotion == "angry"


def test_all_91_actors_of_crema_d_have_a_sex():
    read = load_corpus("crema_d").parse
    sexes = [read(f"{actor}_DFA_ANG_XX").sex for actor in range(1001, 1092)]
    assert (sexes.count("female"), sexes.count("male")) == (43, 48)


def test_only_audio_files_are_candidates():
    corpus = load_corpus("crema_d")
    assert corpus.is_audio("AudioWAV/1001_DFA_ANG_XX.WAV") and corpus.is_audio("a/b.flac")
    assert not corpus.is_audio("VideoDemographics.csv") and not corpus.is_audio("README")


def test_a_corpus_of_ones_own_is_one_description(tmp_path):
    pattern = r"clips/(?P<emotion>[a-z]+)/(?P<speaker>[a-z]+)_(?P<sex>[mv])_(?P<intensity>\d)(?P<sentence>\d\d)$"
    corpus = load_corpus("mine", write(tmp_path / "d", pattern=pattern, sex={"female": ["v"], "male": ["m"]}, glob="clips/*"))
    said = corpus.parse("clips/joy/anna_v_207.ogg")
    assert (said.id, said.speaker, said.sex, said.language) == ("mine/clips/joy/anna_v_207", "mine_anna", "female", "nl")
    assert (said.recorded_emotion, said.source_emotion, said.intensity, said.sentence) == ("happy", "joy", "2", "07")
    assert corpus.is_audio("clips/joy/anna_v_207.raw") and not corpus.is_audio("noise/anna.ogg")
    assert corpus.read("clips/glee/anna_v_207.ogg") == "emotion 'glee' is not in the description"
    assert pickle.loads(pickle.dumps(corpus)) == corpus


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"patern": "x"}, "key 'patern' is unknown"),
        ({"licence": None}, "key 'licence' is missing"),
        ({"emotion": None}, "key 'emotion' is missing"),
        ({"pattern": "(?P<speaker>"}, "not a regular expression"),
        ({"pattern": r"(?P<emotion>x)"}, r"no group \(\?P<speaker>"),
        ({"pattern": r"(?P<emotion>x)(?P<speaker>y)(?P<age>z)"}, "group 'age' is unknown"),
        ({"emotion": {"joy": "joyful"}}, "'joy' means 'joyful', which is not one of neutral"),
        ({"emotion": {1: "happy"}}, "1 must be text; put it in quotes"),
        ({"emotion": ["joy"]}, "must be a mapping"),
        ({"language": False}, "missing"),
        ({"intensity": {"1": "low"}}, "no group .*intensity"),
        ({"pattern": r"(?P<emotion>x)(?P<speaker>y)(?P<channel>z)"}, "needs a map 'channel'"),
        ({"pattern": r"(?P<emotion>x)(?P<speaker>y)(?P<channel>z)", "channel": {"z": "opera"}}, "not one of speech, song"),
        ({"sex": {"women": ["anna"]}}, "lists under female and male"),
        ({"sex": {"female": ["anna"], "male": ["anna"]}}, "listed as female and as male"),
    ],
)
def test_a_wrong_description_is_refused_in_one_sentence(tmp_path, changes, sentence):
    with pytest.raises(CorpusError, match=sentence) as caught:
        load_corpus("mine", write(tmp_path / "descriptions", **changes))
    assert "descriptions/mine.yaml" in str(caught.value) and "\n" not in str(caught.value)


def test_yaml_that_is_none_and_a_name_without_description(tmp_path):
    folder = write(tmp_path / "d")
    (folder / "broken.yaml").write_text("title: [", encoding="utf-8")
    (folder / "text.yaml").write_text("hello", encoding="utf-8")
    with pytest.raises(CorpusError, match="not valid YAML"):
        load_corpus("broken", folder)
    with pytest.raises(CorpusError, match="must be a mapping"):
        load_corpus("text", folder)
    with pytest.raises(CorpusError, match="'other' has no description .*add-a-corpus"):
        load_corpus("other", folder)
    with pytest.raises(CorpusError, match="lower-case"):
        load_corpus("../mine", folder)


@pytest.mark.parametrize("name", FIVE)
def test_missing_corpus_says_where_it_was_looked_for_and_how_to_get_it(name, tmp_path):
    corpus = load_corpus(name)
    with pytest.raises(LocateError) as caught:
        locate(corpus, str(tmp_path))
    assert str(tmp_path / name) in str(caught.value)
    assert corpus.obtain in str(caught.value) and "http" in corpus.obtain
    (tmp_path / name).mkdir()
    locate(corpus, str(tmp_path))


def test_demo_corpora_need_not_exist_yet_but_others_must(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    locate(load_corpus("tess"), "data/demo")
    with pytest.raises(LocateError):
        locate(load_corpus("mine", write(tmp_path / "d")), "data/demo")
