"""Transposes moved past operators that do not mind the order of axes, where they meet others and cancel.

`primitives.sixth` multiplies by a number between two convolutions, and each brought its pair of transposes; pads and
slices of rows were taken between another pair. A transpose goes from what an operator reads to what it writes, step by
step; what is kept are the steps after which the graph has fewer nodes, or as many that transpose less.
"""

import copy
from collections.abc import Callable
from typing import Any

from igf_mobile.xnnpack_graph.nodes import (
    TRANSPOSE,
    Values,
    kind_of,
    makers,
    reads,
    replaced,
    sources,
    writes,
)
from igf_mobile.xnnpack_graph.transposes import join_transposes

POINTWISE = (
    "XNNAbs",
    "XNNAdd",
    "XNNClamp",
    "XNNDiv",
    "XNNExp",
    "XNNMaximum",
    "XNNMinimum",
    "XNNMultiply",
    "XNNNegate",
    "XNNReciprocalSquareRoot",
    "XNNSigmoid",
    "XNNSquare",
    "XNNSquareRoot",
    "XNNSubtract",
    "XNNTanh",
)
_BY_AXIS = {"XNNStaticConstantPad": ("pre_paddings", "post_paddings"), "XNNStaticSlice": ("offsets", "sizes")}
_CONCATENATION = "XNNConcatenate"
_LONGEST = 24
"""Steps after which a transpose that has not cancelled is given up."""


def sink_transposes(graph: Any) -> None:
    """Move transposes down while that makes the graph smaller; in place.

    Args:
        graph: an `XNNGraph`, its nodes in order.
    """
    join_transposes(graph)
    start = 0
    while start < len(graph.xnodes):
        shorter = _shorter(graph, start)
        if shorter is None:
            start += 1
        else:
            graph.xnodes[:], graph.xvalues[:] = shorter.xnodes, shorter.xvalues


def _shorter(graph: Any, start: int) -> Any:
    """The graph after the fewest steps from one operator that shorten it; None when no steps do."""
    if _orders(graph.xnodes[start].xnode_union, makers(graph), Values(graph)) is None:
        return None
    before = _cost(graph)
    trial = copy.deepcopy(graph)
    sunk = {*writes(graph.xnodes[start].xnode_union)}
    place = start
    for _ in range(_LONGEST):
        sunk |= {*_sink(trial, place)}
        result = copy.deepcopy(trial)
        join_transposes(result)
        if _cost(result) < before:
            return result
        made_by, values = makers(trial), Values(trial)
        following = [
            position
            for position, node in enumerate(trial.xnodes)
            if not sunk.isdisjoint(sources(node.xnode_union))
            and _orders(node.xnode_union, made_by, values) is not None
        ]
        if not following:
            return None
        place = following[0]
    return None


def _cost(graph: Any) -> tuple[int, int]:
    """Nodes, and elements that are transposed."""
    values = Values(graph)
    moved = [n.xnode_union.output_id for n in graph.xnodes if kind_of(n.xnode_union) == TRANSPOSE]
    return len(graph.xnodes), sum(values.elements(index) for index in moved)


def _orders(operator: Any, made_by: dict[int, Any], values: Values) -> list[int] | None:
    """The one order of axes by which all that an operator reads was transposed; None where it must not move."""
    kind = kind_of(operator)
    if kind not in (*POINTWISE, *_BY_AXIS) and not kind.startswith(_CONCATENATION):
        return None
    found: list[int] | None = None
    for index in sources(operator):
        if kind in POINTWISE and values.elements(index) == 1:
            continue  # the same number everywhere
        transpose = made_by[index].xnode_union if index in made_by else None
        if transpose is None or kind_of(transpose) != TRANSPOSE:
            return None
        if values.number(transpose.input_id) != values.number(index):
            return None
        if found not in (None, list(transpose.perm)):
            return None
        found = list(transpose.perm)
    if found is None or len(values.tensor(operator.output_id).dims) != len(found):
        return None
    return found


def _sink(graph: Any, place: int) -> list[int]:
    """Move the transposes of what a node reads to what it writes, in place; the new tensor and the old."""
    values, made_by = Values(graph), makers(graph)
    node = graph.xnodes[place]
    operator = node.xnode_union
    order = _orders(operator, made_by, values)
    assert order is not None

    def back(entries: list[int]) -> list[int]:
        return [entries[order.index(axis)] for axis in range(len(order))]

    result = values.like(operator.output_id, back(values.tensor(operator.output_id).dims))
    transposes = {
        name: made_by[index]
        for name in reads(operator)
        if (index := getattr(operator, name)) in made_by and values.elements(index) > 1
    }
    changes: dict[str, Any] = {name: other.xnode_union.input_id for name, other in transposes.items()}
    changes |= _moved_axes(operator, order, back)
    after = replaced(next(iter(transposes.values())), input_id=result, output_id=operator.output_id)
    graph.xnodes[place : place + 1] = [replaced(node, **changes, output_id=result), after]
    return [result, operator.output_id]


def _moved_axes(operator: Any, order: list[int], back: Callable[[list[int]], list[int]]) -> dict[str, Any]:
    kind = kind_of(operator)
    if kind.startswith(_CONCATENATION):
        return {"axis": order[operator.axis]}
    return {name: back(list(getattr(operator, name))) for name in _BY_AXIS.get(kind, ())}
