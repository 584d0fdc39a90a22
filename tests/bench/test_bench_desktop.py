"""This machine's report passes what a phone's must, and says when its numbers may not be quoted."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_sides import make_row, make_run

from igf_mobile.bench import desktop, golden
from igf_mobile.bench.record import BenchRun, Row, Sustained
from igf_mobile.device.report import DeviceParity
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.manifest import Manifest, load_manifest
from igf_mobile.profile import store

PASSED = DeviceParity("proof-x", 0.01, 0.001, 0.1, 0.01, finite=True, constant=False, passed=True)
TIMES = [10.0 + 0.125 * (number % 7) for number in range(200)]


def run_of(*rows: Row) -> BenchRun:
    run = make_run(*rows)
    machine = dataclasses.replace(run.machine, system="Linux")
    return dataclasses.replace(run, machine=machine, versions={"igf-mobile": "0.1.0"})


def timed(**changes: Any) -> Row:
    return make_row("fake-fp32", TIMES, **{"duration_s": 61.0, "parity": PASSED, **changes})


@pytest.fixture
def build(healthy_build: Path, tmp_path: Path) -> Path:
    return shutil.copytree(healthy_build, tmp_path / "build")


@pytest.fixture
def manifest(build: Path) -> Manifest:
    return load_manifest(build)


def test_the_report_is_one_that_igf_report_takes(build: Path, manifest: Manifest, tmp_path: Path) -> None:
    rows = (
        timed(sustained=Sustained(2.5, (10.0, 20.0, 40.0, 16.7))),
        timed(threads=2, parity=None),
        make_row("torch eager", TIMES, kind="torch"),
        make_row("fake-w8", (), ran_on="not run: it wants a phone"),
    )
    desktop.write_report(desktop.desktop_report(run_of(*rows), manifest, build), tmp_path / "desktop.json")
    read = store.checked(tmp_path / "desktop.json", build)
    assert read.app.platform == "desktop" and read.kind == "device"
    assert [(run.name, run.valid) for run in read.runs] == [
        ("fake-fp32 on cpu, 1 thread", True),
        ("fake-fp32 on cpu, 2 threads", False),
    ]
    assert read.runs[1].invalid_reasons == (
        "parity was not checked: the build has no device_case with limits for it",
    )
    sustained = read.runs[0].sustained
    assert sustained is not None and (sustained.share_within_16_7_ms, sustained.share_within_33_3_ms) == (
        0.5,
        0.75,
    )


def test_coefficients_only_is_that_of_the_manifest(build: Path, manifest: Manifest) -> None:
    for only in (False, True):
        changed = dataclasses.replace(manifest, coefficients_only=only)
        assert desktop.desktop_report(run_of(timed()), changed, build).build.coefficients_only is only


def test_it_passes_the_schema(build: Path, manifest: Manifest, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(desktop.__file__).parents[1] / "latency_report.schema.json").read_text())
    desktop.write_report(desktop.desktop_report(run_of(timed()), manifest, build), tmp_path / "desktop.json")
    jsonschema.validate(json.loads((tmp_path / "desktop.json").read_text()), schema)


def test_numbers_that_may_not_be_quoted_say_why(build: Path, manifest: Manifest) -> None:
    failed = dataclasses.replace(PASSED, alpha_max_abs=0.5, passed=False)
    row = make_row("fake-fp32", TIMES[:30], duration_s=3.0, parity=failed)
    (run,) = desktop.desktop_report(run_of(row), manifest, build).runs
    assert run.invalid_reasons == (
        "30 samples, 50 are needed",
        "the steady part took 3.0 s, 60 are needed",
        "parity failed",
    )


def test_a_run_without_artifacts_is_no_report(build: Path, manifest: Manifest) -> None:
    with pytest.raises(IgfError, match="no artifact was timed"):
        desktop.desktop_report(run_of(make_row("u2netp", TIMES, kind="peer")), manifest, build)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / golden.FOLDER
    folder.mkdir()
    np.linspace(0, 0.99, 16, dtype="<f4").tofile(folder / "alpha.f32")
    limits = {"fake": {"w8": {"max_abs": 0.1, "mean_abs": 0.01}}}
    (folder / "case.json").write_text(json.dumps({"name": "proof-x", "limits": limits}))
    yield tmp_path


def test_the_golden_alpha_passes_and_a_shifted_one_fails(case: Path) -> None:
    alpha = np.linspace(0, 0.99, 16, dtype=np.float32).reshape(1, 4, 4, 1)
    coefficients = np.zeros((1, 1, 1, 4), np.float32)
    found = golden.check({"alpha": alpha, "coefficients": coefficients}, case, "fake", "w8")
    assert found is not None and found.passed and found.alpha_max_abs == pytest.approx(0, abs=1e-7)
    eight = golden.check({"alpha": np.rint(alpha * 255).astype(np.uint8)}, case, "fake", "w8")
    assert eight is not None and eight.passed and eight.alpha_max_abs is not None
    assert 1e-4 < eight.alpha_max_abs <= 0.5 / 255 + 1e-6
    for wrong in (
        {"alpha": np.roll(alpha, 1)},
        {"alpha": np.full_like(alpha, 0.5)},
        {"coefficients": coefficients * np.nan},
    ):
        found = golden.check({"alpha": alpha} | wrong, case, "fake", "w8")
        assert found is not None and not found.passed


def test_coefficients_alone_are_applied_to_the_golden_guidance(case: Path) -> None:
    folder = case / golden.FOLDER
    guidance = np.linspace(0, 1, 48, dtype="<f4").reshape(1, 3, 4, 4)
    guidance.tofile(folder / "guidance.f32")
    guidance[0, 0].tofile(folder / "alpha.f32")
    described = json.loads((folder / "case.json").read_text())
    (folder / "case.json").write_text(json.dumps(described | {"shapes": {"guidance": [1, 3, 4, 4]}}))
    red = np.array([1, 0, 0, 0], np.float32).reshape(1, 1, 1, 4)
    for coefficients, passes in ((red, True), (red.transpose(0, 3, 1, 2), True), (np.roll(red, 1), False)):
        found = golden.check({"coefficients": coefficients}, case, "fake", "w8")
        assert found is not None and found.passed == passes
    (folder / "guidance.f32").write_bytes(b"")
    with pytest.raises(DamagedFile, match="no whole guidance"):
        golden.check({"coefficients": red}, case, "fake", "w8")


def test_a_case_that_does_not_fit_is_damaged(case: Path, tmp_path: Path) -> None:
    alpha = np.linspace(0, 1, 9, dtype=np.float32)
    with pytest.raises(DamagedFile, match="has 16 pixels, the artifact gives 9"):
        golden.check({"alpha": alpha}, case, "fake", "w8")
    assert golden.check({"alpha": alpha}, case, "fake", "fp16") is None
    assert golden.check({"alpha": alpha}, case, "other", "w8") is None
    (case / golden.FOLDER / "case.json").write_text("[]")
    with pytest.raises(DamagedFile, match="no golden case"):
        golden.check({"alpha": alpha}, case, "fake", "w8")
    assert golden.check({"alpha": alpha}, tmp_path / "elsewhere", "fake", "w8") is None
