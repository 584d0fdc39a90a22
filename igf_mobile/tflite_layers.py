"""The operators of a .tflite: which are which layer's convolution, and what each computes with."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from igf_mobile.contents.layers import Layer
from igf_mobile.contents.tflite import builtin, layers_of, model_of
from igf_mobile.layers import identify, is_layer, surrounded
from igf_mobile.recipes import FLOAT, STATIC, WEIGHTS

FloatArray = NDArray[np.float32]

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_PAD = "PAD"


@dataclass(frozen=True)
class Operator:
    """One operator of the graph."""

    kind: str
    """As the schema names it: "CONV_2D"."""
    scope: str
    """Its output's name, by which ai-edge-quantizer selects it."""
    reads: tuple[int, ...]
    """Indices of the operators that made its inputs."""


def read_operators(content: bytes) -> list[Operator]:
    """The operators of a flatbuffer, in its order."""
    from ai_edge_litert import schema_py_generated as schema

    tree = model_of(content)
    (graph,) = tree.subgraphs
    kinds = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    made_by: dict[int, int] = {}
    operators = []
    for index, op in enumerate(graph.operators):
        kind = kinds[builtin(tree, op)]
        reads = tuple(made_by[i] for i in op.inputs if i in made_by)
        named = [graph.tensors[i].name or b"" for i in op.outputs]
        scope = "".join(f"{name.decode()};" for name in named)
        operators.append(Operator(kind, scope, reads))
        made_by |= dict.fromkeys(op.outputs, index)
    return operators


def _precision(layer: Layer) -> str:
    """One of `recipes.PRECISIONS`, or what else the file has."""
    if layer.number == "int8":
        return WEIGHTS if layer.source is None else STATIC
    return FLOAT if layer.number == "float32" else f"{layer.number} weights"


def layers_found(content: bytes, weights: Mapping[str, FloatArray]) -> dict[str, str]:
    """Layer -> the precision that the file computes it with.

    Raises:
        IgfError: a convolution is of no layer.
    """
    layers = layers_of(content)
    names = identify([layer.weights for layer in layers], weights)
    return {name: _precision(layer) for name, layer in zip(names, layers, strict=True) if is_layer(name)}


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
    indices = [i for i, op in enumerate(operators) if op.kind in _CONVOLUTIONS]
    names = identify([layer.weights for layer in layers_of(content)], weights)
    layer_of = {i: name for i, name in zip(indices, names, strict=True) if is_layer(name)}
    around = surrounded({i: op.reads for i, op in enumerate(operators)}, layer_of)
    for index, op in enumerate(operators):
        if op.kind == _PAD:
            # With the convolution that it is for: what it writes has no range of its own.
            around[index] = {
                layer_of[i] for i, reader in enumerate(operators) if index in reader.reads if i in layer_of
            }
    scopes: dict[str, list[str]] = {WEIGHTS: [], STATIC: []}
    for index, op in enumerate(operators):
        if index in layer_of and layers[layer_of[index]] == WEIGHTS:
            scopes[WEIGHTS].append(op.scope)
        elif around[index] and all(layers[name] == STATIC for name in around[index]):
            scopes[STATIC].append(op.scope)
    return scopes
