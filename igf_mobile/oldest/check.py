"""Runs a build's .tflite files in the old runtime and in the current one, and holds the difference to limits."""

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from igf_mobile import backends, composites
from igf_mobile.backends import litert
from igf_mobile.backends.base import OUTPUTS, FloatArray
from igf_mobile.composites import load_composites
from igf_mobile.elsewhere.exchange import read_outputs, write_inputs
from igf_mobile.elsewhere.heads import Apart, Heads, apart
from igf_mobile.elsewhere.heads import Limit as HeadsLimit
from igf_mobile.elsewhere.heads import of_build as heads_of_build
from igf_mobile.errors import IgfError, NotPossible
from igf_mobile.gates import binding_scheme
from igf_mobile.manifest import ArtifactRecord, Manifest, check_files, load_manifest
from igf_mobile.oldest import environment
from igf_mobile.parity import Comparison, compare
from igf_mobile.quiet import output_to

Pairs = Sequence[tuple[FloatArray, FloatArray]]
Progress = Callable[[str], None]

BACKEND = "litert"
SAMPLES = 3
"""Of the shipped proof composites, from the first."""

_GUEST = Path(__file__).with_name("guest.py")
_MISSING = re.compile(r"builtin opcode '(\w+)' version '(\d+)'")
_SECONDS = 300


@dataclass(frozen=True)
class Limit:
    """How far the old runtime's outputs may be from the current one's."""

    alpha_max_abs: float
    alpha_mean_abs: float
    why: str
    own_kernels: HeadsLimit | None = None
    """Of the difference to the current runtime without XNNPACK, which the old one has for float alone."""


_FLOAT = "float32 arithmetic, summed in another order by older kernels"
LIMITS = {
    "fp32": Limit(1e-5, 1e-7, _FLOAT),
    "fp16": Limit(1e-5, 1e-7, f"float16 weights, widened once; {_FLOAT}"),
    "w8": Limit(1e-5, 1e-7, f"int8 weights, widened once; {_FLOAT}"),
    "w8a8": Limit(
        0.1,
        1e-3,
        "TensorFlow Lite's own int8 kernels round between operators in another way than XNNPACK's",
        HeadsLimit(),
    ),
}
"""By scheme. Measured, largest and mean: 2.4e-6 and 1.5e-8 where weights alone are quantized; w8a8 0.085 and 7.9e-4, as
far as the current LiteRT without XNNPACK is from itself with it. From that one the old runtime differs by 1e-5 in two
samples and by 0.014 in the third (checkpoint 0.6.0), see `OwnKernels.heads`."""


@dataclass(frozen=True)
class OwnKernels:
    """The difference to the current runtime's own kernels."""

    alpha_max_abs: float
    heads: Apart
    """Of the sample in the middle. Where float arithmetic's last bit decides a code of the attention, a hundred blocks
    of that sample differ by several steps; kernels that round in another way differ in every sample."""


@dataclass(frozen=True)
class Row:
    """One artifact."""

    file: str
    scheme: str
    runtime: str | None = None
    bound_by: str = ""
    """The scheme whose limit it is held to; its own but for a recipe."""
    alpha: Comparison | None = None
    coefficients: Comparison | None = None
    own_kernels: OwnKernels | None = None
    failures: tuple[str, ...] = ()
    sha256: str = ""
    """Of the artifact: a record is of that file alone."""

    @property
    def limit(self) -> Limit | None:
        """None where there is none, which fails."""
        return LIMITS.get(self.bound_by or self.scheme)


def verify(folder: Path, progress: Progress) -> list[Row]:
    """Every .tflite of a build.

    Raises:
        DamagedFile: the manifest cannot be read.
        IgfError: the build holds none.
        NotPossible: the old runtime cannot be had here, or the artifacts are not of the proof set's size.
    """
    manifest = load_manifest(folder)
    records = [record for record in manifest.artifacts if record.backend == BACKEND]
    if not records:
        raise IgfError(f"{folder} holds no {BACKEND} artifact; `igf export` makes them")
    samples = [sample.tensors() for sample in load_composites(composites.FOLDERS["proof"])[:SAMPLES]]
    if manifest.size != samples[0][0].shape[2:]:
        raise NotPossible(f"the proof set is {samples[0][0].shape[2:]}, the artifacts {manifest.size}")
    if reason := backends.get(BACKEND).runs_here():
        raise NotPossible(reason)
    python = environment.obtain(progress)
    heads = heads_of_build(manifest, folder, [guidance for guidance, _ in samples])
    return [
        _verify_artifact(record, manifest, folder, python, samples, heads, progress) for record in records
    ]


