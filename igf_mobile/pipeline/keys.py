"""What decides an artifact, hashed: the same key means that there is nothing to build again."""

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import igf_mobile
from igf_mobile import backends, composites, recipes, schemes
from igf_mobile.backends import base
from igf_mobile.checkpoint import CheckpointInfo
from igf_mobile.errors import DamagedFile
from igf_mobile.files import sha256_of
from igf_mobile.manifest import SCHEMA_VERSION, ArtifactRecord, FileRecord, Manifest, load_manifest
from igf_mobile.pipeline.jobs import Job

NOT_MEASURED = "not run: not measured yet"

_NOT_DECIDING = (
    "batches",
    "budget",
    "cli",
    "compare",
    "discriminator",
    "distributed",
    "doctor",
    "gates",
    "inside",
    "losses",
    "profile_cli",
    "report",
    "report_contents",
    "report_pictures",
    "report_plots",
    "teacher",
    "terminal",
    "train",
    "training_log",
    "training_probe",
    "training_state",
    "vectors",
)
"""Modules whose change leaves artifacts and measurements as they are."""


def file_metadata(manifest: Manifest, job: Job) -> dict[str, str]:
    """What is written into every artifact."""
    metadata = {
        "name": manifest.name,
        "version": manifest.version,
        "licence": manifest.licence,
        "checkpoint_sha256": manifest.checkpoint.sha256,
        "scheme": job.scheme,
    }
    calibration = manifest.ranges
    if schemes.has_int8(job.scheme, job.recipe) and calibration and calibration.rounded:
        metadata["calibration_sha256"] = calibration.calibration_sha256
        metadata["rounded_sha256"] = calibration.rounded.sha256
    if job.scheme == "w8a8" or (job.recipe and job.recipe.uses(recipes.STATIC)):
        metadata["calibration_sha256"] = manifest.calibration.sha256
        if calibration is not None:
            metadata["calibration_sha256"] = calibration.calibration_sha256
            metadata["ranges_sha256"] = calibration.sha256
            metadata["ranges_origin"] = f"{calibration.origin}, {calibration.observer}"
    if job.recipe:
        metadata["recipe_sha256"] = job.recipe.sha256
    return metadata


def new_manifest(
    checkpoint: Path, info: CheckpointInfo, size: tuple[int, int], coefficients_only: bool = False
) -> Manifest:
    """A build's manifest before it holds anything."""
    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=info.name,
        version=info.version,
        licence=info.licence,
        checkpoint=FileRecord.of(Path(checkpoint)),
        size=size,
        calibration=FileRecord.of(composites.FOLDERS["calibration"]),
        proof=FileRecord.of(composites.FOLDERS["proof"]),
        tools=tool_versions(),
        artifacts=(),
        coefficients_only=coefficients_only,
    )


def tool_versions() -> dict[str, str]:
    """Versions of Python and of every distribution that decides the bytes of an artifact."""
    versions = {"python": platform.python_version()}
    for name in sorted({package for b in backends.names() for package in backends.get(b).packages}):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return versions


def key_of(job: Job, manifest: Manifest) -> str:
    """Hash of what decides an artifact and its measurements: inputs, tools and our own code."""
    backend = backends.get(job.backend)
    package = Path(igf_mobile.__file__).parent
    code = [path for path in sorted(package.glob("*.py")) if path.stem not in _NOT_DECIDING]
    # `contents` reads what `pte_pack` and recipes write again; `xnnpack_graph` is part of ExecuTorch's export.
    for folder in ("contents", "pipeline", "xnnpack_graph"):
        code += sorted((package / folder).glob("*.py"))
    code += [Path(base.__file__), backends.source(job.backend)]
    parts = {
        "job": job.name,
        "metadata": file_metadata(manifest, job),
        "size": manifest.size,
        "coefficients_only": manifest.coefficients_only,
        "proof": manifest.proof.sha256,
        "tools": {name: manifest.tools[name] for name in ("python", *backend.packages)},
        "code": [sha256_of(path) for path in code],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def previous(folder: Path) -> Manifest | None:
    """The manifest that is in the folder; None where there is none that can be read."""
    try:
        return load_manifest(folder)
    except DamagedFile:
        return None


def current(old: Manifest | None, job: Job, key: str, folder: Path) -> ArtifactRecord | None:
    """The record of an artifact that need not be built again."""
    record = old.find(job.backend, job.scheme) if old else None
    if record is None or record.key != key or record.ran_on == NOT_MEASURED:
        return None
    path = folder / record.file
    return record if path.exists() and sha256_of(path) == record.sha256 else None
