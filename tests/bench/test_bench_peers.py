"""Peers: pinned, in a folder of their own, or absent with a reason."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.bench import calls, peers, run, site
from igf_mobile.bench.rounds import SideFailed
from igf_mobile.bench.sides import Spec
from igf_mobile.errors import NotPossible

SPEC = Spec("peer", "OpenCV fast guided filter", 1, (64, 64), "build", None, "cache")


def quiet(text: str) -> None:
    pass


def test_every_peer_is_a_side() -> None:
    specs = peers.peer_specs(SPEC)
    assert [(spec.kind, spec.what) for spec in specs] == [("peer", name) for name in peers.PEERS]
    assert all(spec.size == (64, 64) and spec.threads == 1 for spec in specs)


def test_an_opencv_without_contrib_is_a_reason() -> None:
    with pytest.raises(BackendUnavailable, match="has no ximgproc"):
        calls.prepare(SPEC)


@pytest.mark.parametrize(("what", "dtype", "unit"), [("", "float32", 1.0), (", bytes", "uint8", 255.0)])
def test_opencvs_filter_gets_the_picture_and_its_scale(
    monkeypatch: pytest.MonkeyPatch, what: str, dtype: str, unit: float
) -> None:
    import cv2

    given: list[tuple[object, ...]] = []

    def guided_filter(
        guide: np.ndarray, src: np.ndarray, *rest: object, dDepth: int, scale: float
    ) -> np.ndarray:
        assert guide.dtype == src.dtype == dtype
        given.append((guide.shape, src.shape, *rest, scale))
        return src

    fake = ModuleType("ximgproc")
    fake.guidedFilter = guided_filter  # type: ignore[attr-defined]
    monkeypatch.setattr(cv2, "ximgproc", fake, raising=False)
    (matte,) = calls.prepare(replace(SPEC, what=SPEC.what + what)).load()()
    assert given == [((64, 64, 3), (64, 64), peers.RADIUS_PX, pytest.approx(peers.EPS * unit**2), 0.25)]
    assert np.ptp(matte) == unit


def test_an_absent_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "pymatting", "numba"):
        monkeypatch.setitem(sys.modules, name, None)
    for what in ("u2netp", "PyMatting closed form", "PyMatting guided filter"):
        with pytest.raises(BackendUnavailable, match=r"igf-mobile\[peers\]"):
            calls.prepare(Spec("peer", what, 1, (64, 64), "build", None, "cache"))


def fake_pip(monkeypatch: pytest.MonkeyPatch, code: int, said: str = "") -> list[list[str]]:
    commands: list[list[str]] = []

    def pip(command: Sequence[str], **options: object) -> SimpleNamespace:
        commands.append(list(command))
        commands.append(Path(command[-1]).read_text().split())
        return SimpleNamespace(returncode=code, stdout="", stderr=said)

    monkeypatch.setattr(subprocess, "run", pip)
    return commands


def test_contrib_is_fetched_once_and_by_its_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands = fake_pip(monkeypatch, 0)
    folder = site.opencv_contrib(tmp_path, quiet)
    assert folder.is_dir() and folder == site.opencv_contrib(tmp_path, quiet)
    (command, requirement) = commands
    assert "--require-hashes" in command and "--no-deps" in command
    assert requirement[0] == f"{site.PACKAGE}=={site.VERSION}"
    assert requirement[1:] == [f"--hash=sha256:{digest}" for digest in site.SHA256]


def test_what_cannot_be_fetched_is_a_reason_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_pip(monkeypatch, 1, "WARNING: retrying\nERROR: no matching distribution\n")
    with pytest.raises(NotPossible, match="cannot be fetched: ERROR: no matching distribution"):
        site.opencv_contrib(tmp_path, quiet)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    side = run._side(Spec(**{**SPEC.__dict__, "cache": str(tmp_path)}), tmp_path / "log", quiet)
    with pytest.raises(SideFailed, match="no matching distribution") as refused:
        side.load()
    assert refused.value.unavailable
    side.close()
