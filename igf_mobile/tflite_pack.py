"""A .tflite made smaller, with the same operators and the same numbers.

LiteRT's converter writes a constant for every operator that reads it, and the shape of every reshape twice, once as a
constant.
"""

from typing import Any

from igf_mobile.contents.tflite import builtin
from igf_mobile.flatbuffer_sharing import SharingBuilder

_Key = tuple[Any, ...]


def pack(tree: Any) -> bytes:
    """A `ModelT` as a file, what is equal in it (shapes, scales, options) written once."""
    builder = SharingBuilder()
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def drop_repeats(tree: Any) -> None:
    """Let a `ModelT` of one graph have each constant once, and reshapes their shape alone; in place."""
    (graph,) = tree.subgraphs
    _shapes_as_options(tree)
    first: dict[_Key, int] = {}
    stands_for = {i: first.setdefault(_key(tree, i), i) for i in range(len(graph.tensors))}
    for operator in graph.operators:
        operator.inputs = [stands_for.get(i, i) for i in operator.inputs]
    _renumber(tree)


def _shapes_as_options(tree: Any) -> None:
    """Take the second input off every reshape; its options say the shape instead."""
    from ai_edge_litert import schema_py_generated as schema

    (graph,) = tree.subgraphs
    for operator in graph.operators:
        if builtin(tree, operator) != schema.BuiltinOperator.RESHAPE:
            continue
        operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
        operator.builtinOptions = schema.ReshapeOptionsT()
        operator.builtinOptions.newShape = graph.tensors[operator.outputs[0]].shape
        operator.inputs = operator.inputs[:1]


def _key(tree: Any, index: int) -> _Key:
    """What is the same for two constants that are the same; other tensors have one of their own."""
    tensor = tree.subgraphs[0].tensors[index]
    data = tree.buffers[tensor.buffer].data
    if data is None or tensor.quantization is not None or tensor.name is not None:
        return (index,)
    return tensor.type, tuple(tensor.shape), bytes(data)


def _renumber(tree: Any) -> None:
    """Drop tensors that no operator has and buffers that no tensor and no metadata have; the first buffer stays."""
    (graph,) = tree.subgraphs
    used = {i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    kept = sorted(used | set(graph.inputs) | set(graph.outputs))
    new = {old: i for i, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]
    for holder in (graph, *graph.operators):
        holder.inputs, holder.outputs = [new[i] for i in holder.inputs], [new[i] for i in holder.outputs]
    for signature in tree.signatureDefs:
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = new[entry.tensorIndex]
    holders = [*graph.tensors, *(tree.metadata or [])]
    buffers = sorted({0, *(holder.buffer for holder in holders)})
    places = {old: i for i, old in enumerate(buffers)}
    tree.buffers = [tree.buffers[i] for i in buffers]
    for holder in holders:
        holder.buffer = places[holder.buffer]
