"""Runs a build's artifacts on emulated Arm cores and here, and holds the difference to limits."""

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from igf_mobile import backends, composites
from igf_mobile.arm import sysroot
from igf_mobile.backends.base import OUTPUTS, FloatArray, Runner
from igf_mobile.composites import load_composites
from igf_mobile.elsewhere.exchange import read_outputs, write_inputs
from igf_mobile.elsewhere.heads import Apart, Heads, apart
from igf_mobile.elsewhere.heads import Limit as HeadsLimit
from igf_mobile.elsewhere.heads import of_build as heads_of_build
from igf_mobile.errors import IgfError, NotPossible
from igf_mobile.gates import binding_scheme
from igf_mobile.manifest import ArtifactRecord, Manifest, check_files, load_manifest
from igf_mobile.parity import compare
from igf_mobile.quiet import output_to

Pairs = Sequence[tuple[FloatArray, FloatArray]]
Progress = Callable[[str], None]

SAMPLES = 2
"""Of the shipped proof composites, from the first: an emulated fp32 frame takes seconds."""

CPUS = {
    "cortex-a76": {"fp16", "dotprod"},
    "max,sve=off,sme=off": {"fp16", "dotprod", "i8mm", "bf16"},
}
"""qemu CPU model -> the features that choose the kernels. Plain `max` is not here: with SVE and SME both on,
int8 results are wrong."""


@dataclass(frozen=True)
class Limit:
    """How far Arm's outputs may be from this machine's, as the largest absolute difference."""

    alpha: float | None
    """None: as far as one step of the heads moves it."""
    coefficients: float | None
    """None: `heads` holds them."""
    why: str
    heads: HeadsLimit | None = None


_FLOAT = "float32 arithmetic, summed in another order by other kernels; coefficients reach 10"
_STEP = Limit(None, None, "one step of the int8 heads", HeadsLimit())
LIMITS = {
    ("litert", "fp32"): Limit(1.5e-5, 4e-4, _FLOAT),
    ("litert", "fp16"): Limit(1.5e-5, 4e-4, f"float16 weights, widened once; {_FLOAT}"),
    ("litert", "w8"): Limit(1.5e-5, 4e-4, f"int8 weights, widened once; {_FLOAT}"),
    ("litert", "w8a8"): _STEP,
    ("executorch", "fp32"): Limit(1.5e-5, 4e-4, _FLOAT),
    ("executorch", "fp16"): Limit(
        0.2, 15.0, "float16 arithmetic on Arm, float32 inside each operator on x86"
    ),
    ("executorch", "w8"): Limit(0.035, 0.15, "inputs of convolutions quantized on the fly; steps flip"),
    ("executorch", "w8a8"): _STEP,
}
"""By backend and scheme. Measured of checkpoint 0.8.0 (qemu 7.2 against x86-64 with AVX-512, the worse CPU model),
alpha and coefficients: .tflite and .pte fp32 9.7e-6, 1.9e-4, .tflite fp16 9.9e-6 (1.01e-5 with another factor before
the last sum: alpha is the small difference of terms of 10, whose last bit is 1e-6, so the limit leaves half as much
again); .pte fp16 0.16, 12 (in flat windows A hardly matters and is the noise of the refit's variances); w8 0.009,
0.07; w8a8 9.5e-6, 1.9e-4: no block has another code. Before `ranges.OFF_GRID` a tenth of them had, by up to 4.5 steps
and 0.08 of alpha.

With 0.7.0's refit by two steps of conjugate gradients it was 0.09 and 5.4 over the two samples. But over the 14
photographs .pte fp16 on cortex-a76 differed from float by up to 0.58 of alpha then, and by 0.09 now, with 1.0002 of
float's SAD."""

_NO_GUEST = {"coreml": "Core ML is Apple's; no Linux program runs its kernels"}
_SECONDS = 900
"""For one artifact on one CPU model; a machine that is busy takes a tenth of it."""


@dataclass(frozen=True)
class Row:
    """One artifact on one CPU model."""

    file: str
    backend: str
    scheme: str
    cpu: str
    not_run: str | None = None
    runtime: str | None = None
    features: tuple[str, ...] = ()
    bound_by: str = ""
    """The scheme whose limit it is held to; its own but for a recipe."""
    alpha_max_abs: float | None = None
    coefficients_max_abs: float | None = None
    heads: Apart | None = None
    """Of int8 heads."""
    bit_exact: tuple[str, ...] = ()
    """Outputs that are the same to the last bit."""
    failures: tuple[str, ...] = ()
    sha256: str = ""
    """Of the artifact: a record is of that file alone."""

    @property
    def name(self) -> str:
        """`litert-w8a8 on cortex-a76`."""
        return f"{self.backend}-{self.scheme} on {self.cpu}"

    @property
    def limit(self) -> Limit | None:
        """None where there is none, which fails."""
        return LIMITS.get((self.backend, self.bound_by or self.scheme))


def verify(folder: Path, progress: Progress) -> list[Row]:
    """Every artifact of a build on every CPU model of `CPUS`.

    Raises:
        DamagedFile: the manifest cannot be read.
        IgfError: no artifact of the build has kernels that an emulated Arm core could run.
        NotPossible: this machine cannot emulate one, or the artifacts are not of the proof set's size.
    """
    manifest = load_manifest(folder)
    samples = [sample.tensors() for sample in load_composites(composites.FOLDERS["proof"])[:SAMPLES]]
    size = samples[0][0].shape[2:]
    if manifest.size != size:
        raise NotPossible(f"the proof set is {size[0]} x {size[1]}, the artifacts {manifest.size}")
    if not any(record.backend in sysroot.BACKENDS for record in manifest.artifacts):
        raise IgfError(
            f"{folder} holds no artifact of {', '.join(sysroot.BACKENDS)}; `igf export` makes them"
        )
    machine = sysroot.obtain(progress)
    heads = heads_of_build(manifest, folder, [guidance for guidance, _ in samples])
    rows = []
    for record in manifest.artifacts:
        rows += _verify_artifact(record, manifest, folder, machine, samples, heads, progress)
    return rows


