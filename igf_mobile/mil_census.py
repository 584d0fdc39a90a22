"""How much of a MIL program is int8, counted in the file and not in what was asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from igf_mobile.coreml_palettes import NETWORK, is_kept
from igf_mobile.layers import FloatArray, identify
from igf_mobile.mil_reference import MilProgram, is_float16
from igf_mobile.recipes import FLOAT, STATIC, WEIGHTS
from igf_mobile.schemes import Scheme

_INT8 = "dequantize_per_channel"
"""How the values of int8 weights are called in `w8a8`."""

_STORED_AS = {"int8": "constexpr_affine_dequantize", "palette4": "constexpr_lut_to_dense"}
"""Numbers of a scheme's weights -> the operator that unpacks them."""


@dataclass(frozen=True)
class Census:
    """Counts of operators."""

    int8: dict[str, int]
    """Operator -> how many compute with int8 or palettized weights or on int8 activations."""
    left_float: dict[str, int]
    """Weight name -> 1 for each convolution that the scheme wants in int8 or palettized and that is not."""
    between: dict[str, int]
    """Operator -> how many are float although they lie between two int8 convolutions of the network."""


def take(path: Path, scheme: Scheme) -> Census:
    """Count the operators of a package that was meant to follow `scheme`.

    Raises:
        DamagedFile: the package is not whole.
    """
    if scheme.weights not in _STORED_AS:
        return Census({}, {}, {})
    int8: Counter[str] = Counter()
    left_float: Counter[str] = Counter()
    activations = scheme.activations == "int8"
    operations = MilProgram(path).operations
    for op in operations:
        if _is_layer(op) and not (scheme.weights == "palette4" and is_kept(op.weight.name)):
            weights_are = _comes_from(op.weight, _STORED_AS[scheme.weights])
            if weights_are and (_comes_from(op.x, "dequantize") or not activations):
                int8["conv"] += 1
            else:
                left_float[op.weight.name] += 1
        elif _is_int8_addition(op):
            int8["add"] += 1
    between = Counter(op.op_type for op in _between_convolutions(operations)) if activations else {}
    return Census(dict(int8), dict(left_float), dict(between))


def layers_found(path: Path, weights: Mapping[str, FloatArray]) -> dict[str, str]:
    """Layer -> what the package computes it with (of `recipes.PRECISIONS`, or the type it has).

    Raises:
        DamagedFile: the package is not whole.
        IgfError: a convolution is of no layer.
    """
    program = MilProgram(path)
    convolutions = [op for op in program.operations if _is_layer(op)]
    names = identify([program.weight(op) for op in convolutions], weights)
    return {name: _precision(op) for name, op in zip(names, convolutions, strict=True)}


def _is_layer(op: Any) -> bool:
    """Whether it is a convolution of the network; int8 weights have no name of their own."""
    return op.op_type == "conv" and (NETWORK in op.weight.name or op.weight.name.startswith(_INT8))


def _precision(convolution: Any) -> str:
    if _comes_from(convolution.weight, _STORED_AS["int8"]):
        return STATIC if _comes_from(convolution.x, "dequantize") else WEIGHTS
    kinds = {is_float16(var) for var in (convolution.x, convolution.weight)}
    return FLOAT if kinds == {False} else "float16"


def _is_int8_addition(op: Any) -> bool:
    return op.op_type == "add" and _comes_from(op.x, "dequantize") and _comes_from(op.y, "dequantize")


def _comes_from(var: Any, op_type: str) -> bool:
    return var.op is not None and var.op.op_type == op_type


def _between_convolutions(operations: Sequence[Any]) -> list[Any]:
    """The float operations that read, however indirectly, one convolution and feed another."""
    after: set[str] = set()
    for op in operations:
        if _is_layer(op) or any(name in after for name in _reads(op)):
            after.add(op.outputs[0].name)
    before: set[str] = set()
    for op in reversed(operations):
        if _is_layer(op) or op.outputs[0].name in before:
            before.update(_reads(op))
    inside = [op for op in operations if op.outputs[0].name in after & before]
    return [
        op
        for op in inside
        if op.op_type not in ("conv", "quantize", "dequantize") and not _is_int8_addition(op)
    ]


def _reads(op: Any) -> list[str]:
    values = [value for value in op.inputs.values() if value is not None]
    return [var.name for value in values for var in (value if isinstance(value, (list, tuple)) else [value])]
