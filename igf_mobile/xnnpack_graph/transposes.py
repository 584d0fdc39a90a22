"""Layout changes that cancel, taken out.

ExecuTorch writes a convolution, a pooling or a resize as one of channels last between two transposes, and removes
pairs of its own alone. Where a graph permutes by itself, as `blocks.to_rows` and `blocks.from_rows` do in order to
look at the same bytes in another shape, four transposes of the tensor are left that together move nothing: a
fifth of the frame's time on one core (executorch 1.5.1, measured). LiteRT's converter cancels them.

In int8 it also transposes what it has just quantized, one time for each that reads it, byte by byte: a transpose
is moved before the quantization, where it cancels with another or moves whole floats, and the same one twice is one.
"""

from typing import Any

from igf_mobile.xnnpack_graph.nodes import (
    CONVERT,
    RESHAPE,
    TRANSPOSE,
    Values,
    drop_unread,
    kind_of,
    reads,
    replaced,
    writes,
)

_MOVING = (TRANSPOSE, RESHAPE, CONVERT)


def join_transposes(graph: Any) -> None:
    """Join transposes of transposes and reshapes of reshapes, and drop what nobody reads then; in place.

    Args:
        graph: an `XNNGraph`, its nodes in order.
    """
    values = Values(graph)
    made_by: dict[int, Any] = {}
    stands_for: dict[int, int] = {}
    known: dict[Any, int] = {}
    nodes = []
    for original in graph.xnodes:
        for node in _before_quantizing(original, made_by, stands_for, values):
            operator = node.xnode_union
            for field in reads(operator):
                index = getattr(operator, field)
                setattr(operator, field, stands_for.get(index, index))
            _join(operator, made_by, values)
            nodes.append(node)
            made_by |= dict.fromkeys(writes(operator), operator)
            if kind_of(operator) not in _MOVING or values.is_external(operator.output_id):
                continue
            if _moves_nothing(operator, values):
                stands_for[operator.output_id] = operator.input_id
                continue
            first = known.setdefault(_key(operator, values), operator.output_id)
            if first != operator.output_id:
                stands_for[operator.output_id] = first
    graph.xnodes[:] = nodes
    drop_unread(graph)


def _key(operator: Any, values: Values) -> object:
    """What is the same for two operators that compute the same."""
    datatype, scheme = values.number(operator.output_id)
    details = tuple(getattr(operator, "perm", ())), tuple(getattr(operator, "new_shape", ()))
    return kind_of(operator), operator.input_id, details, datatype, repr(scheme)


def _before_quantizing(
    node: Any, made_by: dict[int, Any], stands_for: dict[int, int], values: Values
) -> list[Any]:
    """A transpose of what was quantized, as the quantization of what was transposed; other nodes as they are."""
    transpose = node.xnode_union
    if kind_of(transpose) != TRANSPOSE:
        return [node]
    convert = made_by.get(stands_for.get(transpose.input_id, transpose.input_id))
    if convert is None or kind_of(convert) != CONVERT:
        return [node]
    if not values.is_float(convert.input_id) or values.number(transpose.output_id) != values.number(
        convert.output_id
    ):
        return [node]
    dims = values.tensor(convert.input_id).dims
    moved = values.like(convert.input_id, [dims[axis] for axis in transpose.perm])
    first = replaced(node, input_id=convert.input_id, output_id=moved, perm=list(transpose.perm))
    convert = type(convert)(moved, transpose.output_id, convert.flags)
    return [first, type(node)(convert, node.debug_handle)]


def _join(operator: Any, made_by: dict[int, Any], values: Values) -> None:
    """Let a transpose or reshape read what the one before it reads."""
    kind = kind_of(operator)
    before = made_by.get(operator.input_id) if kind in (TRANSPOSE, RESHAPE) else None
    if before is None or kind_of(before) != kind:
        return
    number = values.number(before.input_id)
    if number != values.number(before.output_id) or number != values.number(operator.output_id):
        return
    operator.input_id = before.input_id
    if kind == TRANSPOSE:
        operator.perm = [before.perm[axis] for axis in operator.perm]


def _moves_nothing(operator: Any, values: Values) -> bool:
    source, result = operator.input_id, operator.output_id
    if kind_of(operator) == RESHAPE:
        return values.number(source) == values.number(result) and _dims(source, values) == _dims(
            result, values
        )
    return kind_of(operator) == TRANSPOSE and list(operator.perm) == sorted(operator.perm)


def _dims(index: int, values: Values) -> list[int]:
    return list(values.tensor(index).dims)
