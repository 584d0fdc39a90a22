"""`igf export` and `igf verify`: a checkpoint to a folder of artifacts that were measured, and back.

A build folder holds the artifacts, `manifest.json`, the mattes of the sample photographs and
`report.html`. What is current is not built again; a killed export goes on at the next artifact.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from igf_mobile import backends, composites, gates, ranges, recipes, schemes
from igf_mobile.backends.base import Backend, BackendUnavailable, FloatArray, Runner
from igf_mobile.checkpoint import CheckpointInfo, load_checkpoint
from igf_mobile.composites import CompositeSample, load_composites
from igf_mobile.contents import halves
from igf_mobile.contents.findings import write_crops
from igf_mobile.contents.stress import stress_pairs
from igf_mobile.device_case import write_device_case
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.evaluate import unknown_band
from igf_mobile.files import sha256_of, size_of, write_text
from igf_mobile.images import write_alpha
from igf_mobile.inside import Inside
from igf_mobile.latency import Latency, measure
from igf_mobile.layers import layer_names
from igf_mobile.manifest import (
    SCHEMA_VERSION,
    ArtifactRecord,
    FileRecord,
    Manifest,
    RangesRecord,
    RecipeRecord,
    check_files,
    load_manifest,
    save_manifest,
)
from igf_mobile.matting import FloatRunner, matte
from igf_mobile.metrics import AlphaMetrics, alpha_metrics
from igf_mobile.model import Generator
from igf_mobile.observers import DEFAULT_OBSERVER, observe, ranges_for
from igf_mobile.parity import EXPORTED, QUANTIZED, Parity, Tolerance, compare
from igf_mobile.quiet import output_to
from igf_mobile.ranges import Ranges
from igf_mobile.recipes import Recipe
from igf_mobile.samples import load_samples

FLOAT = "float"
MATTES = "mattes"
RECIPES = "recipes"
RANGES = "ranges.json"
LOG = "export.log"
_NOT_MEASURED = "not run: not measured yet"
_WARM_UP, _ITERATIONS = 5, 30

_NOT_DECIDING = (
    "budget",
    "cli",
    "compare",
    "device_case",
    "device_checks",
    "device_fixture",
    "device_plots",
    "device_reader",
    "device_report",
    "device_section",
    "devices",
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
    "train",
    "training_log",
    "training_probe",
    "training_state",
    "vectors",
)
"""Modules whose change leaves artifacts and measurements as they are."""

Progress = Callable[[str], None]
Outputs = tuple[list[FloatArray], list[FloatArray]]
"""alphas and coefficients, one of each per proof sample."""


@dataclass(frozen=True)
class Job:
    """One artifact to be had."""

    backend: str
    scheme: str
    """A scheme's name, or that of `recipe`."""
    recipe: Recipe | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """`<backend>-<scheme>`; also the folder of its mattes."""
        return f"{self.backend}-{self.scheme}"


def _order(job: Job) -> tuple[str, int]:
    """By backend, then as in `schemes`: fp32 comes before what is compared with it; recipes come last."""
    order = list(schemes.SCHEMES)
    return job.backend, order.index(job.scheme) if job.scheme in order else len(order)


def jobs(
    backend_names: Sequence[str], scheme_names: Sequence[str] | None = None, recipe: Recipe | None = None
) -> list[Job]:
    """What to export: the schemes asked for, or all that each backend has, fp32 first.

    With a recipe: it, and no scheme but fp32 unless it is asked for.

    Raises:
        ValueError: an unknown backend, or a scheme that one of the backends does not have.
    """
    result = []
    if recipe is not None:
        scheme_names = scheme_names or ["fp32"]
    for name in backend_names:
        available = backends.get(name).schemes
        for scheme in scheme_names or available:
            if scheme not in available:
                raise ValueError(f"{name} has no scheme {scheme!r}; it has {', '.join(available)}")
        wanted = set(scheme_names or available) | {"fp32"}  # the step to the float artifact is always there
        result += [Job(name, scheme) for scheme in available if scheme in wanted]
        if recipe is not None:
            result.append(Job(name, recipe.name, recipe))
    return result


def recipe_layers(job: Job, model: Generator) -> dict[str, str] | None:
    """Layer -> precision of a job with a recipe; None of one without.

    Raises:
        ValueError: the recipe does not fit the network or the backend, or is a scheme by another name.
    """
    if job.recipe is None:
        return None
    layers = job.recipe.resolve(layer_names(model))
    recipes.check_precisions(job.recipe.name, layers, job.backend, backends.get(job.backend).layer_precisions)
    if len(kinds := set(layers.values())) == 1:
        scheme = {recipes.FLOAT: "fp32"}.get(kind := kinds.pop(), kind)
        raise ValueError(f"recipe {job.recipe.name!r} gives every layer {kind}: that is scheme {scheme}")
    return layers


