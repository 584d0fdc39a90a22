"""Convolutions of a .tflite, from the flatbuffer."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from igf_mobile.contents.layers import Array, Grid, Layer, bias_step

_STORED = {"FLOAT32": (np.float32, "float32"), "FLOAT16": (np.float16, "float16"), "INT8": (np.int8, "int8")}


def layers(path: Path) -> list[Layer]:
    """Every convolution of a file; see `layers_of`."""
    return layers_of(Path(path).read_bytes())


def layers_of(content: bytes) -> list[Layer]:
    """Every convolution, in the order of execution.

    Raises:
        ValueError: weights that are no constant, or of a type that this does not know; as `model_of`.
    """
    from ai_edge_litert import schema_py_generated as schema

    tree = model_of(content)
    (graph,) = tree.subgraphs
    kinds = {
        schema.BuiltinOperator.CONV_2D: "CONV_2D",
        schema.BuiltinOperator.DEPTHWISE_CONV_2D: "DEPTHWISE_CONV_2D",
    }
    producer = {int(index): operator for operator in graph.operators for index in operator.outputs}
    found = []
    for position, operator in enumerate(graph.operators):
        kind = kinds.get(builtin(tree, operator))
        if kind is not None:
            found.append(_layer(tree, graph, operator, producer, f"operator {position} ({kind})"))
    return found


def model_of(content: bytes) -> Any:
    """A file's `ModelT`.

    Raises:
        ValueError: it is not whole.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    except struct.error as error:
        raise ValueError(f"it is not a whole .tflite: {error}") from error


def builtin(tree: Any, operator: Any) -> int:
    """The number of an operator's kind; old files have it in the other field."""
    code = tree.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))


def _layer(tree: Any, graph: Any, operator: Any, producer: dict[int, Any], label: str) -> Layer:
    source, weight, *rest = (int(index) for index in operator.inputs)
    while tree.buffers[graph.tensors[weight].buffer].data is None:
        if weight not in producer:
            raise ValueError(f"{label}: its weights are an input")
        weight = int(producer[weight].inputs[0])  # through the DEQUANTIZE of a constant
    tensor = graph.tensors[weight]
    values, number = _values(tree, tensor, label)
    grid, bias = _grid(graph.tensors[source]), None
    if grid is not None and number == "int8" and rest and rest[0] >= 0:
        bias = bias_step(graph.tensors[rest[0]].quantization.scale, grid, tensor.quantization.scale)
    return Layer(
        label,
        # OHWI; a depthwise one is 1HWC
        values.transpose((3, 0, 1, 2) if "DEPTHWISE" in label else (0, 3, 1, 2)),
        number,
        grid,
        _grid(graph.tensors[int(operator.outputs[0])]),
        bias,
    )


def _values(tree: Any, tensor: Any, label: str) -> tuple[Array, str]:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.TensorType).items() if name in _STORED}
    if tensor.type not in names:
        raise ValueError(f"{label}: weights of type {tensor.type}; known: {', '.join(_STORED)}")
    dtype, number = _STORED[names[tensor.type]]
    values = tree.buffers[tensor.buffer].data.tobytes()
    array = np.frombuffer(values, dtype).reshape(tensor.shape).astype(np.float64)
    if number != "int8":
        return array, number
    scheme = tensor.quantization
    along = [1] * array.ndim
    along[scheme.quantizedDimension if len(scheme.scale) > 1 else 0] = len(scheme.scale)
    scale, zero = (np.asarray(x, np.float64).reshape(along) for x in (scheme.scale, scheme.zeroPoint))
    return np.asarray(scale * (array - zero)), number


def _grid(tensor: Any) -> Grid | None:
    from ai_edge_litert import schema_py_generated as schema

    if tensor.type != schema.TensorType.INT8:
        return None
    return Grid(float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0]))
