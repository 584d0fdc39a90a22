"""A checkpoint to a build folder."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from igf_mobile import backends
from igf_mobile.calibration import Calibrated
from igf_mobile.checkpoint import load_checkpoint
from igf_mobile.contents.findings import write_crops
from igf_mobile.device.case import write_device_case
from igf_mobile.files import sha256_of, size_of, write_text
from igf_mobile.manifest import ArtifactRecord, FileRecord, Manifest, RecipeRecord, save_manifest
from igf_mobile.pipeline.calibrated import calibrated
from igf_mobile.pipeline.folder import FLOAT, LOG, RECIPES, Progress
from igf_mobile.pipeline.jobs import Job, job_of, order, recipe_layers
from igf_mobile.pipeline.keys import NOT_MEASURED, current, file_metadata, key_of, new_manifest, previous
from igf_mobile.pipeline.measure import Proof, measured, run_proof, write_float_mattes
from igf_mobile.quiet import output_to
from igf_mobile.recipes import Recipe


def export_build(
    checkpoint: Path,
    folder: Path,
    wanted: Sequence[Job],
    size: tuple[int, int] = (512, 512),
    progress: Progress = print,
    coefficients_only: bool = False,
) -> Manifest:
    """Export, measure and record every artifact of `wanted` that is not current.

    Args:
        checkpoint: a safetensors checkpoint.
        folder: the build folder, made where absent.
        wanted: from `wanted_jobs`.
        size: (H, W) of the artifacts' images. The proof set is 512 x 512; artifacts of another size are
            exported and checked for their operators, and recorded as not measured.
        progress: is told a line per artifact.
        coefficients_only: the artifacts end at A and B; parity and mattes apply them here, as an app does.
    """
    model, info = load_checkpoint(checkpoint)
    mixed = [job.recipe for job in wanted if recipe_layers(job, model) and job.recipe]
    for recipe in mixed:
        write_text(folder / RECIPES / f"{recipe.name}.json", recipe.text())
    manifest = new_manifest(checkpoint, info, size, coefficients_only)
    old = previous(folder)
    calibration, record_of_ranges = calibrated(model, info, manifest, old, folder)
    manifest = replace(manifest, ranges=record_of_ranges)
    proof: Proof | None = None
    # What is current stays in the manifest, wanted or not, and whatever happens on the way.
    records = {
        made: record
        for earlier in (old.artifacts if old else ())
        if (made := job_of(earlier, folder))
        and (record := current(old, made, key_of(made, manifest), folder))
    }
    for job in wanted:
        if job in records:
            progress(f"{job.name}: current")
            continue
        if proof is None:
            proof = run_proof(model)
            write_float_mattes(model, folder)
            write_crops(folder, FLOAT, proof.samples, proof.outputs[0])
        progress(f"{job.name}: exporting")
        record = _export(job, key_of(job, manifest), manifest, calibration, folder)
        progress(f"{job.name}: measuring")
        with output_to(folder / LOG):
            records[job] = measured(record, records, proof, folder, size)
        manifest = replace(manifest, artifacts=tuple(records[j] for j in sorted(records, key=order)))
        save_manifest(manifest, folder)
    manifest = replace(manifest, artifacts=tuple(records[j] for j in sorted(records, key=order)))
    save_manifest(manifest, folder)
    write_device_case(model, manifest, folder)
    return manifest


def _export(
    job: Job,
    key: str,
    manifest: Manifest,
    calibration: Calibrated,
    folder: Path,
) -> ArtifactRecord:
    backend = backends.get(job.backend)
    path = folder / f"{manifest.name}-{job.name}{backend.suffix}"
    layers = recipe_layers(job, calibration.model)
    network = calibration.network(job.scheme, layers)
    ranges = calibration.ranges_of(network)
    more: dict[str, Any] = {} if layers is None else {"layers": layers}
    if manifest.coefficients_only:
        more["coefficients_only"] = True
    with output_to(folder / LOG):
        artifact = backend.export(
            network, job.scheme, ranges, path, file_metadata(manifest, job), manifest.size, **more
        )
    return ArtifactRecord(
        file=path.name,
        sha256=sha256_of(path),
        bytes=size_of(path),
        backend=job.backend,
        scheme=job.scheme,
        key=key,
        inputs=artifact.inputs,
        outputs=artifact.outputs,
        delegated=dict(artifact.delegated),
        fallback=dict(artifact.fallback),
        quantized=dict(artifact.quantized),
        notes=artifact.notes,
        ran_on=NOT_MEASURED,
        parity=None,
        latency=None,
        recipe=_recipe_record(job.recipe, layers, artifact.layers, folder) if job.recipe and layers else None,
    )


def _recipe_record(
    recipe: Recipe, layers: Mapping[str, str], found: Mapping[str, str], folder: Path
) -> RecipeRecord:
    name = f"{RECIPES}/{recipe.name}.json"
    file = FileRecord(name, sha256_of(folder / name), size_of(folder / name))
    return RecipeRecord(file, dict(layers), dict(found), recipe.max_sad_ratio)
