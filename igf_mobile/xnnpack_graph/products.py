"""Convolutions of single pixels as the products that they are.

XNNPACK computes both with the same kernels; a product has 5 numbers in the file and a convolution 20. Those that
quantize their input on the fly stay: they are quantized by picture, and a product's by pixel.
"""

from typing import Any

from igf_mobile.xnnpack_graph.nodes import Values, kind_of, sources

CONVOLUTION, PRODUCT = "XNNConv2d", "XNNFullyConnected"
_ONES = ("kernel_height", "kernel_width", "subsampling_height", "subsampling_width", "groups")
_ZEROS = ("padding_top", "padding_right", "padding_bottom", "padding_left", "flags")


def convolutions_as_products(graph: Any) -> None:
    """Write each 1x1 convolution of single pixels, in one group, as a product of its channels; in place."""
    from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNFullyConnected

    values = Values(graph)
    products, others = [], set[int]()
    for node in graph.xnodes:
        if _is_product(node.xnode_union, values):
            products.append(node)
        else:
            others |= {*sources(node.xnode_union)}
    for node in products:
        old = node.xnode_union
        if old.filter_id in others:
            continue
        node.xnode_union = XNNFullyConnected(old.input1_id, old.filter_id, old.bias_id, old.output_id, 0)
        tensor = values.tensor(old.filter_id)
        tensor.dims, tensor.num_dims = [tensor.dims[0], tensor.dims[-1]], 2


def _is_product(operator: Any, values: Values) -> bool:
    if kind_of(operator) != CONVOLUTION:
        return False
    if any(getattr(operator, name) != 1 for name in _ONES) or any(getattr(operator, name) for name in _ZEROS):
        return False
    static = values.is_float(operator.input1_id) or hasattr(values.scheme(operator.input1_id), "zero_point")
    return static and values.is_constant(operator.filter_id)
