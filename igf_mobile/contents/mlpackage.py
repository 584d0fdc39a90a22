"""Convolutions of an .mlpackage, from its MIL program."""

from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile.contents.layers import Array, Grid, Layer

_NUMBERS = {"constexpr_affine_dequantize": "int8", "constexpr_lut_to_dense": "palette4"}


def layers(path: Path) -> list[Layer]:
    """Every convolution of the program, in its order.

    Raises:
        DamagedFile: the package is not whole.
    """
    from igf_mobile.mil_reference import MilProgram

    program = MilProgram(path)
    found = []
    for op in program.operations:
        if op.op_type == "conv":
            values, number = _weights(op.weight, program)
            found.append(Layer(f"{op.outputs[0].name} (conv)", values, number, _grid(op.x)))
    return found


def _weights(var: Any, program: Any) -> tuple[Array, str]:
    if var.op is not None and var.op.op_type in _NUMBERS:
        return program.weights[var.name].numpy().astype(np.float64), _NUMBERS[var.op.op_type]
    value = np.asarray(var.val)
    return value.astype(np.float64), str(value.dtype)


def _grid(var: Any) -> Grid | None:
    """Of a tensor that comes out of a dequantize."""
    if var.op is None or var.op.op_type != "dequantize":
        return None
    from coremltools.converters.mil.mil import types

    zero = var.op.zero_point
    low, high = (0, 255) if types.builtin_to_string(var.op.input.dtype) == "uint8" else (-128, 127)
    return Grid(float(var.op.scale.val), int(zero.val) if zero is not None else 0, low, high)
