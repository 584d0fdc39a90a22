"""Layout changes that cancel, in graphs made by hand; what else is rewritten is in test_xnnpack_rewriting.py."""

from collections.abc import Sequence
from typing import Any

import pytest

from igf_mobile.xnnpack_graph import cancelled_transposes
from igf_mobile.xnnpack_graph.transposes import join_transposes

schema = pytest.importorskip("executorch.backends.xnnpack.serialization.xnnpack_graph_schema")

TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


def value(index: int, external: bool = False, scale: float | None = None) -> Any:
    tensor = schema.XNNTensorValue(
        schema.XNNDatatype.xnn_datatype_fp32, 4, [1, 2, 3, 4], 0, 0, external, index
    )
    if scale is None:
        return schema.XValue(tensor)
    return schema.XValue(schema.XNNQuantizedTensorValue(tensor, schema.PerTensorQuant(scale, 0)))


def transpose(source: int, result: int, order: Sequence[int]) -> Any:
    return schema.XNode(schema.XNNStaticTranspose(4, list(order), source, result, 0), 0)


def reshape(source: int, result: int, *shape: int) -> Any:
    return schema.XNode(schema.XNNStaticReshape(len(shape), list(shape), source, result, 0), 0)


def relu(source: int, result: int) -> Any:
    return schema.XNode(schema.XNNClamp(source, result, 0), 0)


def graph(nodes: Sequence[Any], outputs: Sequence[int], scales: dict[int, float] | None = None) -> Any:
    """Input 0, and values 1, 2, ... of the nodes."""
    indices = {0} | {node.xnode_union.output_id for node in nodes}
    values = [value(i, i == 0 or i in outputs, (scales or {}).get(i)) for i in sorted(indices)]
    for node in nodes:
        if isinstance(node.xnode_union, schema.XNNStaticReshape):
            values[node.xnode_union.output_id].xvalue_union.dims = node.xnode_union.new_shape
    return schema.XNNGraph("0", list(nodes), values, 1 + len(outputs), [0], list(outputs), [])


def left(found: Any) -> list[tuple[str, int, int]]:
    operators = [node.xnode_union for node in found.xnodes]
    return [(type(o).__name__.removeprefix("XNN"), o.input_id, o.output_id) for o in operators]


def test_a_transpose_and_its_inverse_go() -> None:
    found = graph([relu(0, 1), transpose(1, 2, TO_NCHW), transpose(2, 3, TO_NHWC), relu(3, 4)], [4])
    join_transposes(found)
    assert left(found) == [("Clamp", 0, 1), ("Clamp", 1, 4)]
    assert [v.xvalue_union.id_out for v in found.xvalues] == [0, 1, 4]


def test_one_that_others_read_stays() -> None:
    nodes = [transpose(0, 1, TO_NCHW), transpose(1, 2, TO_NHWC), relu(2, 3), relu(1, 4)]
    found = graph(nodes, [3, 4])
    join_transposes(found)
    assert left(found) == [("StaticTranspose", 0, 1), ("Clamp", 0, 3), ("Clamp", 1, 4)]


def test_two_that_do_not_cancel_are_one() -> None:
    found = graph([transpose(0, 1, [0, 1, 3, 2]), transpose(1, 2, [0, 2, 1, 3]), relu(2, 3)], [3])
    join_transposes(found)
    assert left(found) == [("StaticTranspose", 0, 2), ("Clamp", 2, 3)]
    # axis i of the result is axis order[i] of the source: 1 -> 2 of the first's, which is 3 of the source
    assert found.xnodes[0].xnode_union.perm == [0, 3, 1, 2]


def test_reshapes_through_transposes_that_cancel_are_one() -> None:
    """As `Narrow` is written: to NCHW, to NHWC, reshape, to NCHW, to NHWC, reshape."""
    nodes = [relu(0, 1), transpose(1, 2, TO_NCHW), transpose(2, 3, TO_NHWC), reshape(3, 4, 1, 2, 6, 2)]
    nodes += [transpose(4, 5, TO_NCHW), transpose(5, 6, TO_NHWC), reshape(6, 7, 1, 2, 12, 1), relu(7, 8)]
    found = graph(nodes, [8])
    join_transposes(found)
    assert left(found) == [("Clamp", 0, 1), ("StaticReshape", 1, 7), ("Clamp", 7, 8)]


def test_an_output_is_still_written() -> None:
    found = graph([relu(0, 1), transpose(1, 2, TO_NCHW), transpose(2, 3, TO_NHWC)], [3])
    join_transposes(found)
    assert left(found) == [("Clamp", 0, 1), ("StaticTranspose", 1, 3)]
    assert found.xnodes[1].xnode_union.perm == [0, 1, 2, 3]


def test_another_scale_is_another_tensor() -> None:
    nodes = [relu(0, 1), transpose(1, 2, TO_NCHW), transpose(2, 3, TO_NHWC), relu(3, 4)]
    same, other = graph(nodes, [4], {1: 0.1, 2: 0.1, 3: 0.1}), graph(nodes, [4], {1: 0.1, 2: 0.1, 3: 0.2})
    join_transposes(other)
    assert len(other.xnodes) == 4
    join_transposes(same)
    assert len(same.xnodes) == 2


def quantize(source: int, result: int) -> Any:
    return schema.XNode(schema.XNNConvert(source, result, 0), 0)


def test_what_is_quantized_is_transposed_before() -> None:
    """Once, however many read it; and not at all where that cancels."""
    nodes = [relu(0, 1), quantize(1, 2), transpose(2, 3, TO_NHWC), relu(3, 4)]
    nodes += [quantize(1, 5), transpose(5, 6, TO_NHWC), relu(6, 7)]
    found = graph(nodes, [4, 7], dict.fromkeys((2, 3, 5, 6), 0.1))
    join_transposes(found)
    names = [name for name, _, _ in left(found)]
    assert names == ["Clamp", "StaticTranspose", "Convert", "Clamp", "Clamp"]
    moved = found.xnodes[1].xnode_union
    assert [found.xnodes[i].xnode_union.input_id for i in (2, 3, 4)] == [moved.output_id, 3, 3]
    value = next(
        v.xvalue_union for v in found.xvalues if getattr(v.xvalue_union, "id_out", -1) == moved.output_id
    )
    assert (value.dims, value.external_id) == ([1, 3, 4, 2], 2**32 - 1)

    back = [relu(0, 1), transpose(1, 2, TO_NCHW), quantize(2, 3), transpose(3, 4, TO_NHWC), relu(4, 5)]
    found = graph(back, [5], dict.fromkeys((3, 4), 0.1))
    join_transposes(found)
    assert left(found) == [("Clamp", 0, 1), ("Convert", 1, 4), ("Clamp", 4, 5)]


def test_what_is_given_back_is_transposed_after() -> None:
    """int8 to float: bytes move faster than floats."""
    nodes = [relu(0, 1), quantize(1, 2), transpose(2, 3, TO_NHWC), relu(3, 4)]
    found = graph(nodes, [4], {1: 0.1})
    join_transposes(found)
    assert len(found.xnodes) == 4


def test_the_backend_is_left_as_it_was() -> None:
    from executorch.backends.xnnpack import xnnpack_preprocess

    before = xnnpack_preprocess.serialize_xnnpack_binary
    with pytest.raises(KeyError), cancelled_transposes():
        assert xnnpack_preprocess.serialize_xnnpack_binary is not before
        raise KeyError
    assert xnnpack_preprocess.serialize_xnnpack_binary is before
