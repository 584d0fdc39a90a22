"""From a side's name to the function that is timed: one call of the runtime, inputs in place, outputs readable.

Layout and type of an artifact's tensors come from the manifest. The package's own runners take NCHW float32 whatever
the file holds; their conversion is no part of the runtime's time, so LiteRT and ExecuTorch are called directly.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from igf_mobile import composites
from igf_mobile.backends.base import INPUTS, OUTPUTS, BackendUnavailable, FloatArray, TensorSpec
from igf_mobile.bench.frame import channels_last_of
from igf_mobile.bench.sides import Spec
from igf_mobile.composites import load_composites
from igf_mobile.errors import DamagedFile
from igf_mobile.images import resize
from igf_mobile.manifest import FILE_NAME, ArtifactRecord, load_manifest

Call = Callable[[], Sequence[npt.NDArray[Any]]]
"""One frame; gives the outputs, alpha first."""


@dataclass(frozen=True)
class Prepared:
    """A side whose packages are imported and whose inputs are there."""

    ran_on: str
    """Runtime and version."""
    pixels: int
    """Of the picture that it computes on."""
    load: Callable[[], Call]
    """From the file to a function that can be called; timed apart."""


@dataclass(frozen=True)
class Photograph:
    """A shipped composite at the size asked for, values in [0,1]."""

    guidance: FloatArray
    """(H,W,3)."""
    weak_mask: FloatArray
    """(H,W)."""

    def tensors(self) -> tuple[FloatArray, FloatArray]:
        """(1,3,H,W) and (1,1,H,W), contiguous."""
        return self.guidance.transpose(2, 0, 1)[None].copy(), self.weak_mask[None, None].copy()


def photograph(size: tuple[int, int]) -> Photograph:
    """The first proof composite at `size` (H, W): real edges, real mask, the same on every machine."""
    sample = load_composites(composites.FOLDERS["proof"])[0]
    if sample.alpha.shape == size:
        return Photograph(sample.guidance, sample.weak_mask)
    return Photograph(resize(sample.guidance, size), resize(sample.weak_mask, size).round())


def prepare(spec: Spec) -> Prepared:
    """Import what a side needs and make its inputs.

    Raises:
        BackendUnavailable: it cannot run on this machine.
        IgfError: a file it needs is absent, damaged or cannot be fetched.
    """
    if spec.kind == "artifact":
        return _artifact(spec)
    if spec.kind == "applied":
        return _applied(spec)
    if spec.kind == "torch":
        return _torch(spec)
    from igf_mobile.bench.peers import prepare_peer

    return prepare_peer(spec)


def as_stored(values: FloatArray, spec: TensorSpec) -> npt.NDArray[Any]:
    """NCHW float32 in [0,1] -> the tensor as the file takes it."""
    laid_out = values.transpose(0, 2, 3, 1) if spec.layout == "NHWC" else values
    if spec.dtype == "uint8":
        return np.ascontiguousarray(np.rint(laid_out * 255.0), np.uint8)
    return np.ascontiguousarray(laid_out, np.dtype(spec.dtype))


def artifact_record(build: Path, artifact: str) -> tuple[ArtifactRecord, tuple[int, int]]:
    """An artifact's record by `<backend>-<scheme>`, and the size (H, W) it takes.

    Raises:
        DamagedFile: the manifest cannot be read or has no such artifact.
    """
    manifest = load_manifest(build)
    backend, _, scheme = artifact.partition("-")
    record = manifest.find(backend, scheme)
    if record is None:
        raise DamagedFile(f"{build / FILE_NAME} has no {artifact}")
    return record, (manifest.size[0], manifest.size[1])


def artifact_inputs(build: Path, artifact: str) -> tuple[Path, dict[str, npt.NDArray[Any]]]:
    """An artifact's file, and the photograph as its tensors by name. Raises as `artifact_record`."""
    record, size = artifact_record(build, artifact)
    specs = {tensor.name: tensor for tensor in record.inputs}
    tensors = zip(INPUTS, photograph(size).tensors(), strict=True)
    return build / record.file, {name: as_stored(values, specs[name]) for name, values in tensors}


def _artifact(spec: Spec) -> Prepared:
    path, stored = artifact_inputs(Path(spec.build), spec.what)
    _, (height, width) = artifact_record(Path(spec.build), spec.what)
    backend = spec.what.partition("-")[0]
    try:
        if backend == "litert":
            return _litert(path, stored, spec.threads, height * width)
        if backend == "executorch":
            return _executorch(path, stored, spec.threads, height * width)
    except ImportError as error:
        raise BackendUnavailable(f"{backend} cannot be imported: {error}") from error
    return _by_runner(backend, path, spec.threads, photograph((height, width)).tensors())


