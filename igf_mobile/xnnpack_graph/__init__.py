"""The graphs that ExecuTorch hands to XNNPACK, with fewer nodes and the same function."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from igf_mobile.xnnpack_graph.fusing import fuse_clamps, resize_quantized, write_outputs
from igf_mobile.xnnpack_graph.nodes import drop_unread
from igf_mobile.xnnpack_graph.products import convolutions_as_products, quantize_apart
from igf_mobile.xnnpack_graph.shapes import drop_leading_axes, transposes_as_reshapes
from igf_mobile.xnnpack_graph.sinking import sink_transposes
from igf_mobile.xnnpack_graph.slices import cut_later
from igf_mobile.xnnpack_graph.transposes import join_transposes


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
    """The same function in fewer nodes; in place.

    Args:
        graph: an `XNNGraph`, its nodes in order.
    """
    sink_transposes(graph)
    fuse_clamps(graph)
    resize_quantized(graph)
    drop_unread(graph)
    cut_later(graph)
    convolutions_as_products(graph)
    drop_leading_axes(graph)
    transposes_as_reshapes(graph)
    join_transposes(graph)
    quantize_apart(graph)
    write_outputs(graph)
    drop_unread(graph)
