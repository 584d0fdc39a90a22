"""Observers compared: the matte of the fake-quantized network by each, on the proof samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from igf_mobile import backends
from igf_mobile.backends.base import FloatArray, Runner
from igf_mobile.calibration import Calibrated, shipped_pairs
from igf_mobile.manifest import Manifest
from igf_mobile.matting import FloatRunner
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.parity import compare
from igf_mobile.pipeline.measure import Proof, matte_metrics, run_proof
from igf_mobile.quantize.fake_quant import fake_quantized
from igf_mobile.ranges import Ranges
from igf_mobile.rounding import applied, compensated

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """One table of ranges, or one artifact, against the float model on the proof samples."""

    name: str
    sad_ratio: float
    """SAD against the true alpha, as a share of the float model's."""
    sqnr_db: float
    """Of alpha against the float model's."""
    max_abs: float
    mean_abs: float
    clipped: int = 0
    """Sites whose range is narrower than the values seen."""


@dataclass(frozen=True)
class Nearness:
    """How well the fake-quantized network foretells an artifact."""

    artifact: str
    sqnr_db: float
    """Of the artifact's alpha against the fake-quantized network's."""
    max_abs: float
    mean_abs: float


def against_float(name: str, runner: Runner, proof: Proof, clipped: int = 0) -> Row:
    """Measure a runner on the proof samples."""
    return _row(name, [runner(*sample.tensors())[0] for sample in proof.samples], proof, clipped)


def _row(name: str, alphas: list[FloatArray], proof: Proof, clipped: int = 0) -> Row:
    distance = compare(proof.outputs[0], alphas)
    ratio = matte_metrics(proof.samples, alphas).sad / proof.matte.sad
    return Row(name, ratio, distance.sqnr_db, distance.max_abs, distance.mean_abs, clipped)


def compare_observers(model: Generator, names: Sequence[str], progress: Progress) -> list[Row]:
    """A row for each observer, all from one pass over the calibration samples; int8 weights are the same in all."""
    pairs, digest = shipped_pairs()
    network = applied(model, compensated(model, pairs, digest))
    everything, *tables = observe(network, pairs, digest, ["min-max", *names], progress)
    proof = run_proof(model)
    rows = []
    for ranges in tables:
        progress(f"{ranges.observer}: proof set")
        runner = FloatRunner(fake_quantized(network, ranges))
        rows.append(against_float(ranges.observer, runner, proof, _clipped(ranges, everything)))
    return rows


def _clipped(ranges: Ranges, everything: Ranges) -> int:
    return sum(
        low > everything.table[site][0] or high < everything.table[site][1]
        for site, (low, high) in ranges.table.items()
    )


def compare_artifacts(
    calibration: Calibrated, manifest: Manifest, build: Path, progress: Progress
) -> tuple[list[Row], list[Nearness]]:
    """The `w8a8` artifacts of a build against the float model, and against the fake-quantized one.

    Args:
        calibration: the build's.
        manifest: the build's.
        build: its folder.
        progress: is told each artifact.
    """
    proof = run_proof(calibration.model)
    runner = FloatRunner(fake_quantized(calibration.network("w8a8"), calibration.ranges))
    foretold = [runner(*sample.tensors())[0] for sample in proof.samples]
    rows, nearness = [_row("fake-quantized in PyTorch", foretold, proof)], []
    for record in manifest.artifacts:
        if record.scheme != "w8a8":
            continue
        progress(record.file)
        loaded = backends.get(record.backend).load(build / record.file)
        alphas = [np.asarray(loaded(*sample.tensors())[0]) for sample in proof.samples]
        rows.append(_row(record.file, alphas, proof))
        distance = compare(foretold, alphas)
        nearness.append(Nearness(record.file, distance.sqnr_db, distance.max_abs, distance.mean_abs))
    return rows, nearness