@dataclass(frozen=True)
class Proof:
    """The float model on the proof samples: what every artifact is compared with."""

    samples: list[CompositeSample]
    outputs: Outputs
    matte: AlphaMetrics


def export_build(
    checkpoint: Path,
    folder: Path,
    wanted: Sequence[Job],
    size: tuple[int, int] = (512, 512),
    progress: Progress = print,
) -> Manifest:
    """Export, measure and record every artifact of `wanted` that is not current.

    Args:
        checkpoint: a safetensors checkpoint.
        folder: the build folder, made where absent.
        wanted: from `jobs`.
        size: (H, W) of the artifacts' images. The proof set is 512 x 512; artifacts of another size are
            exported and checked for their operators, and recorded as not measured.
        progress: is told a line per artifact.
    """
    model, info = load_checkpoint(checkpoint)
    mixed = [job.recipe for job in wanted if recipe_layers(job, model) and job.recipe]
    for recipe in mixed:
        write_text(folder / RECIPES / f"{recipe.name}.json", recipe.text())
    manifest = _manifest(checkpoint, info, size)
    old = _previous(folder)
    calibration, record_of_ranges = _ranges(model, info, manifest, old, folder)
    manifest = replace(manifest, ranges=record_of_ranges)
    proof: Proof | None = None
    # What is current stays in the manifest, wanted or not, and whatever happens on the way.
    records = {
        made: record
        for earlier in (old.artifacts if old else ())
        if (made := _job(earlier, folder)) and (record := _current(old, made, _key(made, manifest), folder))
    }
    for job in wanted:
        if job in records:
            progress(f"{job.name}: current")
            continue
        if proof is None:
            proof = run_proof(model)
            _write_float_mattes(model, folder)
            write_crops(folder, FLOAT, proof.samples, proof.outputs[0])
        progress(f"{job.name}: exporting")
        record = _export(job, _key(job, manifest), model, manifest, calibration, folder)
        progress(f"{job.name}: measuring")
        with output_to(folder / LOG):
            records[job] = _measured(record, records, proof, folder, size)
        manifest = replace(manifest, artifacts=tuple(records[j] for j in sorted(records, key=_order)))
        save_manifest(manifest, folder)
    manifest = replace(manifest, artifacts=tuple(records[j] for j in sorted(records, key=_order)))
    save_manifest(manifest, folder)
    write_device_case(model, manifest, folder)
    return manifest


def run_proof(model: Generator) -> Proof:
    """The float model's outputs and errors on the proof samples."""
    samples = load_composites(composites.FOLDERS["proof"])
    outputs = _run(FloatRunner(model), samples)
    return Proof(samples, outputs, matte_metrics(samples, outputs[0]))


def matte_metrics(samples: Sequence[CompositeSample], alphas: Iterable[FloatArray]) -> AlphaMetrics:
    """Mean errors inside the unknown band of each sample's mask; alphas are (1,1,H,W)."""
    rows = [
        alpha_metrics(np.clip(alpha[0, 0], 0.0, 1.0), sample.alpha, unknown_band(sample.weak_mask)).as_dict()
        for sample, alpha in zip(samples, alphas, strict=True)
    ]
    return AlphaMetrics(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})


def _run(runner: Runner, samples: Sequence[CompositeSample]) -> Outputs:
    pairs = [runner(*sample.tensors()) for sample in samples]
    return [alpha for alpha, _ in pairs], [coefficients for _, coefficients in pairs]


def measure_parity(job: Job, proof: Proof, outputs: Outputs, reference: Outputs) -> Parity:
    """The three steps for one artifact.

    Args:
        job: which artifact.
        proof: the float model.
        outputs: the artifact's.
        reference: its predecessor's: the float model's for fp32, the fp32 artifact's for the others.

    Raises:
        IgfError: the outputs cannot be compared (NaN, constant, another shape).
    """
    try:
        return Parity(
            step=EXPORTED if job.scheme == "fp32" else QUANTIZED,
            alpha=compare(reference[0], outputs[0]),
            coefficients=compare(reference[1], outputs[1]),
            matte=matte_metrics(proof.samples, outputs[0]),
            float_matte=proof.matte,
        )
    except ValueError as error:
        raise IgfError(f"{job.name}: {error}") from error


