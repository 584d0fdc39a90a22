"""Rewritten graphs compute the same, in fewer nodes; and what must stay, stays. Whole files: test_executorch.py."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xnn_graphs import Maker, computed, kinds

pytest.importorskip("executorch.backends.xnnpack.serialization.xnnpack_graph_schema")

from igf_mobile.xnnpack_graph import simplify
from igf_mobile.xnnpack_graph.fusing import fuse_clamps, resize_quantized, write_outputs
from igf_mobile.xnnpack_graph.nodes import drop_unread
from igf_mobile.xnnpack_graph.products import convolutions_as_products, quantize_apart
from igf_mobile.xnnpack_graph.shapes import drop_leading_axes, transposes_as_reshapes
from igf_mobile.xnnpack_graph.sinking import sink_transposes
from igf_mobile.xnnpack_graph.slices import cut_later

Rewrite = Callable[[Any], None]

TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def rewritten(maker: Maker, outputs: list[int], rewrite: Rewrite, atol: float = 1e-12) -> Any:
    """The graph after `rewrite`, which must compute what it did before."""
    graph = copy.deepcopy(before := maker.graph(*outputs))
    generator = np.random.default_rng(0)
    inputs = [generator.normal(size=maker.dims(index)) for index in maker.inputs]
    rewrite(graph)
    wanted = computed(before, maker.constants, inputs)
    for a, b in zip(wanted, computed(graph, maker.constants, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.0, atol=atol)
    return graph


# Transposes


def test_a_transpose_goes_past_numbers_and_cancels() -> None:
    """As `primitives.sixth` between two convolutions."""
    maker = Maker()
    x = maker.transpose(maker.unary("Sigmoid", maker.input(1, 3, 4, 5)), *TO_NCHW)
    x = maker.binary("Multiply", x, maker.input(1))
    x = maker.unary("Clamp", x, limits=(0.0, 0.1))
    x = maker.unary("Sigmoid", maker.transpose(x, *TO_NHWC))
    assert kinds(rewritten(maker, [x], sink_transposes)) == ["Sigmoid", "Multiply", "Clamp", "Sigmoid"]


def test_past_pads_slices_and_joins() -> None:
    """As the 3 x 3 neighbours of `colour_regression`."""
    maker = Maker()
    x = maker.transpose(maker.unary("Sigmoid", maker.input(1, 3, 4, 5)), *TO_NCHW)
    for axis in (3, 2):
        x = maker.pad(x, axis, 1, 1)
        size = maker.dims(x)[axis] - 2
        x = maker.join(1, *(maker.cut(x, axis, start, size) for start in range(3)))
    x = maker.unary("Sigmoid", maker.transpose(x, *TO_NHWC))
    found = rewritten(maker, [x], sink_transposes)
    assert "StaticTranspose" not in kinds(found)
    assert len(found.xnodes) == 12


def test_past_a_sum_of_two_transposed_alike() -> None:
    maker = Maker()
    parts = [maker.transpose(maker.input(1, 3, 4, 5), *TO_NCHW) for _ in range(2)]
    x = maker.transpose(maker.binary("Add", *parts), *TO_NHWC)
    found = rewritten(maker, [maker.unary("Sigmoid", x)], sink_transposes)
    assert kinds(found) == ["Add", "Sigmoid"]


@pytest.mark.parametrize("other", ["plain", "by another order", "a number for each channel", "of fewer axes"])
def test_not_past_a_sum_with_something_else(other: str) -> None:
    maker = Maker()
    first = maker.transpose(maker.input(1, 4, 4, 4), *TO_NCHW)
    second = {
        "plain": lambda: maker.input(1, 4, 4, 4),
        "by another order": lambda: maker.transpose(maker.input(1, 4, 4, 4), *TO_NHWC),
        "a number for each channel": lambda: maker.input(1, 4, 1, 1),
        "of fewer axes": lambda: maker.input(4),
    }[other]()
    x = maker.transpose(maker.binary("Add", first, second), *TO_NHWC)
    before = len(maker.nodes)
    assert len(rewritten(maker, [maker.unary("Sigmoid", x)], sink_transposes).xnodes) == before + 1


def test_one_that_something_else_reads_stays_where_it_is() -> None:
    """To move it would take a second one."""
    maker = Maker()
    x = maker.transpose(maker.input(1, 3, 4, 5), *TO_NCHW)
    y = maker.unary("Sigmoid", x)
    found = rewritten(
        maker, [maker.binary("Multiply", x, maker.unary("Clamp", y, limits=(0.4, 0.6)))], simplify
    )
    assert kinds(found).count("StaticTranspose") == 1


def test_not_past_an_output() -> None:
    """The caller wants it in its order."""
    maker = Maker()
    x = maker.unary("Sigmoid", maker.transpose(maker.input(1, 3, 4, 5), *TO_NCHW))
    found = rewritten(maker, [x], sink_transposes)
    assert kinds(found) == ["StaticTranspose", "Sigmoid"]


@st.composite
def chains(draw: st.DrawFn) -> tuple[Maker, list[int]]:
    """Graphs of what transposes can go past, with tensors read once and more often."""
    maker = Maker()
    tensors = [maker.unary("Sigmoid", maker.input(1, 2, 3, 4)), maker.input(1, 2, 3, 4)]
    number = maker.input(1)
    for _ in range(draw(st.integers(2, 12))):
        x = draw(st.sampled_from(tensors[-3:]))
        dims = maker.dims(x)
        axis = draw(st.integers(0, len(dims) - 1))
        kind = draw(
            st.sampled_from(("turn", "turn", "turn", "number", "clamp", "pad", "cut", "join", "add", "flat"))
        )
        if kind == "turn":
            tensors.append(maker.transpose(x, *draw(st.permutations(range(len(dims))))))
        elif kind == "number":
            tensors.append(maker.binary(draw(st.sampled_from(("Multiply", "Subtract"))), x, number))
        elif kind == "clamp":
            tensors.append(maker.unary("Clamp", x, limits=(-0.5, 0.5)))
        elif kind == "pad":
            tensors.append(maker.pad(x, axis, 1, 0))
        elif kind == "cut":
            start = draw(st.integers(0, dims[axis] - 1))
            tensors.append(maker.cut(x, axis, start, draw(st.integers(1, dims[axis] - start))))
        elif kind == "join" and int(np.prod(dims)) < 2000:
            tensors.append(maker.join(axis, x, x))
        elif kind == "add":
            alike = [t for t in tensors if maker.dims(t) == dims]
            tensors.append(maker.binary("Add", x, draw(st.sampled_from(alike))))
        elif kind == "flat":
            tensors.append(maker.reshape(x, 1, dims[1] * dims[2], dims[0], dims[3]))
    made = [t for t in tensors if t not in maker.inputs]
    last = tensors[-1] if tensors[-1] in made else made[-1]
    return maker, sorted({last, *draw(st.sets(st.sampled_from(made), max_size=1))})


@settings(deadline=None, max_examples=60)
@given(chains())
def test_any_graph_computes_the_same_with_no_more_nodes(case: tuple[Maker, list[int]]) -> None:
    maker, outputs = case
    before = copy.deepcopy(maker.graph(*outputs))
    drop_unread(before)
    moved = kinds(before).count("StaticTranspose")
    found = rewritten(maker, outputs, simplify)
    assert len(found.xnodes) <= len(before.xnodes)
    assert kinds(found).count("StaticTranspose") <= moved


# Clamps


@pytest.mark.parametrize("kind", ["sum", "convolution"])
def test_what_is_clamped_has_limits(kind: str) -> None:
    maker = Maker()
    x = maker.input(1, 2, 2, 3)
    x = maker.convolve(x, np.ones((2, 3))) if kind == "convolution" else maker.binary("Add", x, x)
    found = rewritten(maker, [maker.unary("Clamp", x, limits=(0.0, 0.5))], fuse_clamps)
    assert len(found.xnodes) == 1
    assert (found.xnodes[0].output_min_max.output_min, found.xnodes[0].output_min_max.output_max) == (
        0.0,
        0.5,
    )


def test_limits_of_both_hold() -> None:
    maker = Maker()
    x = maker.input(1, 2, 2, 3)
    x = maker.binary("Add", x, x, limits=(0.0, 6.0))
    x = maker.unary("Clamp", maker.unary("Clamp", x, limits=(-1.0, 5.0)), limits=(0.5, float("inf")))
    found = rewritten(maker, [x], fuse_clamps)
    assert len(found.xnodes) == 1
    assert (found.xnodes[0].output_min_max.output_min, found.xnodes[0].output_min_max.output_max) == (
        0.5,
        5.0,
    )


@pytest.mark.parametrize("why", ["read twice", "an output", "no limits there", "nothing between"])
def test_other_clamps_stay(why: str) -> None:
    maker = Maker()
    x = maker.input(1, 2, 2, 3)
    if why == "no limits there":
        x = maker.unary("Sigmoid", x)
    else:
        x = maker.binary("Add", x, x, limits=(2.0, 3.0) if why == "nothing between" else None)
    outputs = [maker.unary("Clamp", x, limits=(0.0, 0.5))]
    if why == "read twice":
        outputs.append(maker.unary("Sigmoid", x))
    elif why == "an output":
        outputs.append(x)
    before = len(maker.nodes)
    assert len(rewritten(maker, outputs, fuse_clamps).xnodes) == before


# int8


def resized(after: float, reader: bool = False) -> tuple[Maker, list[int]]:
    """float -> int8 -> float, resized, -> int8 of scale `after` -> float."""
    maker = Maker()
    x = maker.unary("Convert", maker.input(1, 3, 4, 2), scale=0.05)
    wide = maker.resize(maker.unary("Convert", x), 2)
    x = maker.unary("Convert", maker.unary("Convert", wide, scale=after))
    return maker, [x, maker.unary("Sigmoid", wide)] if reader else [x]


def int8_resizes(graph: Any) -> None:
    resize_quantized(graph)
    drop_unread(graph)


def test_int8_is_resized_as_int8() -> None:
    maker, outputs = resized(0.05)
    found = rewritten(maker, outputs, int8_resizes, atol=0.05 + 1e-9)  # a step: ties
    assert kinds(found) == ["Convert", "StaticResizeBilinear2D", "Convert"]


@pytest.mark.parametrize(("after", "reader"), [(0.0502, False), (0.05, True)])
def test_another_scale_and_another_reader_take_floats(after: float, reader: bool) -> None:
    maker, outputs = resized(after, reader)
    before = len(maker.nodes)
    assert len(rewritten(maker, outputs, int8_resizes).xnodes) == before


# Products


def test_a_convolution_of_pixels_is_a_product() -> None:
    maker = Maker()
    weights = np.arange(6.0).reshape(2, 3)
    x = maker.convolve(maker.input(1, 4, 5, 3), weights, np.array([0.5, -1.0]))
    x = maker.convolve(x, weights.T)
    found = rewritten(maker, [x], convolutions_as_products)
    assert kinds(found) == ["FullyConnected", "FullyConnected"]


@pytest.mark.parametrize(
    "change", [{"padding_top": 1}, {"subsampling_width": 2}, {"kernel_height": 3}, {"groups": 3}]
)
def test_other_convolutions_stay(change: dict[str, int]) -> None:
    maker = Maker()
    graph = maker.graph(maker.convolve(maker.input(1, 4, 5, 3), np.ones((3, 3)), **change))
    convolutions_as_products(graph)
    assert kinds(graph) == ["Conv2d"]


def test_a_filter_that_another_convolution_reads_keeps_its_shape() -> None:
    maker = Maker()
    x = maker.input(1, 4, 5, 3)
    first, second = (
        maker.convolve(x, np.ones((3, 3))),
        maker.convolve(x, np.ones((3, 3)), subsampling_width=2),
    )
    maker.nodes[1].xnode_union.filter_id = maker.nodes[0].xnode_union.filter_id
    graph = maker.graph(first, second)
    convolutions_as_products(graph)
    assert kinds(graph) == ["Conv2d", "Conv2d"]


@pytest.mark.parametrize("on_the_fly", [True, False])
def test_what_quantizes_by_pixel_does_so_apart(on_the_fly: bool) -> None:
    maker = Maker()
    x = maker.input(1, 4, 5, 3)
    shared = maker.quantized_on_the_fly(x) if on_the_fly else maker.unary("Convert", x, scale=0.1)
    singles = [maker.convolve(shared, np.ones((2, 3))) for _ in range(2)]
    other = maker.convolve(shared, np.ones((2, 3)), kernel_height=3, padding_top=1, padding_bottom=1)
    graph = maker.graph(*singles, other)
    quantize_apart(graph)
    operators = [node.xnode_union for node in graph.xnodes]
    read = [operator.input1_id for operator in operators if hasattr(operator, "filter_id")]
    assert read[2] == shared
    assert (read[0] != shared and read[1] != shared) == on_the_fly
    made = {operator.output_id: operator for operator in operators}
    assert {type(made[index]).__name__ for index in read} == {"XNNConvert"}
    assert {made[index].input_id for index in read} == {x}


@pytest.mark.parametrize("others", [0, 1])
def test_what_quantizes_alike_shares_it(others: int) -> None:
    maker = Maker()
    shared = maker.quantized_on_the_fly(maker.input(1, 4, 5, 3))
    changes = [{"kernel_height": 3}] * 2 if others else [{}] * 2
    graph = maker.graph(*(maker.convolve(shared, np.ones((2, 3)), **change) for change in changes))
    quantize_apart(graph)
    assert kinds(graph) == ["Convert", "Conv2d", "Conv2d"]


# Outputs and shapes


def test_an_output_is_written_by_what_makes_it() -> None:
    maker = Maker()
    x = maker.unary("Sigmoid", maker.input(1, 2, 3, 4))
    inner = maker.unary("Clamp", x, limits=(0.0, 0.6))
    found = rewritten(maker, [maker.transpose(x, 0, 1, 2, 3), inner], write_outputs)
    assert kinds(found) == ["Sigmoid", "Clamp"]


def test_an_input_and_an_output_are_still_copied_to_an_output() -> None:
    maker = Maker()
    x = maker.input(1, 2, 3, 4)
    y = maker.unary("Sigmoid", x)
    outputs = [maker.transpose(x, 0, 1, 2, 3), y, maker.transpose(y, 0, 1, 2, 3)]
    assert len(rewritten(maker, outputs, write_outputs).xnodes) == 3


def test_a_transpose_of_no_bytes_is_a_reshape() -> None:
    maker = Maker()
    x = maker.transpose(maker.reshape(maker.input(3, 4), 1, 1, 3, 4), *TO_NHWC)
    found = rewritten(maker, [maker.unary("Sigmoid", x)], simplify)
    assert kinds(found) == ["StaticReshape", "Sigmoid"]


def test_transposes_of_bytes_stay() -> None:
    maker = Maker()
    x = maker.transpose(maker.input(1, 2, 3, 4), *TO_NHWC)
    assert kinds(rewritten(maker, [x], transposes_as_reshapes)) == ["StaticTranspose"]


def leading(x_reader: bool = False) -> tuple[Maker, list[int]]:
    """An axis put before three for a product and a sum, and taken off."""
    maker = Maker()
    x = maker.reshape(maker.input(6, 2, 3), 1, 6, 2, 3)
    x = maker.binary("Add", maker.convolve(x, np.ones((4, 3))), maker.input(1))
    y = maker.reshape(x, 6, 2, 4)
    return maker, [maker.unary("Sigmoid", y), *([maker.pad(x, 3, 1, 0)] if x_reader else [])]


def test_axes_for_a_convolution_go() -> None:
    maker, outputs = leading()
    assert kinds(rewritten(maker, outputs, simplify)) == ["FullyConnected", "Add", "Sigmoid"]


def test_axes_that_something_else_counts_stay() -> None:
    maker, outputs = leading(x_reader=True)
    before = len(maker.nodes)
    assert len(rewritten(maker, outputs, drop_leading_axes).xnodes) == before


def test_axes_that_a_number_has_stay() -> None:
    maker = Maker()
    x = maker.reshape(maker.input(6, 2, 3), 1, 6, 2, 3)
    y = maker.reshape(maker.binary("Add", x, maker.input(1, 1, 1, 1)), 6, 2, 3)
    graph = rewritten(maker, [maker.unary("Sigmoid", y)], drop_leading_axes)
    assert kinds(graph) == ["StaticReshape", "Add", "StaticReshape", "Sigmoid"]


def attention(parts: tuple[tuple[int, int], ...], names: tuple[str, str] = ("Sigmoid", "Sigmoid")) -> Any:
    maker = Maker()
    x = maker.unary("Sigmoid", maker.input(1, 2, 2, 5))
    cut = [maker.unary(name, maker.cut(x, 3, *part)) for part, name in zip(parts, names, strict=True)]
    joined = maker.join(3, *(maker.unary("Sigmoid", part) for part in cut))
    return kinds(rewritten(maker, [joined], cut_later))


def test_what_is_done_to_every_part_is_done_once() -> None:
    wanted = ["Sigmoid", "Sigmoid", "Sigmoid", "StaticSlice", "StaticSlice", "Concatenate2"]
    assert attention(((0, 2), (2, 3))) == wanted


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (
            ((0, 2), (3, 2)),
            ("Sigmoid", "Sigmoid"),
        ),  # one channel is nobody's: it would be computed for nothing
        (((0, 3), (2, 3)), ("Sigmoid", "Sigmoid")),
        (((0, 2), (2, 3)), ("Sigmoid", "Tanh")),
    ],
)
def test_other_parts_are_cut_first(parts: Any, names: tuple[str, str]) -> None:
    assert len(attention(parts, names)) == 8