def _verify_artifact(
    record: ArtifactRecord,
    manifest: Manifest,
    folder: Path,
    python: Path,
    samples: Pairs,
    heads: Heads | None,
    progress: Progress,
) -> Row:
    row = Row(record.file, record.scheme, sha256=record.sha256, bound_by=binding_scheme(record))
    if problems := check_files(replace(manifest, artifacts=(record,)), folder):
        return replace(row, failures=tuple(problems))
    progress(f"{record.file}: running")
    try:
        there, found = run_guest(
            python, folder / record.file, samples, [tensor.name for tensor in record.outputs]
        )
    except IgfError as error:
        return replace(row, failures=(f"{record.file}: {error}",))
    with output_to(environment.cache_folder() / "runtimes.log"):
        here, own = (
            [runner(*sample) for sample in samples]
            for runner in (
                litert.load(folder / record.file),
                litert.load_without_xnnpack(folder / record.file),
            )
        )
    row = judge(replace(row, runtime=found["version"]), here, there)
    return judge_own_kernels(row, own, there, heads)


def run_guest(
    python: Path, artifact: Path, samples: Pairs, names: Sequence[str] = OUTPUTS
) -> tuple[Pairs, dict[str, Any]]:
    """The outputs (alpha, coefficients), NCHW, of the old runtime, and what it says of itself.

    `names` are the artifact's outputs; see `base.with_alpha` for one without alpha.

    Raises:
        IgfError: it refused the file, naming the operator versions that it lacks; or it crashed.
    """
    with tempfile.TemporaryDirectory(prefix="igf-oldest-") as name:
        scratch = Path(name)
        write_inputs(scratch, samples)
        command = [str(python), str(_GUEST), str(artifact.absolute()), name, str(len(samples))]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise IgfError(f"tflite-runtime was not finished after {_SECONDS} s") from None
        if result.returncode:
            last = (result.stderr.strip() or "no message").splitlines()[-1]
            raise IgfError(f"tflite-runtime ended with {result.returncode}: {last}")
        found = json.loads((scratch / "guest.json").read_text(encoding="utf-8"))
        if "refused" in found:
            raise IgfError(f"tflite-runtime {found['version']} refuses it: {_reason(found['refused'])}")
        return read_outputs(scratch, samples, names), found


def _reason(text: str) -> str:
    """The operators that it lacks; its first line where it says something else."""
    missing = sorted(set(_MISSING.findall(text)))
    if missing:
        return "it has no " + ", ".join(f"{operator} version {version}" for operator, version in missing)
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def judge(row: Row, here: Pairs, there: Pairs) -> Row:
    """`row` with the differences of the old runtime's outputs to the current one's, and a sentence per failure."""
    limit = row.limit
    if limit is None:
        return replace(row, failures=(f"{row.file}: there is no limit for {row.scheme} in the old runtime",))
    try:
        alpha, coefficients = (
            compare([pair[position] for pair in here], [pair[position] for pair in there])
            for position in (0, 1)
        )
    except ValueError as error:
        return replace(row, failures=(f"{row.file}: {error}",))
    failures = [
        f"{row.file}: alpha's {name} difference between the runtimes is {value:.3g}, above {most:.3g} ({limit.why})"
        for name, value, most in (
            ("largest", alpha.max_abs, limit.alpha_max_abs),
            ("mean", alpha.mean_abs, limit.alpha_mean_abs),
        )
        if not value <= most
    ]
    return replace(row, alpha=alpha, coefficients=coefficients, failures=tuple(failures))


def judge_own_kernels(row: Row, own: Pairs, there: Pairs, heads: Heads | None) -> Row:
    """`row` held to the current runtime's own int8 kernels too, where its limit says so.

    Args:
        row: from `judge`.
        own: outputs of the current runtime without XNNPACK.
        there: of the old one.
        heads: of the build.
    """
    if row.limit is None or row.limit.own_kernels is None or row.alpha is None:
        return row
    if heads is None:
        reason = f"{row.file}: the build has no table of ranges, so a step of its heads is not known"
        return replace(row, failures=(*row.failures, reason))
    try:
        largest = compare([alpha for alpha, _ in own], [alpha for alpha, _ in there]).max_abs
    except ValueError as error:
        return replace(row, failures=(*row.failures, f"{row.file}: without XNNPACK: {error}"))
    each = [
        apart([first], [second], replace(heads, guidances=[guidance]))
        for (_, first), (_, second), guidance in zip(own, there, heads.guidances, strict=True)
    ]
    found = OwnKernels(largest, sorted(each, key=lambda sample: sample.changed)[len(each) // 2])
    clauses = found.heads.failures(row.limit.own_kernels)
    if not largest <= heads.alpha:
        clauses.append(f"alpha is {largest:.3g} off, {heads.alpha:.3g} is what one step of the heads makes")
    sentences = [f"{row.file}: against the current runtime without XNNPACK: {clause}" for clause in clauses]
    return replace(row, own_kernels=found, failures=(*row.failures, *sentences))
