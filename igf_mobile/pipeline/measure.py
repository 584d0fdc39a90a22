"""Artifacts on the proof samples: parity with their predecessors, mattes to look at, latency."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from igf_mobile import backends, composites
from igf_mobile.backends.base import Backend, BackendUnavailable, FloatArray, Runner
from igf_mobile.composites import CompositeSample, load_composites
from igf_mobile.contents.findings import write_crops
from igf_mobile.errors import IgfError
from igf_mobile.evaluate import unknown_band
from igf_mobile.images import write_alpha
from igf_mobile.latency import Latency, measure
from igf_mobile.manifest import ArtifactRecord
from igf_mobile.matting import FloatRunner, matte
from igf_mobile.metrics import AlphaMetrics, alpha_metrics
from igf_mobile.model import Generator
from igf_mobile.parity import EXPORTED, QUANTIZED, Parity, compare
from igf_mobile.pipeline.folder import FLOAT, MATTES
from igf_mobile.pipeline.jobs import Job
from igf_mobile.samples import load_samples

_WARM_UP, _ITERATIONS = 5, 30

Outputs = tuple[list[FloatArray], list[FloatArray]]
"""alphas and coefficients, one of each per proof sample."""


@dataclass(frozen=True)
class Proof:
    """The float model on the proof samples: what every artifact is compared with."""

    samples: list[CompositeSample]
    outputs: Outputs
    matte: AlphaMetrics


def run_proof(model: Generator) -> Proof:
    """The float model's outputs and errors on the proof samples."""
    samples = load_composites(composites.FOLDERS["proof"])
    outputs = run(FloatRunner(model), samples)
    return Proof(samples, outputs, matte_metrics(samples, outputs[0]))


def matte_metrics(samples: Sequence[CompositeSample], alphas: Iterable[FloatArray]) -> AlphaMetrics:
    """Mean errors inside the unknown band of each sample's mask; alphas are (1,1,H,W)."""
    rows = [
        alpha_metrics(np.clip(alpha[0, 0], 0.0, 1.0), sample.alpha, unknown_band(sample.weak_mask)).as_dict()
        for sample, alpha in zip(samples, alphas, strict=True)
    ]
    return AlphaMetrics(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})


def run(runner: Runner, samples: Sequence[CompositeSample]) -> Outputs:
    """What a runner gives for each sample."""
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


def measured(
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
    outputs = run(runner, proof.samples)
    reference = proof.outputs
    if job.scheme != "fp32":
        float_record = others[Job(job.backend, "fp32")]
        reference = run(backend.load(folder / float_record.file), proof.samples)
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


def write_float_mattes(model: Generator, folder: Path) -> None:
    """The float model's mattes of the sample photographs."""
    runner = FloatRunner(model)
    for sample in load_samples():
        path = folder / MATTES / FLOAT / f"{sample.name}.png"
        write_alpha(path, matte(runner, sample.guidance, sample.weak_mask))
