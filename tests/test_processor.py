"""The processor's name."""

import platform

import pytest

from ser import processor


def test_the_name_is_linux_own(tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nmodel name\t: Some Processor 3 GHz \nprocessor\t: 1\nmodel name\t: Another\n")
    monkeypatch.setattr(processor, "CPUINFO", path)
    assert processor.processor_name() == "Some Processor 3 GHz"


@pytest.mark.parametrize("content", [None, "Hardware\t: a board that names no model\n"])
def test_without_it_pythons_stands_in(tmp_path, monkeypatch, content):
    path = tmp_path / "cpuinfo"
    if content:
        path.write_text(content)
    monkeypatch.setattr(processor, "CPUINFO", path)
    monkeypatch.setattr(platform, "processor", lambda: "")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert processor.processor_name() == "aarch64"
