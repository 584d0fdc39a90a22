"""What a backend is: one file that can export a Generator and, where the machine allows, run the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from igf_mobile.contents.layers import Layer
from igf_mobile.errors import NotPossible
from igf_mobile.ranges import Ranges

FloatArray = NDArray[np.float32]
Calibration = Ranges | Sequence[tuple[FloatArray, FloatArray]]

INPUTS = ("guidance", "weak_mask")
OUTPUTS = ("alpha", "coefficients")
"""Tensor names, in this order, in every artifact but those that end at the coefficients, which have no alpha."""


class BackendUnavailable(NotPossible):
    """This machine cannot run the backend's artifacts; the text says why."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of an artifact, as the file has it."""

    name: str
    shape: tuple[int, ...]
    layout: str
    """"NCHW" or "NHWC"."""
    dtype: str
    """What crosses the edge: "float32" or "float16"."""
    minimum: float | None
    maximum: float | None
    """Range of values; None where unbounded."""
    channels: tuple[str, ...]
    """Names along C, e.g. ("red", "green", "blue")."""


def output_names(coefficients_only: bool) -> tuple[str, ...]:
    """Of an artifact, in order."""
    return OUTPUTS[1:] if coefficients_only else OUTPUTS


def tensor_specs(
    size: tuple[int, int], layout: str, coefficients_only: bool = False
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """(inputs, outputs) of an artifact for images of `size` (H, W); `layout` is that of the coefficients.

    Pictures are planes in every runtime (`blocks.py` says why). Coefficients with the channels last are one texel each,
    as those who apply them read them.
    """

    def spec(name: str, h: int, w: int, low: float | None, high: float | None, *channels: str) -> TensorSpec:
        c, order = len(channels), layout if name == "coefficients" else "NCHW"
        shape = (1, c, h, w) if order == "NCHW" else (1, h, w, c)
        return TensorSpec(name, shape, order, "float32", low, high, channels)

    height, width = size
    inputs = (
        spec("guidance", height, width, 0.0, 1.0, "red", "green", "blue"),
        spec("weak_mask", height, width, 0.0, 1.0, "mask"),
    )
    outputs = (
        spec("alpha", height, width, 0.0, 1.0, "alpha"),
        spec("coefficients", height // 4, width // 4, None, None, "a_red", "a_green", "a_blue", "b"),
    )
    names = output_names(coefficients_only)
    return inputs, tuple(output for output in outputs if output.name in names)


def with_alpha(outputs: Mapping[str, FloatArray], guidance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a `Runner` returns, from an artifact's outputs by name; alpha is applied here where the artifact has none.

    Args:
        outputs: alpha (1,1,H,W); coefficients (1,4,H/4,W/4), or (1,H/4,W/4,4) as told by 4 rows being too few.
        guidance: (1,3,H,W).
    """
    coefficients = outputs["coefficients"]
    if coefficients.shape[1] != 4:
        # Contiguous: runtimes take strides for an order of axes of their own.
        coefficients = np.ascontiguousarray(coefficients.transpose(0, 3, 1, 2))
    if "alpha" in outputs:
        return outputs["alpha"], coefficients
    from igf_mobile.full_resolution import apply_coefficients  # numba takes a second to import

    alpha = apply_coefficients(coefficients[0].transpose(1, 2, 0), guidance[0].transpose(1, 2, 0), threads=1)
    return alpha[None, None], coefficients


@dataclass(frozen=True)
class Artifact:
    """An exported file and what is known of it without running it."""

    path: Path
    backend: str
    scheme: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    delegated: Mapping[str, int] = field(default_factory=dict)
    """Operator name -> count of operators the accelerated path takes."""
    fallback: Mapping[str, int] = field(default_factory=dict)
    """Operator name -> count of operators that fell out of it."""
    quantized: Mapping[str, int] = field(default_factory=dict)
    """Operator name -> count of operators with int8 weights or activations."""
    notes: tuple[str, ...] = ()
    layers: Mapping[str, str] = field(default_factory=dict)
    """Layer -> the precision the file computes it with; of recipes only."""


class Runner(Protocol):
    """A loaded artifact. NumPy in, NumPy out, always float32 NCHW, whatever the file holds."""

    description: str
    """Runtime, version, threads; for the report. A stand-in says that it is one."""

    def __call__(self, guidance: FloatArray, weak_mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(1,3,H,W), (1,1,H,W) -> alpha (1,1,H,W), coefficients (1,4,H/4,W/4)."""
        ...


@dataclass(frozen=True)
class Backend:
    """The whole of a backend; a file in this folder defines one as `BACKEND`."""

    name: str
    suffix: str
    """".tflite", ".pte", ".mlpackage"."""
    schemes: tuple[str, ...]
    packages: tuple[str, ...]
    """PyPI distributions whose versions decide the artifact's bytes."""
    export: Callable[..., Artifact]
    """export(model, scheme, calibration, path, metadata) -> Artifact; see `ExportFunction`."""
    load: Callable[..., Runner]
    """load(path, threads=1) -> Runner; raises BackendUnavailable where it cannot run."""
    runs_here: Callable[[], str | None]
    """None where `load` works on this machine, otherwise the reason why not."""
    read_metadata: Callable[[Path], dict[str, str]]
    """The metadata written into the file (name, version, licence, checkpoint hash)."""
    layer_precisions: tuple[str, ...] = ()
    """What a recipe may ask of a layer (`recipes.PRECISIONS`); none: no recipes."""
    layers: Callable[[Path], Sequence[Layer]] | None = None
    """The convolutions of a file; raises ValueError where it holds something unknown. None: nothing reads it."""


class ExportFunction(Protocol):
    """The signature of `Backend.export`."""

    def __call__(
        self,
        model: object,
        scheme: str,
        calibration: Calibration,
        path: Path,
        metadata: Mapping[str, str],
        size: tuple[int, int] = (512, 512),
        layers: Mapping[str, str] | None = None,
        coefficients_only: bool = False,
    ) -> Artifact:
        """Write `path`.

        Args:
            model: an `igf_mobile.model.Generator` in eval mode.
            scheme: one of the backend's schemes, or a recipe's name.
            calibration: the activation ranges, or pairs (guidance (1,3,H,W), weak_mask (1,1,H,W)) to observe
                them on; used for int8 activations only.
            path: where the artifact goes; its folder exists.
            metadata: written into the file.
            size: (H, W), multiples of 32.
            layers: a recipe's layers, all of them, each with one of `layer_precisions`; given to backends that
                have those, for recipes alone.
            coefficients_only: end at A and B, and leave alpha = A * I + B to whoever has the frame; given only
                where it is True.
        """
        ...