def _verify_artifact(
    record: ArtifactRecord,
    manifest: Manifest,
    folder: Path,
    machine: sysroot.Machine,
    samples: Pairs,
    heads: Heads | None,
    progress: Progress,
) -> list[Row]:
    names = (record.file, record.backend, record.scheme)
    rows = [Row(*names, cpu, sha256=record.sha256, bound_by=binding_scheme(record)) for cpu in CPUS]
    if record.backend not in sysroot.BACKENDS:
        return [
            replace(row, not_run=_NO_GUEST.get(record.backend, "no program runs it on Arm")) for row in rows
        ]
    if problems := check_files(replace(manifest, artifacts=(record,)), folder):
        return [replace(row, failures=tuple(problems)) for row in rows]
    with output_to(sysroot.cache_folder() / "runtimes.log"):
        runner: Runner = backends.get(record.backend).load(folder / record.file)
        here = [runner(*sample) for sample in samples]
    done = []
    for row in rows:
        progress(f"{row.name}: running")
        try:
            there, found = _run_guest(machine, row.cpu, record, folder, samples)
        except IgfError as error:
            done.append(replace(row, failures=(f"{row.name}: {error}",)))
            continue
        row = replace(row, runtime=found["runtime"], features=tuple(found["features"]))
        done.append(judge(row, here, there, found["delegates"], heads))
    return done


def _run_guest(
    machine: sysroot.Machine, cpu: str, record: ArtifactRecord, folder: Path, samples: Pairs
) -> tuple[Pairs, dict[str, Any]]:
    """The outputs (alpha, coefficients), NCHW, of an emulated run, and what the guest says of itself."""
    with tempfile.TemporaryDirectory(prefix="igf-arm-") as name:
        scratch = Path(name)
        write_inputs(scratch, samples)
        arguments = [str((folder / record.file).absolute()), name, str(len(samples))]
        run(machine.command(cpu, record.backend, arguments))
        names = [tensor.name for tensor in record.outputs]
        outputs = read_outputs(scratch, samples, names)
        return outputs, json.loads((scratch / "guest.json").read_text(encoding="utf-8"))


def run(command: Sequence[str], seconds: float = _SECONDS) -> None:
    """Run the emulator.

    Raises:
        IgfError: it ended with an error, was killed by a signal, or took too long.
    """
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, env={})
    except subprocess.TimeoutExpired:
        raise IgfError(f"not finished after {seconds:g} s") from None
    if result.returncode:
        last = (result.stderr.strip() or "no message").splitlines()[-1]
        raise IgfError(f"the emulated run ended with {result.returncode}: {last}")


def judge(row: Row, here: Pairs, there: Pairs, delegates: int, heads: Heads | None = None) -> Row:
    """`row` with the differences between this machine's outputs and Arm's, and a sentence per failure.

    Args:
        row: what ran, with the features the emulated core had.
        here: (alpha (1,1,H,W), coefficients (1,4,H/4,W/4)) per sample.
        there: the same of the emulated core.
        delegates: parts of the graph that XNNPACK took there.
        heads: of the build, where its limit is in steps of them.
    """
    failures = []
    if delegates < 1:
        failures.append(f"{row.name}: XNNPACK took nothing of the graph, so no kernel of it was proven")
    if set(row.features) != CPUS[row.cpu]:
        expected, found = (", ".join(sorted(names)) or "none" for names in (CPUS[row.cpu], row.features))
        failures.append(f"{row.name}: the core has the features {found}, not {expected}")
    if row.limit is None:
        failures.append(f"{row.name}: there is no limit for {row.backend} {row.scheme}")
    errors: dict[str, float] = {}
    for position, tensor in enumerate(OUTPUTS):
        try:
            errors[tensor] = compare(
                [pair[position] for pair in here], [pair[position] for pair in there]
            ).max_abs
        except ValueError as error:
            failures.append(f"{row.name}: {tensor}: {error}")
            continue
        failures += _past(row, tensor, errors[tensor], heads)
    if row.limit and row.limit.heads and "coefficients" in errors:
        row, sentences = _judge_heads(row, row.limit.heads, here, there, heads)
        failures += sentences
    return replace(
        row,
        alpha_max_abs=errors.get("alpha"),
        coefficients_max_abs=errors.get("coefficients"),
        bit_exact=tuple(tensor for tensor, error in errors.items() if error == 0.0),
        failures=tuple(failures),
    )


def _past(row: Row, tensor: str, error: float, heads: Heads | None) -> list[str]:
    """A sentence where a tensor is past its limit."""
    if row.limit is None:
        return []
    limit: float | None = getattr(row.limit, tensor)
    if tensor == "alpha" and heads and row.limit.heads:
        limit = heads.alpha
    if limit is None or error <= limit:
        return []
    return [
        f"{row.name}: the largest difference of {tensor} to this machine's is {error:.3g}, above "
        f"{limit:.3g} ({row.limit.why})"
    ]


def _judge_heads(
    row: Row, limit: HeadsLimit, here: Pairs, there: Pairs, heads: Heads | None
) -> tuple[Row, list[str]]:
    if heads is None:
        return row, [f"{row.name}: the build has no table of ranges, so a step of its heads is not known"]
    found = apart([pair[1] for pair in here], [pair[1] for pair in there], heads)
    return replace(row, heads=found), [f"{row.name}: {clause}" for clause in found.failures(limit)]
