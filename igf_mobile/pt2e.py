"""What our PT2E quantizers share: the format of int8 weights, and which nodes are to be int8."""

from collections.abc import Mapping

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import QuantizationSpec

from igf_mobile.layers import surrounded
from igf_mobile.recipes import STATIC
from igf_mobile.sites import CONVOLUTION, is_inside

_GENERATOR = "model."
"""What the generator is called inside `graph.ExportGraph`."""

INT8_WEIGHT = QuantizationSpec(
    dtype=torch.int8,
    observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=2**-16),
    quant_min=-127,
    quant_max=127,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
)
"""Symmetric, one scale per output channel."""


def is_edge(node: Node, module: str) -> bool:
    """Does the node add the parts of the head? The sum leaves the network, and is float in every runtime."""
    return node.target is torch.ops.aten.add.Tensor and is_inside(node, f"{module}.head".removeprefix("."))


def layer_name(convolution: Node) -> str:
    """The layer a convolution was traced from, as `layers.layer_names` has it."""
    *_, (innermost, _) = convolution.meta["nn_module_stack"].values()
    return str(innermost).removeprefix(_GENERATOR)


def static_nodes(model: GraphModule, module: str, layers: Mapping[str, str] | None) -> list[Node]:
    """The calls in `module` that may be static int8.

    Args:
        model: the exported graph.
        module: a dotted name.
        layers: a recipe's, layer -> precision: then the convolutions that are `w8a8`, and what lies between
            such ones alone. None: all calls.
    """
    inside = [node for node in model.graph.nodes if node.op == "call_function" and is_inside(node, module)]
    if layers is None:
        return inside
    layer_of = {node: layer_name(node) for node in inside if node.target is CONVOLUTION}
    around = surrounded({node: node.all_input_nodes for node in model.graph.nodes}, layer_of)
    return [n for n in inside if around[n] and all(layers[name] == STATIC for name in around[n])]
