"""A build of four small artifacts and reports of devices that measured it, for the tests of `igf profile`."""

import dataclasses
import json
import random
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from igf_mobile.device.fixture import fixture_report
from igf_mobile.device.report import App, ArtifactId, Build, DeviceReport, Run, Stages, summarise
from igf_mobile.files import sha256_of, size_of
from igf_mobile.manifest import ArtifactRecord, FileRecord, Manifest, load_manifest, save_manifest

ARTIFACTS = (("litert", "fp32"), ("litert", "fp16"), ("executorch", "w8"), ("coreml", "fp32"))
SUFFIX = {"litert": ".tflite", "executorch": ".pte", "coreml": ".mlpackage"}


def bare_record(artifact: ArtifactId) -> ArtifactRecord:
    """What a manifest says of an artifact that nobody looked into."""
    return ArtifactRecord(
        file=artifact.file,
        sha256=artifact.sha256,
        bytes=artifact.bytes,
        backend=artifact.backend,
        scheme=artifact.scheme,
        key="",
        inputs=(),
        outputs=(),
        delegated={},
        fallback={},
        quantized={},
        notes=(),
        ran_on="not run: a test",
        parity=None,
        latency=None,
    )


def write_build(folder: Path) -> Path:
    """Artifacts, manifest and device case; the files hold a few bytes each."""
    records = []
    for backend, scheme in ARTIFACTS:
        path = folder / f"igf-512-{backend}-{scheme}{SUFFIX[backend]}"
        file = path / "model.mlmodel" if backend == "coreml" else path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{backend} {scheme}".encode() * 10)
        records.append(bare_record(ArtifactId(path.name, sha256_of(path), backend, scheme, size_of(path))))
    (folder / "device_case").mkdir()
    (folder / "device_case" / "case.json").write_text("{}")
    file_record = FileRecord("x", "0" * 64, 1)
    manifest = Manifest(
        1,
        "igf-512",
        "0.1.0",
        "Apache-2.0",
        file_record,
        (512, 512),
        file_record,
        file_record,
        {},
        tuple(records),
    )
    save_manifest(manifest, folder)
    return folder


def run_of(build: Path, backend: str, scheme: str, unit: str, middle_ms: float = 10.0, **changes: Any) -> Run:
    """A valid run of an artifact of the build."""
    record = load_manifest(build).find(backend, scheme)
    assert record
    random_ = random.Random(f"{backend} {scheme} {unit} {changes.pop('seed', 0)}")
    samples = tuple(round(middle_ms * (1 + 0.1 * random_.random()), 3) for _ in range(80))
    run = dataclasses.replace(
        fixture_report().runs[1],
        artifact=ArtifactId(record.file, record.sha256, backend, scheme, record.bytes),
        compute_unit_requested=unit,  # type: ignore[arg-type]
        compute_unit_used=unit,  # type: ignore[arg-type]
        identical_to_cpu=None if unit == "cpu" else False,
        stages=Stages(samples),
        summary={"inference": summarise(samples)},
        sustained=None,
    )
    return dataclasses.replace(run, **changes)


def report_of(build: Path, *runs: Run, model: str = "Pixel 8", **changes: Any) -> DeviceReport:
    """A report of a device, made now."""
    report = fixture_report()
    report = dataclasses.replace(
        report,
        kind="device",
        created_at=f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
        app=App("igf matte", "0.1.0", "android"),
        build=Build("igf-512", "0.1.0", sha256_of(build / "manifest.json")),
        device=dataclasses.replace(report.device, manufacturer="Google", model=model),
        runs=runs or (run_of(build, "litert", "fp32", "cpu"), run_of(build, "litert", "fp16", "gpu", 6.0)),
    )
    return dataclasses.replace(report, **changes)


def save(report: DeviceReport, path: Path) -> Path:
    """As an app writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dataclasses.asdict(report)))
    return path
