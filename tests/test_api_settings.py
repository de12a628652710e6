import re
from dataclasses import fields
from pathlib import Path

import pytest

from ser.api.settings import Settings, SettingsError


def test_what_is_not_set_keeps_its_default_and_what_is_set_has_its_type():
    settings = Settings.from_environment(
        {"SER_MAX_STREAMS": "5", "SER_MAX_DURATION_S": "12.5", "SER_MODEL": "hybrid", "PATH": "x"}
    )
    assert settings == Settings(max_streams=5, max_duration_s=12.5, model="hybrid")
    assert isinstance(settings.max_streams, int)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SER_MAX_STREAMS", "many", "SER_MAX_STREAMS must be a whole number, got 'many'"),
        ("SER_MAX_DURATION_S", "long", "SER_MAX_DURATION_S must be a number, got 'long'"),
        ("SER_MAX_QUEUE", "-1", "SER_MAX_QUEUE must be above zero, got -1"),
        ("SER_MAX_DURATION_S", "nan", "SER_MAX_DURATION_S must be above zero, got nan"),
        ("SER_MAX_DURATION_S", "inf", "SER_MAX_DURATION_S must be finite, got inf"),
        ("SER_TOKEN", "", "SER_TOKEN is empty or not plain ASCII; unset it to serve without a token"),
        ("SER_MAX_FILES", "65", "SER_MAX_FILES (65) must not exceed SER_MAX_QUEUE (64)"),
    ],
)
def test_a_bad_value_is_named(name, value, sentence):
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({name: value})
    assert str(error.value) == sentence


def test_the_token_is_not_shown():
    assert "hush" not in repr(Settings(token="hush"))


def test_zero_processes_means_threads():
    assert Settings.from_environment({"SER_PROCESSES": "0"}).processes == 0


def test_each_setting_and_its_default_are_in_the_documentation():
    page = (Path(__file__).parents[1] / "docs/api.md").read_text(encoding="utf-8")
    rows = "".join(line for line in page.splitlines() if line.startswith("| `SER_"))
    for each in fields(Settings):
        assert f"`SER_{each.name.upper()}`" in rows
        if each.default is not None:
            assert re.search(rf"\b{each.default:g}\b" if each.default < 1e5 else str(each.default), rows), each.name