def _export(
    job: Job,
    key: str,
    model: Generator,
    manifest: Manifest,
    calibration: Ranges,
    folder: Path,
) -> ArtifactRecord:
    backend = backends.get(job.backend)
    path = folder / f"{manifest.name}-{job.name}{backend.suffix}"
    layers = recipe_layers(job, model)
    more = {} if layers is None else {"layers": layers}
    with output_to(folder / LOG):
        artifact = backend.export(
            model, job.scheme, calibration, path, file_metadata(manifest, job), manifest.size, **more
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
        ran_on=_NOT_MEASURED,
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


def _job(record: ArtifactRecord, folder: Path) -> Job | None:
    """The job that made an artifact; None where its recipe is not there any more."""
    if record.recipe is None:
        return Job(record.backend, record.scheme)
    try:
        recipe = recipes.load_recipe(folder / record.recipe.file.file)
    except (DamagedFile, ValueError):
        return None
    return Job(record.backend, record.scheme, recipe) if recipe.name == record.scheme else None


def _measured(
    record: ArtifactRecord,
    others: Mapping[Job, ArtifactRecord],
    proof: Proof,
    folder: Path,
    size: tuple[int, int],
) -> ArtifactRecord:
    """`record` with parity and latency, and its mattes of the sample photographs written."""
    job = Job(record.backend, record.scheme)
    if size != proof.samples[0].alpha.shape:
        return replace(
            record, ran_on=f"not run: the proof set is 512 x 512, the artifact {size[0]} x {size[1]}"
        )
    backend = backends.get(job.backend)
    try:
        runner = backend.load(folder / record.file)
    except BackendUnavailable as reason:
        return replace(record, ran_on=f"not run: {reason}")
    outputs = _run(runner, proof.samples)
    reference = proof.outputs
    if job.scheme != "fp32":
        float_record = others[Job(job.backend, "fp32")]
        reference = _run(backend.load(folder / float_record.file), proof.samples)
    for sample in load_samples():
        alpha = matte(runner, sample.guidance, sample.weak_mask)
        write_alpha(folder / MATTES / job.name / f"{sample.name}.png", alpha)
    write_crops(folder, job.name, proof.samples, outputs[0])
    return replace(
        record,
        ran_on=runner.description,
        parity=measure_parity(job, proof, outputs, reference),
        latency=_latency(backend, runner, folder / record.file, proof.samples[0]),
    )


def _latency(backend: Backend, runner: Runner, path: Path, sample: CompositeSample) -> Latency | None:
    """Steady latency on one thread; None for a stand-in, whose time says nothing of the runtime."""
    if runner.description.startswith("reference evaluation"):
        return None
    guidance, weak_mask = sample.tensors()

    def load() -> Callable[[], object]:
        loaded = backend.load(path)
        return lambda: loaded(guidance, weak_mask)

    return measure(load, _WARM_UP, _ITERATIONS)


def verify_build(
    folder: Path, checkpoint: Path, tolerances: Sequence[Tolerance], progress: Progress = print
) -> tuple[Manifest, list[str]]:
    """Run every artifact of a build again and hold it to its gates.

    Returns:
        The manifest with what was measured now, and a sentence per failure (empty: all gates passed).

    Raises:
        DamagedFile: the manifest or the checkpoint cannot be read.
    """
    manifest = load_manifest(folder)
    failures = gates.check_build(manifest, folder, checkpoint)
    if not manifest.artifacts:
        failures.append(f"{folder} holds no artifacts; `igf export` makes them")
    damaged = {record.file for record in manifest.artifacts if any(record.file in f for f in failures)}
    model, _ = load_checkpoint(checkpoint)
    proof = run_proof(model)
    write_crops(folder, FLOAT, proof.samples, proof.outputs[0])
    # Ranges go with the size: the calibration set says nothing of artifacts of another one.
    inside = Inside(model, manifest, proof.samples) if manifest.size == proof.samples[0].alpha.shape else None
    if inside:
        failures += halves.check_halves(inside.ranges)
        progress(halves.summary(inside.ranges))
    cache: dict[str, Outputs] = {}
    measured = []
    for record in sorted(manifest.artifacts, key=lambda r: _order(Job(r.backend, r.scheme))):
        job = _job(record, folder)
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
    cache[job.name] = outputs = _run(runner, proof.samples)
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


def file_metadata(manifest: Manifest, job: Job) -> dict[str, str]:
    """What is written into every artifact."""
    metadata = {
        "name": manifest.name,
        "version": manifest.version,
        "licence": manifest.licence,
        "checkpoint_sha256": manifest.checkpoint.sha256,
        "scheme": job.scheme,
    }
    if job.scheme == "w8a8" or (job.recipe and job.recipe.uses(recipes.STATIC)):
        metadata["calibration_sha256"] = manifest.calibration.sha256
        if manifest.ranges is not None:
            metadata["calibration_sha256"] = manifest.ranges.calibration_sha256
            metadata["ranges_sha256"] = manifest.ranges.sha256
            metadata["ranges_origin"] = f"{manifest.ranges.origin}, {manifest.ranges.observer}"
    if job.recipe:
        metadata["recipe_sha256"] = job.recipe.sha256
    return metadata


def _ranges(
    model: Generator, info: CheckpointInfo, manifest: Manifest, old: Manifest | None, folder: Path
) -> tuple[Ranges, RangesRecord]:
    """The activation ranges of `w8a8`, written to the folder: the checkpoint's, or observed, or still there."""
    path = folder / RANGES
    package = Path(__file__).parent
    code = [sha256_of(package / f"{name}.py") for name in ("observers", "ranges", "sites")]
    parts = [info.ranges, DEFAULT_OBSERVER, manifest.checkpoint.sha256, manifest.calibration.sha256, code]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    before = old.ranges if old else None
    if before and before.key == key and path.is_file() and sha256_of(path) == before.file.sha256:
        return ranges.load(path), before
    if info.ranges:
        table = ranges_for(model, ranges.parse(info.ranges, manifest.checkpoint.file))
    else:
        samples = load_composites(composites.FOLDERS["calibration"])
        pairs = [sample.tensors() for sample in samples]
        (table,) = observe(model, pairs, manifest.calibration.sha256)
    ranges.save(path, table)
    file = FileRecord(RANGES, sha256_of(path), size_of(path))
    origin = "QAT" if info.ranges else "PTQ"
    return table, RangesRecord(file, origin, table.observer, table.calibration_sha256, table.sha256, key)


def _manifest(checkpoint: Path, info: CheckpointInfo, size: tuple[int, int]) -> Manifest:
    def record(path: Path) -> FileRecord:
        return FileRecord(path.name, sha256_of(path), size_of(path))

    return Manifest(
        schema_version=SCHEMA_VERSION,
        name=info.name,
        version=info.version,
        licence=info.licence,
        checkpoint=record(Path(checkpoint)),
        size=size,
        calibration=record(composites.FOLDERS["calibration"]),
        proof=record(composites.FOLDERS["proof"]),
        tools=tool_versions(),
        artifacts=(),
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


def _key(job: Job, manifest: Manifest) -> str:
    """Hash of what decides an artifact and its measurements: inputs, tools and our own code."""
    backend = backends.get(job.backend)
    package = Path(__file__).parent
    parts = {
        "job": job.name,
        "metadata": file_metadata(manifest, job),
        "size": manifest.size,
        "proof": manifest.proof.sha256,
        "tools": {name: manifest.tools[name] for name in ("python", *backend.packages)},
        "code": [sha256_of(path) for path in sorted(package.glob("*.py")) if path.stem not in _NOT_DECIDING]
        + [sha256_of(backends.source(job.backend))],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _previous(folder: Path) -> Manifest | None:
    try:
        return load_manifest(folder)
    except DamagedFile:
        return None


def _current(old: Manifest | None, job: Job, key: str, folder: Path) -> ArtifactRecord | None:
    """The record of an artifact that need not be built again."""
    record = old.find(job.backend, job.scheme) if old else None
    if record is None or record.key != key or record.ran_on == _NOT_MEASURED:
        return None
    path = folder / record.file
    return record if path.exists() and sha256_of(path) == record.sha256 else None


def _write_float_mattes(model: Generator, folder: Path) -> None:
    runner = FloatRunner(model)
    for sample in load_samples():
        path = folder / MATTES / FLOAT / f"{sample.name}.png"
        write_alpha(path, matte(runner, sample.guidance, sample.weak_mask))


def open_runner(runtime: str, scheme: str, folder: Path, checkpoint: Path) -> tuple[Runner, tuple[int, int]]:
    """A runner by name, and the size (H, W) it takes.

    Args:
        runtime: "float" for the checkpoint in torch, or a backend with an artifact in `folder`.
        scheme: of the artifact.
        folder: the build folder.
        checkpoint: for "float".

    Raises:
        ValueError: no such runtime.
        IgfError: the build has no such artifact.
        DamagedFile: the artifact is not the file the manifest describes.
        BackendUnavailable: it cannot run on this machine.
    """
    if runtime == FLOAT:
        return FloatRunner(load_checkpoint(checkpoint)[0]), (512, 512)
    if runtime not in backends.names():
        raise ValueError(f"unknown runtime {runtime!r}; available: {FLOAT}, {', '.join(backends.names())}")
    manifest = load_manifest(folder)
    record = manifest.find(runtime, scheme)
    if record is None:
        there = ", ".join(f"{r.backend} {r.scheme}" for r in manifest.artifacts) or "nothing"
        raise IgfError(f"{folder} has no {runtime} {scheme}; it has {there}")
    if problems := check_files(replace(manifest, artifacts=(record,)), folder):
        raise DamagedFile(problems[0])
    return backends.get(runtime).load(folder / record.file), manifest.size
