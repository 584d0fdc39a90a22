"""A run as `latency_report.json`: this machine beside the phones in `igf report --devices`."""

import dataclasses
import json
from pathlib import Path
from typing import cast

from igf_mobile.bench.record import BenchRun, Row
from igf_mobile.device.checks import FRAME_BUDGETS_MS, share_within
from igf_mobile.device.report import (
    App,
    ArtifactId,
    Build,
    Conditions,
    Device,
    DeviceReport,
    Run,
    Stage,
    Stages,
    Summary,
    Sustained,
    summarise,
)
from igf_mobile.errors import IgfError
from igf_mobile.files import sha256_of, write_text
from igf_mobile.manifest import FILE_NAME, Manifest

_LEAST_SAMPLES, _LEAST_S = 50, 60.0
"""As the schema says of `valid`."""


def desktop_report(run: BenchRun, manifest: Manifest, build: Path) -> DeviceReport:
    """A run per artifact and thread count that was timed.

    Raises:
        IgfError: no artifact was timed.
    """
    rows = [row for row in run.rows if row.kind == "artifact" and row.samples_ms]
    if not rows:
        raise IgfError("no artifact was timed, and a report without runs is none")
    machine = run.machine
    return DeviceReport(
        schema_version=1,
        kind="device",
        created_at=run.created_at,
        app=App("igf bench", run.versions.get("igf-mobile", "unknown"), "desktop"),
        build=Build(
            manifest.name, manifest.version, sha256_of(build / FILE_NAME), manifest.coefficients_only
        ),
        device=Device(
            manufacturer="unknown",
            model=machine.processor,
            os={"Darwin": "macOS"}.get(machine.system, machine.system),
            os_version=machine.system_version,
            os_build=None,
            cores=machine.cores,
            memory_bytes=machine.memory_bytes,
        ),
        runs=tuple(_run(row, run, manifest) for row in rows),
    )


def write_report(report: DeviceReport, path: Path) -> None:
    """Write it, atomically."""
    document = dataclasses.asdict(report)
    for run in document["runs"]:
        run["stages"] = {
            name: samples for name, samples in run["stages"].items() if samples or name == "inference"
        }
    write_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _run(row: Row, run: BenchRun, manifest: Manifest) -> Run:
    backend, _, scheme = row.name.partition("-")
    record = manifest.find(backend, scheme)
    if record is None:
        raise IgfError(f"the build has no {row.name} any more")
    stages = Stages(row.samples_ms)
    reasons = _invalid(row)
    heat = Conditions("unknown", None, None, "unknown", "unknown")
    return Run(
        artifact=ArtifactId(record.file, record.sha256, backend, scheme, record.bytes),
        compute_unit_requested="cpu",
        compute_unit_used="cpu",
        compute_unit_evidence=f"{row.ran_on}: it has no other unit on this machine",
        threads=row.threads,
        conditions=heat,
        load_ms=row.load_ms,
        first_ms=row.first_ms,
        warm_up=run.settings.warm_up,
        duration_s=row.duration_s,
        stages=stages,
        summary=_summaries(stages),
        sustained=_sustained(row),
        parity=row.parity,
        identical_to_cpu=None,
        valid=not reasons,
        invalid_reasons=tuple(reasons),
        error=None,
    )


def _summaries(stages: Stages) -> dict[Stage, Summary]:
    named = {name: getattr(stages, name) for name in Stages.__dataclass_fields__}
    return {cast(Stage, name): summarise(samples) for name, samples in named.items() if samples}


def _sustained(row: Row) -> Sustained | None:
    if row.sustained is None:
        return None
    samples = row.sustained.samples_ms
    within = [share_within(samples, budget) for budget in FRAME_BUDGETS_MS]
    return Sustained(row.sustained.duration_s, samples, within[0], within[1], ())


def _invalid(row: Row) -> list[str]:
    """Why its numbers may not be quoted."""
    reasons = []
    if len(row.samples_ms) < _LEAST_SAMPLES:
        reasons.append(f"{len(row.samples_ms)} samples, {_LEAST_SAMPLES} are needed")
    if row.duration_s is None or row.duration_s < _LEAST_S:
        reasons.append(f"the steady part took {row.duration_s or 0:.1f} s, {_LEAST_S:.0f} are needed")
    if row.parity is None:
        reasons.append("parity was not checked: the build has no device_case with limits for it")
    elif not row.parity.passed:
        reasons.append("parity failed")
    return reasons