def _applied(spec: Spec) -> Prepared:
    """An artifact and, after each call, its coefficients on a frame of bytes, as cameras give them."""
    from igf_mobile.full_resolution import apply_coefficients

    assert spec.frame is not None
    inner = _artifact(spec)
    height, width = spec.frame
    frame = np.rint(resize(photograph(spec.size).guidance, spec.frame) * 255.0).astype(np.uint8)

    def load() -> Call:
        call = inner.load()

        def whole() -> Sequence[npt.NDArray[Any]]:
            return [apply_coefficients(channels_last_of(call()[-1]), frame, spec.threads)]

        return whole

    return Prepared(f"{inner.ran_on}, then numba on {width} x {height} bytes", height * width, load)


def _by_runner(backend: str, path: Path, threads: int, tensors: tuple[FloatArray, FloatArray]) -> Prepared:
    """A backend without a call of its own here: its runner's conversions are in the time.

    Imported here, because backends import torch, and memory is measured in this process.
    """
    from igf_mobile import backends

    module = backends.get(backend)
    description = module.load(path, threads).description
    if description.startswith("reference evaluation"):
        raise BackendUnavailable("a reference evaluation's time says nothing of Core ML")
    pixels = int(tensors[1].size)
    return Prepared(description, pixels, lambda: _runner_call(module.load(path, threads), tensors))


def _runner_call(runner: Any, tensors: tuple[FloatArray, FloatArray]) -> Call:
    return lambda: runner(*tensors)


def _litert(path: Path, inputs: dict[str, npt.NDArray[Any]], threads: int, pixels: int) -> Prepared:
    from ai_edge_litert import __version__ as version
    from ai_edge_litert.interpreter import Interpreter

    def load() -> Call:
        try:
            interpreter = Interpreter(str(path), num_threads=threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise DamagedFile(f"{path} is not a whole LiteRT model: {str(error).splitlines()[0]}") from error
        for details in interpreter.get_input_details():
            interpreter.set_tensor(details["index"], inputs[details["name"]])
        index_of = {details["name"]: details["index"] for details in interpreter.get_output_details()}
        # Views, not copies: an app reads them where they are. The interpreter refuses to run while one is held.
        views = [interpreter.tensor(index_of[name]) for name in OUTPUTS if name in index_of]

        def call() -> Sequence[npt.NDArray[Any]]:
            interpreter.invoke()
            return [view() for view in views]

        return call

    return Prepared(f"LiteRT {version}, XNNPACK", pixels, load)


def _executorch(path: Path, inputs: dict[str, npt.NDArray[Any]], threads: int, pixels: int) -> Prepared:
    from importlib.metadata import version

    import torch
    from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
    from executorch.runtime import Runtime, Verification

    _unsafe_reset_threadpool(threads)
    tensors = [torch.from_numpy(inputs[name]) for name in INPUTS]

    def load() -> Call:
        try:
            program = Runtime.get().load_program(path, verification=Verification.InternalConsistency)
            method = program.load_method("forward")
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise DamagedFile(f"{path} is not a whole ExecuTorch program: {reason}") from error

        # The method lives in the program's memory, which goes with the last name of it.
        def call(_program: Any = program) -> Sequence[npt.NDArray[Any]]:
            # What `Method.execute` calls, which copies the outputs.
            return [output.numpy() for output in method._method(tensors, clone_outputs=False)]

        return call

    return Prepared(f"ExecuTorch {version('executorch')}, XNNPACK", pixels, load)


def _torch(spec: Spec) -> Prepared:
    import torch

    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint

    torch.set_num_threads(spec.threads)
    guidance, weak_mask = (
        torch.from_numpy(values.repeat(spec.batch, axis=0)) for values in photograph(spec.size).tensors()
    )

    def load() -> Call:
        model = load_checkpoint(Path(spec.checkpoint or DEFAULT_CHECKPOINT))[0].eval()
        network: Any = torch.compile(model, fullgraph=True) if spec.what == "compile" else model

        def call() -> Sequence[npt.NDArray[Any]]:
            with torch.inference_mode():
                matte = network(guidance, weak_mask)
            return [matte.alpha.numpy(), matte.coefficients.numpy()]

        return call

    what = "torch.compile, fullgraph" if spec.what == "compile" else "eager"
    return Prepared(f"torch {torch.__version__}, {what}", weak_mask.numel(), load)
