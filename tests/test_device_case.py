<<<<<<< HEAD
"""The case a phone checks its artifacts on: written with a build, and its limits tell mutants from the real thing."""

import json
=======
"""The golden case that the phones' apps bundle: whole, of the build's checkpoint, a limit per artifact that ran."""

import dataclasses
import json
from collections.abc import Callable
>>>>>>> android
from pathlib import Path

import numpy as np
import pytest

<<<<<<< HEAD
from igf_mobile import composites, gates, pipeline
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.composites import load_composites
from igf_mobile.device_case import FOLDER, device_limits
from igf_mobile.errors import IgfError
from igf_mobile.files import sha256_of
from igf_mobile.matting import FloatRunner
from igf_mobile.parity import Tolerance, load_tolerances

TOLERANCES = load_tolerances(gates.DEFAULT_TOLERANCES)


def row(scheme: str, step: str, quantity: str, limit: float) -> Tolerance:
    return Tolerance("b", scheme, step, quantity, limit, limit, "by hand")


def test_a_limit_is_the_sum_of_the_steps_doubled() -> None:
    rows = [row("fp32", "exported", "alpha.max_abs", 1.0), row("fp32", "exported", "alpha.mean_abs", 0.5)]
    rows += [row("w8", "quantized", "alpha.max_abs", 4.0), row("w8", "quantized", "alpha.mean_abs", 2.0)]
    assert device_limits(rows) == {
        "b": {"fp32": {"max_abs": 2.0, "mean_abs": 1.0}, "w8": {"max_abs": 10.0, "mean_abs": 5.0}}
    }


def test_a_missing_row_is_an_error() -> None:
    with pytest.raises(IgfError, match=r"no tolerance for b fp32 exported alpha.max_abs"):
        device_limits([row("fp32", "exported", "alpha.mean_abs", 0.5)])


def test_a_build_has_its_case(healthy_build: Path) -> None:
    folder = healthy_build / FOLDER
    case = json.loads((folder / "case.json").read_text())
    manifest = json.loads((healthy_build / "manifest.json").read_text())
    assert case["checkpoint_sha256"] == manifest["checkpoint"]["sha256"]
    assert case["shapes"]["guidance"][2:] == manifest["size"]
    for name, digest in case["sha256"].items():
        assert sha256_of(folder / f"{name}.f32") == digest
        assert (folder / f"{name}.f32").stat().st_size == 4 * np.prod(case["shapes"][name])


def test_a_size_without_proof_has_none(tmp_path: Path) -> None:
    pipeline.export_build(DEFAULT_CHECKPOINT, tmp_path, [], (64, 64), progress=lambda text: None)
    assert not (tmp_path / FOLDER).exists()


def test_mutants_fail_every_limit() -> None:
    model, _ = load_checkpoint(DEFAULT_CHECKPOINT)
    run = FloatRunner(model)
    guidance, weak_mask = load_composites(composites.FOLDERS["proof"])[0].tensors()
    golden, _ = run(guidance, weak_mask)
    mutants = {
        "shifted by a pixel": np.roll(golden, 1, axis=3),
        "upside down": golden[:, :, ::-1],
        "red and blue swapped": run(np.ascontiguousarray(guidance[:, ::-1]), weak_mask)[0],
        "dropped mask": run(guidance, np.ones_like(weak_mask))[0],
        "constant": np.full_like(golden, golden.mean()),
    }
    for backend, schemes in device_limits(TOLERANCES).items():
        for scheme, limit in schemes.items():
            for name, mutant in mutants.items():
                assert np.abs(mutant - golden).mean() > limit["mean_abs"], f"{backend} {scheme}: {name}"
=======
from igf_mobile import backends
from igf_mobile.backends.base import BackendUnavailable, FloatArray
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.device_case import LEAST_LIMITS, SLACK, write_device_case
from igf_mobile.errors import DamagedFile
from igf_mobile.files import sha256_of
from igf_mobile.manifest import ArtifactRecord, FileRecord, Manifest, save_manifest
from igf_mobile.matting import FloatRunner

SHA = "0" * 64


def record(backend: str, scheme: str) -> ArtifactRecord:
    return ArtifactRecord(
        f"{backend}-{scheme}", SHA, 1, backend, scheme, SHA, (), (), {}, {}, {}, (), "here", None, None
    )


@pytest.fixture
def build(tmp_path: Path) -> Path:
    file = FileRecord("x", SHA, 1)
    checkpoint = FileRecord(DEFAULT_CHECKPOINT.name, sha256_of(DEFAULT_CHECKPOINT), 1)
    artifacts = (record("near", "fp32"), record("far", "w8"), record("absent", "fp32"))
    save_manifest(
        Manifest(1, "igf", "0", "x", checkpoint, (512, 512), file, file, {}, artifacts), tmp_path / "build"
    )
    return tmp_path / "build"


class Shifted:
    """The float model, off by `error` everywhere but at the ends of the range."""

    description = "a stand-in"

    def __init__(self, error: float) -> None:
        self._float, self._error = FloatRunner(load_checkpoint(DEFAULT_CHECKPOINT)[0]), error

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        alpha, coefficients = self._float(guidance, weak_mask)
        return alpha + np.float32(self._error), coefficients


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Callable[[Path], Shifted]:
        def runner(path: Path) -> Shifted:
            if name == "absent":
                raise BackendUnavailable("no runtime on this machine")
            return Shifted({"near": 1e-6, "far": 0.1}[name])

        return runner

    original = backends.get("litert")
    monkeypatch.setattr(backends, "get", lambda name: dataclasses.replace(original, load=load(name)))


@pytest.mark.usefixtures("stand_ins")
def test_limits_come_from_running_the_artifacts(build: Path, tmp_path: Path) -> None:
    missing = write_device_case(build, DEFAULT_CHECKPOINT, tmp_path / "case")
    assert missing == {"absent-fp32": "no runtime on this machine"}
    case = json.loads((tmp_path / "case/case.json").read_text())
    assert set(case["limits"]) == {"near", "far"}
    far, near = case["limits"]["far"]["w8"], case["limits"]["near"]["fp32"]
    assert far["max_abs"] == pytest.approx(SLACK * 0.1, rel=1e-3)
    assert far["measured_mean_abs"] == pytest.approx(0.1, rel=1e-3)
    assert "a stand-in" in far["how"]
    assert near["max_abs"] == pytest.approx(LEAST_LIMITS["max_abs"], rel=1e-3)
    assert case["checkpoint_sha256"] == sha256_of(DEFAULT_CHECKPOINT)
    for name, shape in case["shapes"].items():
        content = (tmp_path / "case" / f"{name}.f32").read_bytes()
        assert len(content) == 4 * np.prod(shape)
        assert sha256_of(tmp_path / "case" / f"{name}.f32") == case["sha256"][name]
    alpha = np.fromfile(tmp_path / "case/alpha.f32", "<f4")
    assert np.ptp(alpha) > 0.9


def test_a_build_of_another_checkpoint_is_refused(build: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"other")
    with pytest.raises(DamagedFile, match="export again"):
        write_device_case(build, other, tmp_path / "case")
>>>>>>> android
