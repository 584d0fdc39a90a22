"""Gates on what is inside an artifact: weights against the checkpoint, int8 ranges against the calibration set.

Outputs alone cannot tell a slightly worse artifact from a slightly wrong one; this can, and it names the layer.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from igf_mobile import schemes
from igf_mobile.contents.layers import Array, Grid, Layer
from igf_mobile.metrics import sqnr_db
from igf_mobile.recipes import FLOAT, WEIGHTS

if TYPE_CHECKING:
    from igf_mobile.contents.expected import Activation, Expected

WEIGHT_LIMITS = {"float32": 1e-6, "float16": 6e-4, "int8": 0.005, "palette4": 0.4}
"""Number -> largest error of a weight as a share of the largest weight, of its channel for int8, else of its layer.
Measured: int8 0.0039, half a step (Core ML rounds to float16 after that: 0.0046); float16 4.5e-4. 16 palette colours
leave what the data let them: 0.25."""

_LEAST_STEP = 1e-5
"""Half of PT2E's least scale, 2^-16, is all that channels of tiny weights get."""

RANGE_LOSS_DB = 4.5
"""An int8 range may lose this much to the range from minimum to maximum; half or twice as wide loses 6 or more.
Measured: 0.9 (LiteRT), 3.5 (ExecuTorch's histogram observer, which clips)."""

_ENOUGH_DB = 60.0
"""Photographs of 8 bits lie on the very grid; what is better than this counts as this."""

BIAS_LIMIT = 1e-3
"""int32 biases are added to products of codes, so their scale is input times weight."""


def check_contents(
    name: str,
    scheme: str,
    layers: Sequence[Layer],
    expected: Sequence["Expected"],
    precisions: Mapping[str, str] | None = None,
) -> list[str]:
    """A sentence per convolution of an artifact that is not the checkpoint's or whose range is not the calibration's.

    Args:
        name: of the artifact, for the sentences.
        scheme: what it says it is.
        layers: what is in the file.
        expected: of the checkpoint and the calibration set that the manifest names.
        precisions: layer -> what its recipe says, where it has one.
    """
    if len(layers) != len(expected):
        return [f"{name}: {len(layers)} convolutions are in the file, {len(expected)} in the checkpoint"]
    sentences = []
    for layer, wanted in match(layers, expected):
        where = f"{name}: {wanted.name}, {layer.label}"
        precision = precisions.get(wanted.name, FLOAT) if precisions else scheme
        if wanted.is_layer and (sentence := _check_number(layer, precision)):
            sentences.append(f"{where}: {sentence}")
        if sentence := _check_weights(layer, wanted, schemes.get(scheme).weights):
            sentences.append(f"{where}: {sentence}")
        for kind, grid, activation in (
            ("input", layer.source, wanted.source),
            ("output", layer.result, wanted.result),
        ):
            if grid is not None and not (loss := range_loss_db(grid, activation)) <= RANGE_LOSS_DB:
                sentences.append(
                    f"{where}: the int8 range of its {kind}, {grid.minimum:.4g} to {grid.maximum:.4g}, loses "
                    f"{loss:.1f} dB to {activation.minimum:.4g} to {activation.maximum:.4g}, "
                    "the range of the manifest's calibration set"
                )
        if layer.bias_step is not None and not layer.bias_step <= BIAS_LIMIT:
            sentences.append(
                f"{where}: the bias's scale is {layer.bias_step:.1%} off input scale times weight scale"
            )
    return sentences


def match(layers: Sequence[Layer], expected: Sequence["Expected"]) -> list[tuple[Layer, "Expected"]]:
    """Each convolution of a file with the one of the checkpoint that it is most like; file formats keep no names.

    Those of a shape that the checkpoint has not, or not as often, go with what is left over.
    """
    likeness = {
        (i, j): _likeness(layer.weights, wanted.weights)
        for (i, layer), (j, wanted) in product(enumerate(layers), enumerate(expected))
    }
    pairs: dict[int, int] = {}
    for (i, j), _ in sorted(likeness.items(), key=lambda item: -item[1]):
        if i not in pairs and j not in pairs.values():
            pairs[i] = j
    return [(layers[i], expected[j]) for i, j in sorted(pairs.items())]


def _likeness(a: Array, b: Array) -> float:
    """The cosine; among constants that are multiples of each other the nearest in size is a little more alike."""
    if a.shape != b.shape:
        return -2.0
    sizes = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not (min(sizes) > 0.0 and np.isfinite(max(sizes))):
        return -1.0
    return float((a * b).sum()) / (sizes[0] * sizes[1]) - 1e-4 * (1.0 - min(sizes) / max(sizes))


def _check_number(layer: Layer, precision: str) -> str | None:
    """Weights that stayed float; chosen on int8's grid they give the same matte, so no output shows it."""
    if precision == FLOAT or schemes.get(precision).weights != "int8" or layer.number == "int8":
        return None
    # ExecuTorch's `w8` quantizes inputs on the fly, which XNNPACK has for dense convolutions alone.
    depthwise = layer.weights.shape[1] == 1 and layer.weights.shape[0] > 1
    if precision == WEIGHTS and depthwise:
        return None
    return f"its weights are {layer.number}, {precision} has int8"


def _check_weights(layer: Layer, wanted: "Expected", number: str) -> str | None:
    if layer.weights.shape != wanted.weights.shape:
        return f"weights of shape {layer.weights.shape}, the checkpoint's have {wanted.weights.shape}"
    int8 = layer.number == "int8"
    error = np.abs(layer.weights - wanted.weights)
    largest = np.abs(wanted.weights).max(axis=(1, 2, 3) if int8 else None, keepdims=True)
    # ExecuTorch stores the weights of fp16, rounded to float16, as float32.
    limit = WEIGHT_LIMITS["float16" if number == "float16" and layer.number == "float32" else layer.number]
    if (error <= limit * largest + (_LEAST_STEP if int8 else 0.0)).all():  # False for NaN
        return None
    share = float((error / np.maximum(largest, _LEAST_STEP)).max())
    return f"a weight is {share:.2%} of the largest off the checkpoint's, {layer.number} takes {limit:.2%}"


def range_loss_db(grid: Grid, activation: "Activation") -> float:
    """How much SQNR `grid` loses to the plain grid over the tensor's whole range; 0 for a tensor of zeros.

    A symmetric grid is compared with a symmetric one. A range that clips well gains, which is below 0.
    """
    values = activation.values
    if not np.any(values):
        return 0.0
    low, high = min(activation.minimum, 0.0), max(activation.maximum, 0.0)
    if grid.symmetric:
        high = max(-low, high)
        low = -high
    scale = (high - low) / (grid.high - grid.low)
    plain = Grid(scale, round(grid.low - low / scale), grid.low, grid.high)
    best, found = (min(sqnr_db(values, g.rounded(values)), _ENOUGH_DB) for g in (plain, grid))
    return best - found
