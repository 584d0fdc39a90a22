"""Operators that another one does on its way: a clamp, a resize of int8, a copy into an output."""

from typing import Any

from igf_mobile.xnnpack_graph.nodes import (
    CONVERT,
    RESHAPE,
    TRANSPOSE,
    Values,
    kind_of,
    makers,
    readers,
    sources,
    writes,
)

_CLAMP, _RESIZE = "XNNClamp", "XNNStaticResizeBilinear2D"
_WITH_LIMITS = (
    "XNNAdd",
    "XNNSubtract",
    "XNNMultiply",
    "XNNDiv",
    "XNNConv2d",
    "XNNDepthwiseConv2d",
    "XNNFullyConnected",
    "XNNAvgPooling2d",
)
"""What ExecuTorch's runtime gives limits of the output to."""


def fuse_clamps(graph: Any) -> None:
    """Let what writes a clamp's only source limit its own output; in place."""
    values, made_by, read = Values(graph), makers(graph), readers(graph)
    gone = []
    for node in graph.xnodes:
        clamp = node.xnode_union
        if kind_of(clamp) != _CLAMP or node.output_min_max is None or clamp.input_id not in made_by:
            continue
        before = made_by[clamp.input_id]
        if kind_of(before.xnode_union) not in _WITH_LIMITS or read[clamp.input_id] > 1:
            continue
        if values.is_external(clamp.input_id) or not values.is_float(clamp.input_id):
            continue
        if values.number(clamp.input_id) != values.number(clamp.output_id):
            continue
        limits = _both(before.output_min_max, node.output_min_max)
        if limits is None:
            continue
        before.output_min_max, before.xnode_union.output_id = limits, clamp.output_id
        made_by[clamp.output_id] = before
        gone.append(id(node))
    _without(graph, gone)


def _both(first: Any, second: Any) -> Any:
    """Limits that do what the first and then the second do; None where they leave no interval."""
    if first is None:
        return second
    low = max(float(first.output_min), float(second.output_min))
    high = min(float(first.output_max), float(second.output_max))
    return type(second)(low, high) if low < high else None


def resize_quantized(graph: Any) -> None:
    """Resize int8 as int8 where ExecuTorch makes floats of it, resizes them and quantizes them as before; in place.

    XNNPACK's resize of int8 has weights of 11 bits and rounds once: within a step of the way over floats.
    """
    values, made_by, read = Values(graph), makers(graph), readers(graph)
    gone = []
    for node in graph.xnodes:
        quantize = node.xnode_union
        resize = made_by.get(quantize.input_id) if kind_of(quantize) == CONVERT else None
        if resize is None or kind_of(resize.xnode_union) != _RESIZE or read[quantize.input_id] > 1:
            continue
        widen = made_by.get(resize.xnode_union.input_id)
        if widen is None or kind_of(widen.xnode_union) != CONVERT or values.is_external(quantize.input_id):
            continue
        source = widen.xnode_union.input_id
        # With a zero point: not what is quantized on the fly.
        if not hasattr(values.scheme(source), "zero_point"):
            continue
        if values.number(source) != values.number(quantize.output_id) or not values.is_float(
            quantize.input_id
        ):
            continue
        resize.xnode_union.input_id, resize.xnode_union.output_id = source, quantize.output_id
        gone.append(id(node))
    _without(graph, gone)


def write_outputs(graph: Any) -> None:
    """Let what makes a tensor write the output that a transpose or reshape of nothing only copied it to; in place.

    XNNPACK lets other nodes read an output.
    """
    values, made_by = Values(graph), makers(graph)
    gone = []
    for node in graph.xnodes:
        copy = node.xnode_union
        if kind_of(copy) not in (TRANSPOSE, RESHAPE) or not values.is_external(copy.output_id):
            continue
        inside, outside = copy.input_id, copy.output_id
        if list(values.tensor(inside).dims) != list(values.tensor(outside).dims):
            continue
        if list(perm := getattr(copy, "perm", [])) != sorted(perm):
            continue
        if (
            inside not in made_by
            or values.is_external(inside)
            or values.number(inside) != values.number(outside)
        ):
            continue
        for other in graph.xnodes:
            operator = other.xnode_union
            for name in [name for name in vars(operator) if name.endswith("_id")]:
                if getattr(operator, name) == inside and inside in (*sources(operator), *writes(operator)):
                    setattr(operator, name, outside)
        gone.append(id(node))
        made_by[outside] = made_by.pop(inside)
    _without(graph, gone)


def _without(graph: Any, gone: list[int]) -> None:
    graph.xnodes[:] = [node for node in graph.xnodes if id(node) not in gone]
