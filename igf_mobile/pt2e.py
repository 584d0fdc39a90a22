"""What our PT2E quantizers share: the format of int8 weights, and which nodes are of a submodule."""

import torch
from torch.fx import Node
from torchao.quantization.pt2e import PerChannelMinMaxObserver
from torchao.quantization.pt2e.quantizer import QuantizationSpec

INT8_WEIGHT = QuantizationSpec(
    dtype=torch.int8,
    observer_or_fake_quant_ctr=PerChannelMinMaxObserver.with_args(eps=2**-16),
    quant_min=-127,
    quant_max=127,
    qscheme=torch.per_channel_symmetric,
    ch_axis=0,
)
"""Symmetric, one scale per output channel."""


def is_inside(node: Node, module: str) -> bool:
    """Was the node traced from `module` (a dotted name) or a part of it?"""
    return any(
        name == module or name.startswith(f"{module}.")
        for name, _ in node.meta.get("nn_module_stack", {}).values()
    )
