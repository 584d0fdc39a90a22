"""Core ML (.mlpackage): coremltools converts and quantizes on any machine, Core ML runs on macOS.

Elsewhere `load` evaluates the file's program operator by operator (`mil_reference`), which checks what
is in the file and says that it is not Core ML.
"""

import contextlib
import io
import logging
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from igf_mobile import recipes, schemes
from igf_mobile.backends.base import (
    INPUTS,
    OUTPUTS,
    Artifact,
    Backend,
    Calibration,
    FloatArray,
    Runner,
    output_names,
    tensor_specs,
    with_alpha,
)
from igf_mobile.contents.layers import Layer
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path
from igf_mobile.layers import identify, is_layer, layer_weights
from igf_mobile.model import STRIDE, Generator
from igf_mobile.observers import ranges_for
from igf_mobile.ranges import Ranges

_NETWORK = "model.hourglass"
"""The submodule of `graph.ExportGraph` that `w8a8` quantizes; the arithmetic around it stays float."""

_COMPUTE_UNITS = {"cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "npu": "CPU_AND_NE", "all": "ALL"}


@dataclass(frozen=True)
class _Recipe:
    """One of our schemes in coremltools' words."""

    precision: Literal["FLOAT32", "FLOAT16"]
    int8: Literal["none", "weights", "weights and activations"]
    palettes: bool = False
    """4-bit weights, see `coreml_palettes`."""


# float16 for w8 and w8a8: Core ML runs float32 programs on the processor and the GPU alone, and next to
# the error of int8 weights that of float16 does not show (measured: see tests/backends/test_coreml.py).
_RECIPES = {
    "fp32": _Recipe("FLOAT32", "none"),
    "fp16": _Recipe("FLOAT16", "none"),
    "w8": _Recipe("FLOAT16", "weights"),
    "w8a8": _Recipe("FLOAT16", "weights and activations"),
    "p4": _Recipe("FLOAT16", "none", palettes=True),
}

_MIXED = {"int8": _RECIPES["w8a8"], "float16": _RECIPES["w8"]}
"""Of a recipe's `_mixed_scheme`, by activations."""


def export(
    model: Generator,
    scheme: str,
    calibration: Calibration,
    path: Path,
    metadata: Mapping[str, str],
    size: tuple[int, int] = (512, 512),
    layers: Mapping[str, str] | None = None,
    coefficients_only: bool = False,
) -> Artifact:
    """Write an .mlpackage for iOS 17 and later; see `base.ExportFunction`.

    Raises:
        ValueError: a scheme, size or calibration that cannot be used; the text says what would be.
        IgfError: the folder cannot be written.
    """
    from igf_mobile import mil_census, mlpackage

    path = Path(path)
    numbers = schemes.get(scheme) if layers is None else _mixed_scheme(scheme, layers)
    _check(numbers, calibration, path, size)
    with _quiet():
        converted = _convert(model, numbers, calibration, size, layers, coefficients_only)
        with atomic_path(path) as temporary:
            converted.save(str(temporary))
            mlpackage.finish(temporary, metadata)
            census = mil_census.take(temporary, numbers)
            found = {} if layers is None else mil_census.layers_found(temporary, layer_weights(model, "NCHW"))
    inputs, outputs = tensor_specs(size, "NCHW", coefficients_only)
    left_float = census.left_float if layers is None else {}  # a recipe's gate goes layer by layer
    notes = _notes(numbers, census.between)
    return Artifact(path, "coreml", scheme, inputs, outputs, {}, left_float, census.int8, notes, found)


def _mixed_scheme(name: str, layers: Mapping[str, str]) -> schemes.Scheme:
    """A recipe as a scheme: the coarsest numbers that it has."""
    static = recipes.STATIC in layers.values()
    return schemes.Scheme(name, "int8", "int8" if static else "float16", static, "mixed precision")


def _check(scheme: schemes.Scheme, calibration: Calibration, path: Path, size: tuple[int, int]) -> None:
    if path.suffix != BACKEND.suffix:
        raise ValueError(f"{path} must end in {BACKEND.suffix}: Core ML goes by the name")
    if any(side <= 0 or side % STRIDE for side in size):
        raise ValueError(f"size {size} must be multiples of {STRIDE}")
    if not scheme.needs_calibration or isinstance(calibration, Ranges):
        return
    if not calibration:
        raise ValueError(f"scheme {scheme.name!r} needs calibration pairs, got none")
    for index, (guidance, mask) in enumerate(calibration):
        if guidance.shape != (1, 3, *size) or mask.shape != (1, 1, *size):
            raise ValueError(
                f"calibration pair {index} has shapes {guidance.shape} and {mask.shape}; "
                f"the artifact's are {(1, 3, *size)} and {(1, 1, *size)}"
            )


def _convert(
    model: Generator,
    scheme: schemes.Scheme,
    calibration: Calibration,
    size: tuple[int, int],
    layers: Mapping[str, str] | None,
    coefficients_only: bool,
) -> Any:
    """The coremltools model, not saved yet."""
    import coremltools as ct
    import torch

    from igf_mobile import coreml_palettes
    from igf_mobile.coreml_quantizer import quantize_module
    from igf_mobile.graph import ExportGraph, restore_clamps, slices_for_splits

    recipe = _RECIPES.get(scheme.name) or _MIXED[scheme.activations]
    example = (torch.zeros(1, 3, *size), torch.zeros(1, 1, *size))
    graph = torch.export.export(ExportGraph(model, "NCHW", coefficients_only), example).module()
    restore_clamps(graph)
    slices_for_splits(graph)
    if recipe.int8 == "weights and activations":
        graph = quantize_module(graph, _NETWORK, ranges_for(model, calibration), example, layers)
    elif recipe.int8 == "weights":
        graph = quantize_module(graph, _NETWORK, None, example, layers)
    precision = getattr(ct.precision, recipe.precision)
    if layers is not None:
        selects = _selects_float16(layer_weights(model), layers)
        precision = ct.transform.FP16ComputePrecision(op_selector=selects)
    converted = ct.convert(
        torch.export.export(graph, example).run_decompositions({}),
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, coreml_palettes.TARGET if recipe.palettes else "iOS17"),
        compute_precision=precision,
        outputs=[ct.TensorType(name, dtype=np.float32) for name in output_names(coefficients_only)],
        skip_model_load=True,
    )
    return coreml_palettes.palettize(converted) if recipe.palettes else converted


