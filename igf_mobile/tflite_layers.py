"""The operators of a .tflite: which are which layer's convolution, and what each computes with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from igf_mobile.layers import identify, is_layer, surrounded
from igf_mobile.recipes import FLOAT, STATIC, WEIGHTS

FloatArray = NDArray[np.float32]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@dataclass(frozen=True)
class Operator:
    """One operator of the graph."""

    kind: str
    """As the schema names it: "CONV_2D"."""
    scope: str
    """Its output's name, by which ai-edge-quantizer selects it."""
    reads: tuple[int, ...]
    """Indices of the operators that made its inputs."""
    weights: FloatArray | None
    """(O,I,kh,kw) of a convolution, dequantized."""
    precision: str
    """One of `recipes.PRECISIONS`, or the two types as the file has them; convolutions only."""


def read_operators(content: bytes) -> list[Operator]:
    """The operators of a flatbuffer, in its order."""
    from ai_edge_litert import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    (graph,) = tree.subgraphs
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    made_by: dict[int, int] = {}
    operators = []
    for index, op in enumerate(graph.operators):
        code = tree.operatorCodes[op.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        weights, precision = None, ""
        if kind in _CONVOLUTIONS:
            source, constant = op.inputs[0], op.inputs[1]
            stored = graph.operators[made_by[constant]].inputs[0] if constant in made_by else constant
            weights = _weights(tree, graph.tensors[stored], depthwise=kind != "CONV_2D")
            types = tuple(graph.tensors[i].type for i in (source, constant, stored))
            precision = _precision(schema.TensorType, *types)
        reads = tuple(made_by[i] for i in op.inputs if i in made_by)
        named = [graph.tensors[i].name or b"" for i in op.outputs]
        scope = "".join(f"{name.decode()};" for name in named)
        operators.append(Operator(kind, scope, reads, weights, precision))
        made_by |= dict.fromkeys(op.outputs, index)
    return operators


def _precision(types: Any, source: int, constant: int, stored: int) -> str:
    known = {
        (types.FLOAT32, types.FLOAT32, types.FLOAT32): FLOAT,
        (types.FLOAT32, types.FLOAT32, types.INT8): WEIGHTS,
        (types.INT8, types.INT8, types.INT8): STATIC,
    }
    return known.get((source, constant, stored), f"type {stored} weights, type {source} activations")


def _weights(tree: Any, tensor: Any, depthwise: bool) -> FloatArray:
    kinds = {0: np.float32, 1: np.float16, 9: np.int8}
    raw = np.frombuffer(bytes(tree.buffers[tensor.buffer].data), kinds[tensor.type])
    values = raw.reshape(tensor.shape).astype(np.float32)
    if tensor.type == 9:
        side = [1] * values.ndim
        side[tensor.quantization.quantizedDimension] = -1
        values = values * np.asarray(tensor.quantization.scale, np.float32).reshape(side)
    # O,h,w,I, or 1,h,w,O of a depthwise one, to O,I,h,w
    return np.ascontiguousarray(values.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2)))


def layers_found(content: bytes, weights: Mapping[str, FloatArray]) -> dict[str, str]:
    """Layer -> the precision that the file computes it with.

    Raises:
        IgfError: a convolution is of no layer.
    """
    convolutions = [op for op in read_operators(content) if op.weights is not None]
    names = identify([op.weights for op in convolutions if op.weights is not None], weights)
    return {name: op.precision for name, op in zip(names, convolutions, strict=True) if is_layer(name)}


def scopes_by_precision(
    content: bytes, weights: Mapping[str, FloatArray], layers: Mapping[str, str]
) -> dict[str, list[str]]:
    """Precision -> scopes of the operators to compute with it; float32 is what is in none.

    Args:
        content: the float flatbuffer.
        weights: from `layers.layer_weights`.
        layers: layer -> precision.
    """
    operators = read_operators(content)
    indices = [i for i, op in enumerate(operators) if op.weights is not None]
    names = identify([operators[i].weights for i in indices], weights)  # type: ignore[misc]
    layer_of = {i: name for i, name in zip(indices, names, strict=True) if is_layer(name)}
    around = surrounded({i: op.reads for i, op in enumerate(operators)}, layer_of)
    scopes: dict[str, list[str]] = {WEIGHTS: [], STATIC: []}
    for index, op in enumerate(operators):
        if index in layer_of and layers[layer_of[index]] == WEIGHTS:
            scopes[WEIGHTS].append(op.scope)
        elif around[index] and all(layers[name] == STATIC for name in around[index]):
            scopes[STATIC].append(op.scope)
    return scopes
