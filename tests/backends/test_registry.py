"""Backends by name: what there is, what a wrong name says, and that a file more is a backend more."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from igf_mobile import backends, schemes
from igf_mobile.backends.base import INPUTS, OUTPUTS, Backend, tensor_specs

SHIPPED = ["coreml", "executorch", "litert"]


def test_names() -> None:
    assert backends.names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_a_backend_is_whole(name: str) -> None:
    backend = backends.get(name)
    assert isinstance(backend, Backend)
    assert backend.name == name
    assert backend.suffix.startswith(".")
    assert backend.packages
    assert set(backend.schemes) <= set(schemes.SCHEMES)
    assert backend.schemes[0] == "fp32"  # the others are compared with it, so it is exported first
    assert {"fp16", "w8", "w8a8"} <= set(backend.schemes)


def test_suffixes_differ() -> None:
    assert len({backends.get(name).suffix for name in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("name", ["tflite", "base", "", "LiteRT", "litert.py", "..litert"])
def test_a_wrong_name_lists_the_choices(name: str) -> None:
    with pytest.raises(ValueError) as raised:
        backends.get(name)
    assert str(raised.value) == f"unknown backend {name!r}; available: coreml, executorch, litert"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Files in it are backends."""
    monkeypatch.setattr(backends, "__path__", [*backends.__path__, str(tmp_path)])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("igf_mobile.backends."):
            del sys.modules[name]
            monkeypatch.delattr(backends, name.rpartition(".")[2], raising=False)
    importlib.invalidate_caches()


def test_one_file_more_is_a_backend_more(folder: Path) -> None:
    (folder / "abacus.py").write_text("BACKEND = 'beads'\n")
    importlib.invalidate_caches()
    assert backends.names() == ["abacus", *SHIPPED]
    assert backends.get("abacus") == "beads"
    with pytest.raises(ValueError, match=r"available: abacus, coreml, executorch, litert$"):
        backends.get("x")


def test_listing_and_getting_import_no_other_file(folder: Path) -> None:
    (folder / "broken.py").write_text("raise RuntimeError('imported')\n")
    (folder / "sound.py").write_text("BACKEND = 'sound'\n")
    importlib.invalidate_caches()
    assert "broken" in backends.names()
    assert backends.get("sound") == "sound"
    with pytest.raises(RuntimeError, match="imported"):
        backends.get("broken")


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_tensor_specs(layout: str) -> None:
    inputs, outputs = tensor_specs((64, 96), layout)
    assert tuple(spec.name for spec in inputs) == INPUTS == ("guidance", "weak_mask")
    assert tuple(spec.name for spec in outputs) == OUTPUTS == ("alpha", "coefficients")
    shapes = [spec.shape for spec in (*inputs, *outputs)]
    if layout == "NCHW":
        assert shapes == [(1, 3, 64, 96), (1, 1, 64, 96), (1, 1, 64, 96), (1, 4, 16, 24)]
    else:
        assert shapes == [(1, 3, 64, 96), (1, 1, 64, 96), (1, 1, 64, 96), (1, 16, 24, 4)]
    for spec in (*inputs, *outputs):
        assert spec.layout == (layout if spec.name == "coefficients" else "NCHW")
        assert spec.dtype == "float32"
        assert len(spec.channels) == spec.shape[spec.layout.index("C")]
    assert [(s.minimum, s.maximum) for s in (*inputs, *outputs)] == [(0.0, 1.0)] * 3 + [(None, None)]
    assert inputs[0].channels == ("red", "green", "blue")
