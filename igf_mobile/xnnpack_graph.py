"""Layout changes that cancel, taken out of what ExecuTorch hands to XNNPACK.

ExecuTorch writes a convolution, a pooling or a resize as one of channels last between two transposes, and removes
pairs of its own alone. Where a graph permutes by itself, as `blocks.to_rows` and `blocks.from_rows` do in order to
look at the same bytes in another shape, four transposes of the tensor are left that together move nothing: a
fifth of the frame's time on one core (executorch 1.5.1, measured). LiteRT's converter cancels them.

In int8 it also transposes what it has just quantized, one time for each that reads it, byte by byte: a transpose
is moved before the quantization, where it cancels with another or moves whole floats, and the same one twice is one.
"""

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRANSPOSE, _RESHAPE, _CONVERT = "XNNStaticTranspose", "XNNStaticReshape", "XNNConvert"
_MOVING = (_TRANSPOSE, _RESHAPE, _CONVERT)
_NOT_EXTERNAL = 2**32 - 1
"""As ExecuTorch writes it for a tensor inside the graph."""


@contextmanager
def cancelled_transposes() -> Iterator[None]:
    """While this lasts, ExecuTorch's XNNPACK backend writes simplified graphs; it has no hook for that."""
    from executorch.backends.xnnpack import xnnpack_preprocess

    original = xnnpack_preprocess.serialize_xnnpack_binary

    def serialize(graph: Any, constants: bytearray) -> bytes:
        simplify(graph)
        binary: bytes = original(graph, constants)
        return binary

    xnnpack_preprocess.serialize_xnnpack_binary = serialize
    try:
        yield
    finally:
        xnnpack_preprocess.serialize_xnnpack_binary = original


def simplify(graph: Any) -> None:
    """Join transposes of transposes and reshapes of reshapes, and drop what nobody reads then; in place.

    Args:
        graph: an `XNNGraph`, its nodes in order.
    """
    values = {_tensor(value).id_out: value.xvalue_union for value in graph.xvalues}
    made_by: dict[int, Any] = {}
    stands_for: dict[int, int] = {}
    known: dict[Any, int] = {}
    nodes = []
    for original in graph.xnodes:
        for node in _before_quantizing(original, made_by, stands_for, graph, values):
            operator = node.xnode_union
            for field in _reads(operator):
                index = getattr(operator, field)
                setattr(operator, field, stands_for.get(index, index))
            _join(operator, made_by, values)
            nodes.append(node)
            made_by |= dict.fromkeys(_writes(operator), operator)
            if type(operator).__name__ not in _MOVING or _is_external(values[operator.output_id]):
                continue
            if _moves_nothing(operator):
                stands_for[operator.output_id] = operator.input_id
                continue
            first = known.setdefault(_key(operator, values), operator.output_id)
            if first != operator.output_id:
                stands_for[operator.output_id] = first
    graph.xnodes[:] = nodes
    _drop_unread(graph, values)


def _key(operator: Any, values: dict[int, Any]) -> object:
    """What is the same for two operators that compute the same."""
    number = _number(values[operator.output_id])
    details = tuple(getattr(operator, "perm", ())), tuple(getattr(operator, "new_shape", ()))
    return type(operator).__name__, operator.input_id, details, number[0], repr(number[1])


def _before_quantizing(
    node: Any, made_by: dict[int, Any], stands_for: dict[int, int], graph: Any, values: dict[int, Any]
) -> list[Any]:
    """A transpose of what was quantized, as the quantization of what was transposed; other nodes as they are."""
    transpose = node.xnode_union
    if type(transpose).__name__ != _TRANSPOSE:
        return [node]
    convert = made_by.get(stands_for.get(transpose.input_id, transpose.input_id))
    if convert is None or type(convert).__name__ != _CONVERT:
        return [node]
    source = values[convert.input_id]
    if _number(source)[1] is not None or _number(values[transpose.output_id]) != _number(
        values[convert.output_id]
    ):
        return [node]
    moved = copy.deepcopy(source)
    tensor = getattr(moved, "tensor_value", moved)
    tensor.id_out, tensor.flags, tensor.external_id = max(values) + 1, 0, _NOT_EXTERNAL
    tensor.dims = [tensor.dims[axis] for axis in transpose.perm]
    values[tensor.id_out] = moved
    graph.xvalues.append(dataclasses.replace(graph.xvalues[0], xvalue_union=moved))
    first, second = copy.deepcopy(node), copy.deepcopy(node)
    first.xnode_union = dataclasses.replace(
        transpose, input_id=convert.input_id, output_id=tensor.id_out, perm=list(transpose.perm)
    )
    second.xnode_union = dataclasses.replace(convert, input_id=tensor.id_out, output_id=transpose.output_id)
    return [first, second]


def _join(operator: Any, made_by: dict[int, Any], values: dict[int, Any]) -> None:
    """Let a transpose or reshape read what the one before it reads."""
    kind = type(operator).__name__
    before = made_by.get(operator.input_id) if kind in (_TRANSPOSE, _RESHAPE) else None
    if before is None or type(before).__name__ != kind:
        return
    number = _number(values[before.input_id])
    if number != _number(values[before.output_id]) or number != _number(values[operator.output_id]):
        return
    operator.input_id = before.input_id
    if kind == _TRANSPOSE:
        operator.perm = [before.perm[axis] for axis in operator.perm]


def _moves_nothing(operator: Any) -> bool:
    return type(operator).__name__ == _TRANSPOSE and list(operator.perm) == sorted(operator.perm)


def _drop_unread(graph: Any, values: dict[int, Any]) -> None:
    read = set(graph.output_ids) | {index for index, value in values.items() if _is_external(value)}
    kept = []
    for node in reversed(graph.xnodes):
        operator = node.xnode_union
        if read.isdisjoint(_writes(operator)):
            continue
        read |= {getattr(operator, field) for field in _reads(operator)} | set(_writes(operator))
        kept.append(node)
    graph.xnodes[:] = reversed(kept)
    graph.xvalues[:] = [value for value in graph.xvalues if _tensor(value).id_out in read]


def _fields(operator: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(operator) if field.name.endswith("_id")]


def _reads(operator: Any) -> list[str]:
    return [name for name in _fields(operator) if not name.startswith("output")]


def _writes(operator: Any) -> list[int]:
    return [getattr(operator, name) for name in _fields(operator) if name.startswith("output")]


def _tensor(value: Any) -> Any:
    return getattr(value.xvalue_union, "tensor_value", value.xvalue_union)


def _is_external(value: Any) -> bool:
    return bool(getattr(value, "tensor_value", value).flags)


def _number(value: Any) -> tuple[object, object]:
    """Type and scale: what moving bytes must leave alone."""
    return getattr(value, "tensor_value", value).datatype, getattr(value, "quant_params", None)
