"""Reference evaluation of the MIL program in an .mlpackage, for machines without Core ML.

Reads what the file says, weights and quantization included, and computes it with torch. This is not
Apple's runtime. Where the file says float16, each operator is computed in float32 from float16 inputs
and its result is rounded to float16: the least error float16 storage allows. Apple's units may also
round inside an operator, fuse two of them (and skip a rounding), or multiply int8 as integers; what is
measured here is the file, not a phone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.mil_operators import OPERATORS
from igf_mobile.mlpackage import read_spec, weights_folder

FloatArray = NDArray[np.float32]

FLOAT16_MAX = 65504.0


@dataclass(frozen=True)
class Evaluation:
    """What one run of a program gave."""

    outputs: dict[str, FloatArray]
    max_abs: dict[str, float] = field(repr=False)
    """Tensor name -> its largest magnitude; infinite or NaN where a value was."""

    @property
    def faults(self) -> tuple[str, ...]:
        """The tensors with a NaN or with a value that float16 cannot hold, in program order."""
        return tuple(name for name, largest in self.max_abs.items() if not math.isfinite(largest))


class MilProgram:
    """The program of an .mlpackage, ready to be evaluated.

    Attributes:
        operations: coremltools' operations in program order, constants left out.
        inputs: name -> shape.
        outputs: names, in order.
        weights: name -> what a constant that is stored as int8 stands for.
    """

    def __init__(self, path: Path) -> None:
        """Load the package.

        Raises:
            DamagedFile: the package is not whole, or its program cannot be read.
            IgfError: the program has an operator that `mil_operators` does not.
        """
        function = _load_function(path)
        self.operations: list[Any] = [op for op in function.operations if op.op_type != "const"]
        self.inputs = {name: tuple(var.shape) for name, var in function.inputs.items()}
        self.outputs = tuple(var.name for var in function.outputs)
        unknown = sorted({op.op_type for op in self.operations} - OPERATORS.keys())
        if unknown:
            raise IgfError(
                f"{path}: no reference for operator {', '.join(unknown)}; supported: {', '.join(OPERATORS)}"
            )
        self.weights = self._evaluate_constants()

    def evaluate(self, inputs: Mapping[str, FloatArray], threads: int = 1) -> Evaluation:
        """Run the program once.

        Args:
            inputs: name -> float32 array of the shape in `self.inputs`.
            threads: of torch, for this call.

        Raises:
            ValueError: a name or shape that is not the program's.
        """
        values: dict[str, Any] = dict(self.weights)
        for name, shape in self.inputs.items():
            if name not in inputs or inputs[name].shape != shape:
                got = inputs[name].shape if name in inputs else "nothing"
                raise ValueError(f"input {name} must have shape {shape}, got {got}")
            values[name] = torch.from_numpy(np.ascontiguousarray(inputs[name], np.float32))
        max_abs: dict[str, float] = {}
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.inference_mode():
                for op in self.operations:
                    name = op.outputs[0].name
                    if name not in values:
                        values[name] = _compute(op, values)
                        max_abs[name] = _largest(values[name])
        finally:
            torch.set_num_threads(before)
        outputs = {name: values[name].numpy().astype(np.float32) for name in self.outputs}
        return Evaluation(outputs, max_abs)

    def weight(self, convolution: Any) -> FloatArray:
        """The weights (O,I,kh,kw) of one of the operations, unpacked."""
        value = _argument(convolution.weight, self.weights)
        return value.numpy() if isinstance(value, Tensor) else np.asarray(value, np.float32)

    def _evaluate_constants(self) -> dict[str, Tensor]:
        """The weights that are stored as int8 or as palettes, once for all runs."""
        constants = [op for op in self.operations if op.op_type.startswith("constexpr_")]
        return {op.outputs[0].name: _compute(op, {}) for op in constants}


def _load_function(path: Path) -> Any:
    from coremltools.converters.mil.frontend.milproto.load import load

    spec = read_spec(path)
    try:
        program = load(spec, spec.specificationVersion, file_weights_dir=str(weights_folder(path)))
        return program.functions["main"]
    except Exception as error:  # coremltools raises whatever its builder trips over
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedFile(f"{path}: its program cannot be read: {reason}") from error


def _compute(op: Any, values: Mapping[str, Any]) -> Tensor:
    """The result of one operation, rounded to the type the file gives it."""
    arguments = {name: _argument(var, values) for name, var in op.inputs.items() if var is not None}
    try:
        result = OPERATORS[op.op_type](**arguments)
    except (TypeError, RuntimeError) as error:
        raise IgfError(f"operator {op.op_type} ({op.outputs[0].name}): {error}") from error
    return result.half().float() if is_float16(op.outputs[0]) else result


def _argument(var: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(var, (list, tuple)):
        return [_argument(item, values) for item in var]
    return values.get(var.name, var.val)


def is_float16(var: Any) -> bool:
    """Does the file give this tensor 16 bits?"""
    from coremltools.converters.mil.mil import types

    return bool(var.dtype == types.fp16)


def _largest(value: Tensor) -> float:
    if not value.is_floating_point():
        return float(value.to(torch.int16).abs().max())
    low, high = torch.aminmax(value)
    return float(torch.maximum(-low, high))
