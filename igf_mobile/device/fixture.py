"""The sample device report of `shared_vectors/`: invented numbers in every shape a real report has.

Python, Kotlin and Swift recompute its summaries. `kind` is "fixture", so nothing shows it as a measurement.
"""

import dataclasses
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from igf_mobile.device.checks import FRAME_BUDGETS_MS, share_within
from igf_mobile.device.report import (
    App,
    ArtifactId,
    Build,
    Conditions,
    Device,
    DeviceParity,
    DeviceReport,
    Run,
    Stages,
    Sustained,
    ThermalSample,
    ThermalState,
    summarise,
)
from igf_mobile.files import write_text

FILE_NAME = "latency_report.json"
_SAMPLES = 60


def fixture_report() -> DeviceReport:
    """Five runs: two that are valid, one that fell back to the CPU, one that started hot, one that broke off."""
    return DeviceReport(
        schema_version=1,
        kind="fixture",
        created_at="2026-11-22T22:00:00Z",
        app=App("igf fixture", "0.1.0", "desktop"),
        build=Build("igf-512", "fixture", _hash("manifest.json")),
        device=Device("nobody", "fixture phone", "Android", "16", None, 8, 8_000_000_000),
        runs=(
            _run("litert", "fp32", "cpu", 14.0, threads=2, sustained=_sustained(14.0)),
            _run("litert", "fp16", "gpu", 9.0, identical_to_cpu=False, sustained=_sustained(9.0)),
            _run(
                "litert",
                "w8a8",
                "gpu",
                14.5,
                compute_unit_used="cpu",
                compute_unit_evidence="The output is bit-identical to the CPU's.",
                identical_to_cpu=True,
                valid=False,
                invalid_reasons=("the output is bit-identical to the CPU's: the GPU did not run",),
            ),
            _run(
                "executorch",
                "w8",
                "cpu",
                21.0,
                threads=2,
                conditions=Conditions("charging", 0.97, False, "moderate", "severe"),
                valid=False,
                invalid_reasons=("it started hot (moderate)",),
            ),
            _failed("executorch", "fp32", "npu"),
        ),
    )


def write_fixture(folder: Path) -> None:
    """Write the report below `folder`; the same bytes each time."""
    text = json.dumps(dataclasses.asdict(fixture_report()), indent=1, allow_nan=False)
    write_text(folder / FILE_NAME, text + "\n")


def _hash(name: str) -> str:
    return hashlib.sha256(f"fixture {name}".encode()).hexdigest()


def _artifact(backend: str, scheme: str) -> ArtifactId:
    file = f"igf-512-{backend}-{scheme}{'.tflite' if backend == 'litert' else '.pte'}"
    return ArtifactId(file, _hash(file), backend, scheme, 100_000)


def _times(name: str, middle_ms: float) -> tuple[float, ...]:
    """Right-skewed, with three decimals."""
    source = random.Random(name)
    return tuple(round(middle_ms * (1.0 + source.random() ** 4), 3) for _ in range(_SAMPLES))


def _run(backend: str, scheme: str, unit: Any, middle_ms: float, **changes: Any) -> Run:
    name = f"{backend} {scheme} {unit}"
    stages = {
        stage: _times(f"{name} {stage}", middle_ms * share)
        for stage, share in (("inference", 1.0), ("convert", 0.1), ("apply", 0.2), ("composite", 0.15))
    }
    run = Run(
        artifact=_artifact(backend, scheme),
        compute_unit_requested=unit,
        compute_unit_used=unit,
        compute_unit_evidence="An invented run.",
        threads=None,
        conditions=Conditions("battery", 0.8, False, "nominal", "light"),
        load_ms=40.0 + middle_ms,
        first_ms=3.5 * middle_ms,
        warm_up=10,
        duration_s=60.5,
        stages=Stages(**stages),
        summary={stage: summarise(samples) for stage, samples in stages.items()},  # type: ignore[misc]
        sustained=None,
        parity=DeviceParity(
            "fixture", 0.004, 0.00005, 0.01, 0.0001, finite=True, constant=False, passed=True
        ),
        identical_to_cpu=None,
        valid=True,
        invalid_reasons=(),
        error=None,
    )
    return dataclasses.replace(run, **changes)


def _sustained(middle_ms: float) -> Sustained:
    """A run that slows down as the device warms up."""
    warm = [1.0 + max(0, index - 40) / 60 for index in range(120)]
    samples = tuple(round(middle_ms * factor + (index * 7 % 5) * 0.1, 3) for index, factor in enumerate(warm))
    states: list[ThermalState] = ["nominal", "nominal", "light", "light", "moderate", "severe"]
    thermal = tuple(
        ThermalSample(20.0 * index, state, round(0.5 + 0.1 * index, 2), 30.0 + 1.5 * index)
        for index, state in enumerate(states)
    )
    within = [share_within(samples, budget) for budget in FRAME_BUDGETS_MS]
    return Sustained(120.0, samples, within[0], within[1], thermal)


def _failed(backend: str, scheme: str, unit: Any) -> Run:
    """A run that could not load."""
    reason = "no such delegate on this device"
    return dataclasses.replace(
        _run(backend, scheme, unit, 1.0),
        compute_unit_used="unknown",
        compute_unit_evidence="It did not load.",
        load_ms=None,
        first_ms=None,
        warm_up=0,
        duration_s=None,
        stages=Stages(()),
        summary={},
        parity=None,
        valid=False,
        invalid_reasons=(reason,),
        error=reason,
    )
