"""A build folder, run again and held to its gates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from igf_mobile import backends, gates
from igf_mobile.backends.base import BackendUnavailable
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.contents import halves
from igf_mobile.contents.findings import write_crops
from igf_mobile.contents.stress import stress_pairs
from igf_mobile.errors import IgfError
from igf_mobile.inside import Inside
from igf_mobile.manifest import ArtifactRecord, Manifest, load_manifest
from igf_mobile.model import Generator
from igf_mobile.parity import Parity, Tolerance
from igf_mobile.pipeline.calibrated import open_calibrated
from igf_mobile.pipeline.folder import FLOAT, LOG, Progress
from igf_mobile.pipeline.jobs import Job, job_of, order
from igf_mobile.pipeline.keys import file_metadata
from igf_mobile.pipeline.measure import Outputs, Proof, measure_parity, run, run_proof
from igf_mobile.quiet import output_to
from igf_mobile.rounding import far_off


@dataclass(frozen=True)
class OpenBuild:
    """A build folder and its checkpoint, each read once."""

    folder: Path
    manifest: Manifest
    checkpoint: Path
    model: Generator
    """Of the checkpoint, in eval mode."""


def open_build(folder: Path, checkpoint: Path) -> OpenBuild:
    """Read a build's manifest and the checkpoint to hold it to.

    Raises:
        IgfError: there is no such checkpoint.
        DamagedFile: the manifest or the checkpoint cannot be read.
    """
    manifest = load_manifest(folder)
    return OpenBuild(folder, manifest, checkpoint, load_checkpoint(checkpoint)[0])


def verify_build(
    build: OpenBuild, tolerances: Sequence[Tolerance], progress: Progress = print
) -> tuple[Manifest, list[str]]:
    """Run every artifact of a build again and hold it to its gates.

    Returns:
        The manifest with what was measured now, and a sentence per failure (empty: all gates passed).
    """
    folder, manifest, model = build.folder, build.manifest, build.model
    failures = gates.check_build(manifest, folder, build.checkpoint)
    if not manifest.artifacts:
        failures.append(f"{folder} holds no artifacts; `igf export` makes them")
    damaged = {record.file for record in manifest.artifacts if any(record.file in f for f in failures)}
    proof = run_proof(model)
    write_crops(folder, FLOAT, proof.samples, proof.outputs[0])
    calibration = open_calibrated(model, manifest.ranges, folder) if manifest.ranges else None
    if calibration and calibration.rounded:
        failures += far_off(model, calibration.rounded)
    # Ranges go with the size: the calibration set says nothing of artifacts of another one.
    inside = None
    if manifest.size == proof.samples[0].alpha.shape:
        inside = Inside(model, calibration, manifest, proof.samples)
    if inside:
        failures += halves.check_halves(inside.ranges)
        progress(halves.summary(inside.ranges))
    cache: dict[str, Outputs] = {}
    measured = []
    for record in sorted(manifest.artifacts, key=lambda r: order(Job(r.backend, r.scheme))):
        job = job_of(record, folder)
        if job is None and record.file not in damaged and record.recipe:
            failures.append(f"{record.file}: {record.recipe.file.file} is not its recipe")
        if job is None or record.file in damaged:
            measured.append(record)
            continue
        progress(f"{job.name}: running")
        try:
            with output_to(folder / LOG):
                # first, since it also says what is wrong with a file that does not run
                failures += inside.check(record, folder) if inside else []
                parity, sentences = _verify_one(record, job, manifest, folder, proof, cache)
                record = replace(record, parity=parity)
        except BackendUnavailable as reason:
            record, sentences = replace(record, ran_on=f"not run: {reason}", parity=None), []
        except (IgfError, RuntimeError) as error:
            failures.append(str(error) if isinstance(error, IgfError) else f"{job.name}: {error}")
            measured.append(record)
            continue
        if backends.get(job.backend).layers is None:
            progress(f"{job.name}: its layers: not run: nothing here reads the inside of its file")
        failures += sentences + gates.check_artifact(record, tolerances)
        measured.append(record)
    if inside:
        inside.write(folder)
    failures += gates.check_distinct({name: outputs[0] for name, outputs in cache.items()})
    return replace(manifest, artifacts=tuple(measured)), failures


def _verify_one(
    record: ArtifactRecord,
    job: Job,
    manifest: Manifest,
    folder: Path,
    proof: Proof,
    cache: dict[str, Outputs],
) -> tuple[Parity | None, list[str]]:
    """What was measured, and a sentence per output that is no matte."""
    backend = backends.get(job.backend)
    path = folder / record.file
    found = backend.read_metadata(path)
    for name, value in file_metadata(manifest, job).items():
        if found.get(name) != value:
            raise IgfError(
                f"{record.file}: its metadata say {name} {found.get(name)!r}, the manifest {value!r}"
            )
    if manifest.size != proof.samples[0].alpha.shape:
        return None, []
    runner = backend.load(path)
    cache[job.name] = outputs = run(runner, proof.samples)
    float_name = Job(job.backend, "fp32").name
    if job.scheme != "fp32" and float_name not in cache:
        raise IgfError(
            f"{job.name}: its float artifact {float_name} is absent or damaged; nothing to compare with"
        )
    reference = proof.outputs if job.scheme == "fp32" else cache[float_name]
    parity = measure_parity(job, proof, outputs, reference)
    stressed = {name: runner(*pair) for name, pair in stress_pairs(manifest.size).items()}
    write_crops(folder, job.name, proof.samples, outputs[0])
    sentences = gates.check_outputs(job.name, outputs[0], proof.outputs[0])
    return parity, sentences + gates.check_stress(job.name, stressed)
