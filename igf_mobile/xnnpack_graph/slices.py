"""What is done to each part of a tensor, done to the whole before it is cut."""

from typing import Any

from igf_mobile.xnnpack_graph.nodes import Values, kind_of, readers, replaced

_SLICE, _RESIZE = "XNNStaticSlice", "XNNStaticResizeBilinear2D"
_UNARY = ("XNNConvert", "XNNSigmoid", "XNNClamp", "XNNTanh", _RESIZE)


def cut_later(graph: Any) -> None:
    """Move slices that together are a whole tensor past equal operators on each of them; in place."""
    while _step(graph):
        pass


def _step(graph: Any) -> bool:
    values, read = Values(graph), readers(graph)
    groups: dict[int, list[int]] = {}
    for place, node in enumerate(graph.xnodes):
        if kind_of(node.xnode_union) == _SLICE:
            groups.setdefault(node.xnode_union.input_id, []).append(place)
    for source, places in groups.items():
        slices = [graph.xnodes[place] for place in places]
        following = [_only_reader(graph, node.xnode_union.output_id, read, values) for node in slices]
        if len(slices) < 2 or None in following or not _is_whole(source, slices, values):
            continue
        operators = [graph.xnodes[place] for place in following if place is not None]
        if len({_what(node, values) for node in operators}) == 1:
            _move(graph, source, slices, operators, places[0], values)
            return True
    return False


def _only_reader(graph: Any, index: int, read: Any, values: Values) -> int | None:
    """Place of the unary operator that alone reads a tensor."""
    if read[index] != 1 or values.is_external(index):
        return None
    for place, node in enumerate(graph.xnodes):
        operator = node.xnode_union
        if kind_of(operator) in _UNARY and operator.input_id == index:
            scheme = values.scheme(operator.output_id)
            # Not what is quantized on the fly, by the range of the part.
            return place if scheme is None or hasattr(scheme, "zero_point") else None
    return None


def _is_whole(source: int, slices: list[Any], values: Values) -> bool:
    """Whether they are pieces along the last axis, none left out and none twice."""
    dims = list(values.tensor(source).dims)
    end = 0
    for operator in sorted((node.xnode_union for node in slices), key=lambda o: o.offsets[-1]):
        if (
            any(operator.offsets[:-1])
            or list(operator.sizes[:-1]) != dims[:-1]
            or operator.offsets[-1] != end
        ):
            return False
        if values.number(operator.output_id) != values.number(source):
            return False
        end += operator.sizes[-1]
    return bool(end == dims[-1])


def _what(node: Any, values: Values) -> str:
    """What an operator does, without which tensors it does it to."""
    operator = replaced(node, input_id=0, output_id=0).xnode_union
    return repr((operator, node.output_min_max, values.number(node.xnode_union.output_id)))


def _move(
    graph: Any, source: int, slices: list[Any], operators: list[Any], place: int, values: Values
) -> None:
    """One operator on the source, and the slices of what it writes, in place."""
    first = operators[0].xnode_union
    dims = [*values.tensor(first.output_id).dims[:-1], values.tensor(source).dims[-1]]
    whole = values.like(first.output_id, dims)
    nodes = [replaced(operators[0], input_id=source, output_id=whole)]
    for cut, operator in zip(slices, operators, strict=True):
        result = operator.xnode_union.output_id
        sizes = list(values.tensor(result).dims)
        nodes.append(replaced(cut, input_id=whole, output_id=result, sizes=sizes))
    gone = {id(node) for node in (*slices, *operators)}
    graph.xnodes[place:place] = nodes
    graph.xnodes[:] = [node for node in graph.xnodes if id(node) not in gone]