def _selects_float16(weights: Mapping[str, FloatArray], layers: Mapping[str, str]) -> Callable[[Any], bool]:
    """Which operators coremltools turns to float16: all but the convolutions that a recipe has in float32."""

    def selects(op: Any) -> bool:
        if op.op_type != "conv" or op.weight.val is None:
            return True
        (name,) = identify([op.weight.val], weights)
        return not is_layer(name) or layers[name] != recipes.FLOAT

    return selects


def _notes(scheme: schemes.Scheme, between: Mapping[str, int]) -> tuple[str, ...]:
    arithmetic = "float32" if scheme.name == "fp32" else "float16"
    notes = [
        f"{arithmetic} arithmetic, float32 inputs and outputs",
        "Core ML decides on the device which unit runs an operator: delegated operators are not known",
    ]
    if between:
        listed = ", ".join(f"{count} {name}" for name, count in sorted(between.items()))
        notes.append(f"float operators inside the quantized network: {listed}")
    return tuple(notes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep coremltools' progress bars and version warnings out of the user's terminal."""
    logs = [logging.getLogger(name) for name in ("coremltools", "torch.utils._pytree")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata `export` wrote.

    Raises:
        DamagedFile: the package is not whole.
    """
    from igf_mobile import mlpackage

    with _quiet():
        return mlpackage.read_metadata(Path(path))


def load(path: Path, threads: int = 1, compute_unit: str = "cpu") -> Runner:
    """Open an .mlpackage: with Core ML on macOS, by reference evaluation elsewhere.

    Args:
        path: the package.
        threads: of the reference evaluation; Core ML chooses for itself.
        compute_unit: cpu, gpu, npu or all; Core ML only.

    Raises:
        DamagedFile: the package is not whole.
        ValueError: no such compute unit.
    """
    if compute_unit not in _COMPUTE_UNITS:
        raise ValueError(f"compute unit {compute_unit!r} is not one of {', '.join(_COMPUTE_UNITS)}")
    path = Path(path)
    with _quiet():
        _check_edges(path)
        if sys.platform == "darwin":
            return _CoreMLRunner(path, compute_unit)
        return _ReferenceRunner(path, threads)


def _check_edges(path: Path) -> None:
    from igf_mobile import mlpackage

    edges = mlpackage.read_spec(path).description
    inputs, outputs = (tuple(edge.name for edge in side) for side in (edges.input, edges.output))
    if inputs != INPUTS or outputs not in (OUTPUTS, OUTPUTS[1:]):
        found = f"{', '.join(inputs)} -> {', '.join(outputs)}"
        raise DamagedFile(f"{path}: {found} is not {', '.join(INPUTS)} -> {', '.join(OUTPUTS)}")


class _ReferenceRunner:
    def __init__(self, path: Path, threads: int) -> None:
        from igf_mobile.mil_reference import MilProgram

        self._program = MilProgram(path)
        self._path, self._threads = path, threads
        count = f"{threads} thread{'s' if threads > 1 else ''}"
        self.description = f"reference evaluation of the MIL program (not Core ML), torch, {count}"

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        inputs = dict(zip(INPUTS, (guidance, weak_mask), strict=True))
        evaluation = self._program.evaluate(inputs, self._threads)
        if evaluation.faults:
            raise IgfError(
                f"{self._path}: {len(evaluation.faults)} tensors hold a NaN or overflow float16, "
                f"{evaluation.faults[0]} first"
            )
        return with_alpha(evaluation.outputs, guidance)


class _CoreMLRunner:
    def __init__(self, path: Path, compute_unit: str) -> None:
        import coremltools as ct

        try:
            self._model = ct.models.MLModel(
                str(path), compute_units=getattr(ct.ComputeUnit, _COMPUTE_UNITS[compute_unit])
            )
        except Exception as error:  # Core ML's compiler reports through RuntimeError and its kin
            raise DamagedFile(f"{path}: Core ML refuses it: {str(error).splitlines()[0]}") from error
        self.description = f"Core ML, macOS {platform.mac_ver()[0]}, {_COMPUTE_UNITS[compute_unit]}"

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        result = self._model.predict(dict(zip(INPUTS, (guidance, weak_mask), strict=True)))
        return with_alpha({name: np.asarray(values, np.float32) for name, values in result.items()}, guidance)


def runs_here() -> str | None:
    """None, or why not: coremltools is all that the reference evaluation needs."""
    try:
        with _quiet():
            import coremltools  # noqa: F401
    except ImportError as error:
        return f"coremltools cannot be imported: {error}"
    return None


def layers(path: Path) -> Sequence[Layer]:
    """The convolutions of a .mlpackage; see `contents`."""
    from igf_mobile.contents import mlpackage

    return mlpackage.layers(path)


BACKEND = Backend(
    name="coreml",
    suffix=".mlpackage",
    schemes=tuple(_RECIPES),
    packages=("coremltools", "torch", "torchao"),
    export=export,
    load=load,
    runs_here=runs_here,
    read_metadata=read_metadata,
    layer_precisions=(recipes.FLOAT, recipes.WEIGHTS, recipes.STATIC),
    layers=layers,
)
