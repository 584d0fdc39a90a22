"""Reshapes that need not be: transposes that move no byte, and axes of length 1 that only convolutions wanted."""

from typing import Any

from igf_mobile.xnnpack_graph.nodes import RESHAPE, TRANSPOSE, Values, kind_of, makers, sources, writes
from igf_mobile.xnnpack_graph.sinking import POINTWISE

_PRODUCT = "XNNFullyConnected"


def transposes_as_reshapes(graph: Any) -> None:
    """Write a transpose that moves axes of length 1 alone as a reshape, which can be joined with others; in place."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNStaticReshape

    values = Values(graph)
    for node in graph.xnodes:
        old = node.xnode_union
        if kind_of(old) == RESHAPE:
            old.new_shape = list(values.tensor(old.output_id).dims)  # ExecuTorch leaves one to be inferred
        if kind_of(old) != TRANSPOSE:
            continue
        dims = values.tensor(old.input_id).dims
        long = [axis for axis in old.perm if dims[axis] > 1]
        if long == sorted(long):
            shape = [dims[axis] for axis in old.perm]
            node.xnode_union = XNNStaticReshape(len(shape), shape, old.input_id, old.output_id, 0)


def drop_leading_axes(graph: Any) -> None:
    """Let products and pointwise operators work without a first axis of length 1 that a reshape takes off; in place.

    It was put there for convolutions, by a reshape before them.
    """
    values, made_by = Values(graph), makers(graph)
    for node in graph.xnodes:
        reshape = node.xnode_union
        if kind_of(reshape) != RESHAPE:
            continue
        before, after = (values.tensor(index).dims for index in (reshape.input_id, reshape.output_id))
        if list(before) != [1, *after] or len(after) < 2:
            continue
        region = _region(graph, reshape.input_id, values, made_by)
        for index in region:
            tensor = values.tensor(index)
            tensor.dims, tensor.num_dims = list(tensor.dims[1:]), tensor.num_dims - 1
            maker = made_by[index].xnode_union
            if kind_of(maker) == RESHAPE:
                maker.new_shape, maker.num_dims = list(tensor.dims), tensor.num_dims


def _region(graph: Any, start: int, values: Values, made_by: dict[int, Any]) -> set[int]:
    """The tensors that must lose their first axis with one of them; empty where one of them cannot."""
    region, found = {start}, [start]
    while found:
        index = found.pop()
        if index not in made_by or values.is_external(index) or values.tensor(index).dims[0] != 1:
            return set()
        nodes = [made_by[index], *(n for n in graph.xnodes if index in sources(n.xnode_union))]
        for node in nodes:
            operator = node.xnode_union
            kind = kind_of(operator)
            if kind == RESHAPE:
                continue
            if kind == _PRODUCT:
                bound = [operator.input1_id, operator.output_id]
            elif kind in POINTWISE:
                # One number of fewer axes does not count.
                rank = len(values.tensor(index).dims)
                short = {i for i in sources(operator) if values.elements(i) == 1} - {index}
                short = {i for i in short if len(values.tensor(i).dims) < rank}
                bound = [i for i in sources(operator) if i not in short] + writes(operator)
            else:
                return set()
            if len({len(values.tensor(i).dims) for i in bound}) > 1:
                return set()
            found += [i for i in bound if i not in region]
            region |= {*bound}
    return region
