"""What a processor is called: names that tell apart what has other times."""

from pathlib import Path

import pytest

from igf_mobile.processor import processor_name

ZEN_4, ZEN_5 = (
    f"processor\t: 0\ncpu family\t: {family}\nmodel\t\t: {model}\nmodel name\t: AMD EPYC\n\nprocessor\t: 1\n"
    for family, model in ((25, 17), (26, 2))
)
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd0b\n"


def test_two_processors_of_one_name_are_told_apart(tmp_path: Path) -> None:
    names = []
    for text in (ZEN_4, ZEN_5):
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text(text)
        names.append(processor_name(cpuinfo))
    assert names == ["AMD EPYC (family 25, model 17)", "AMD EPYC (family 26, model 2)"]


@pytest.mark.parametrize("text", [ARM, None])
def test_without_a_name_it_is_the_platforms(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    cpuinfo = tmp_path / "cpuinfo"
    if text is not None:
        cpuinfo.write_text(text)
    assert processor_name(cpuinfo) == "aarch64"
