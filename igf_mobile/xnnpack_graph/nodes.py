"""Nodes and values of ExecuTorch's `XNNGraph`: what reads what, and of which numbers."""

import copy
import dataclasses
from collections import Counter
from typing import Any

TRANSPOSE, RESHAPE, CONVERT = "XNNStaticTranspose", "XNNStaticReshape", "XNNConvert"
NOT_THERE = 2**32 - 1
"""As ExecuTorch writes the external number of a tensor inside the graph, and an operand that there is not."""


def kind_of(operator: Any) -> str:
    """ "XNNConv2d"."""
    return type(operator).__name__


def reads(operator: Any) -> list[str]:
    """Names of the fields that hold what it reads."""
    return [name for name in _fields(operator) if not name.startswith("output")]


def sources(operator: Any) -> list[int]:
    """What it reads."""
    return [index for name in reads(operator) if (index := getattr(operator, name)) != NOT_THERE]


def writes(operator: Any) -> list[int]:
    """What it writes."""
    return [getattr(operator, name) for name in _fields(operator) if name.startswith("output")]


def _fields(operator: Any) -> list[str]:
    names = [field.name for field in dataclasses.fields(operator) if field.name.endswith("_id")]
    if kind_of(operator).startswith("XNNConcatenate"):
        # All kinds have fields for five, and only the first of them count.
        inputs = [f"input{place}_id" for place in range(1, 1 + int(kind_of(operator)[-1]))]
        names = [name for name in names if name in (*inputs, "output_id")]
    return names


class Values:
    """The tensors of a graph by their numbers."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._unions = {_tensor(value.xvalue_union).id_out: value.xvalue_union for value in graph.xvalues}

    def tensor(self, index: int) -> Any:
        """Its type, shape and place; of a quantized one too."""
        return _tensor(self._unions[index])

    def scheme(self, index: int) -> Any:
        """How it is quantized; None for float."""
        return getattr(self._unions[index], "quant_params", None)

    def number(self, index: int) -> tuple[object, object]:
        """Type and scale: what moving bytes must leave alone."""
        return self.tensor(index).datatype, self.scheme(index)

    def is_float(self, index: int) -> bool:
        """Whether it is quantized in no way."""
        return self.scheme(index) is None

    def is_external(self, index: int) -> bool:
        """Whether it comes from or goes to the caller."""
        return bool(self.tensor(index).flags)

    def is_constant(self, index: int) -> bool:
        """Whether its bytes are in the file."""
        return bool(self.tensor(index).constant_buffer_idx)

    def elements(self, index: int) -> int:
        """How many it has."""
        count = 1
        for side in self.tensor(index).dims:
            count *= side
        return count

    def like(self, index: int, dims: list[int]) -> int:
        """A new tensor inside the graph, of the same numbers in another shape."""
        union = copy.deepcopy(self._unions[index])
        tensor = _tensor(union)
        tensor.id_out, tensor.flags, tensor.external_id = 1 + max(self._unions), 0, NOT_THERE
        tensor.dims, tensor.num_dims = dims, len(dims)
        self._unions[tensor.id_out] = union
        self._graph.xvalues.append(dataclasses.replace(self._graph.xvalues[0], xvalue_union=union))
        new: int = tensor.id_out
        return new


def _tensor(union: Any) -> Any:
    return getattr(union, "tensor_value", union)


def makers(graph: Any) -> dict[int, Any]:
    """Tensor -> the node that writes it."""
    return {index: node for node in graph.xnodes for index in writes(node.xnode_union)}


def readers(graph: Any) -> Counter[int]:
    """Tensor -> how often nodes read it."""
    return Counter(index for node in graph.xnodes for index in sources(node.xnode_union))


def replaced(node: Any, **changes: Any) -> Any:
    """A copy of a node with other fields of its operator."""
    return dataclasses.replace(node, xnode_union=dataclasses.replace(node.xnode_union, **changes))


def drop_unread(graph: Any) -> None:
    """Take out the nodes that nothing needs and the tensors that none names, in place."""
    values = Values(graph)
    externals = [i for value in graph.xvalues if values.is_external(i := _tensor(value.xvalue_union).id_out)]
    read = {*graph.output_ids, *externals}
    kept = []
    for node in reversed(graph.xnodes):
        operator = node.xnode_union
        if read.isdisjoint(writes(operator)):
            continue
        read |= {*sources(operator), *writes(operator)}
        kept.append(node)
    graph.xnodes[:] = reversed(kept)
    graph.xvalues[:] = [value for value in graph.xvalues if _tensor(value.xvalue_union).id_out in read]
