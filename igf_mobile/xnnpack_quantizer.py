"""int8 for one submodule, as XNNPACK's kernels want it: the PT2E annotations of `w8` and `w8a8`.

ExecuTorch's own XNNPACKQuantizer, restricted to a module by name, annotated 11 of 22 convolutions (checkpoint 0.1.0)
and the matte came out wrong (mean error 0.27) without a word (executorch 1.5.1, measured). This one is a walk over the
graph: every convolution, addition and product of the submodule gets its own output range.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import HistogramObserver, PlaceholderObserver
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpec,
    Quantizer,
)

from igf_mobile.pt2e import INT8_WEIGHT, is_edge, static_nodes
from igf_mobile.pt2e_ranges import fix_ranges
from igf_mobile.ranges import Ranges
from igf_mobile.sites import (
    ARITHMETIC,
    CONVOLUTION,
    RELU,
    UPSAMPLING,
    is_inside,
)

_ACTIVATION = QuantizationSpec(
    dtype=torch.int8,
    observer_or_fake_quant_ctr=HistogramObserver.with_args(eps=2**-12),
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
)


_DYNAMIC = QuantizationSpec(
    dtype=torch.int8,
    observer_or_fake_quant_ctr=PlaceholderObserver.with_args(eps=2**-12, is_dynamic=True),
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
    is_dynamic=True,
)


class WeightQuantizer(Quantizer):
    """`w8`: int8 weights of the submodule's dense convolutions, whose input is quantized on the fly.

    XNNPACK has no convolution with int8 weights and float arithmetic, and none of this kind that is
    depthwise; the depthwise ones (1 % of the weights) stay float.
    """

    def __init__(self, module: str) -> None:
        self.module = module

    def annotate(self, model: GraphModule) -> GraphModule:
        """Mark what is to be observed; called by `prepare_pt2e`."""
        for node in model.graph.nodes:
            if node.target is CONVOLUTION and is_inside(node, self.module) and not _is_depthwise(node):
                source, weight = node.args[:2]
                node.meta["quantization_annotation"] = QuantizationAnnotation(
                    {source: _DYNAMIC, weight: INT8_WEIGHT}, _annotated=True
                )
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to check here: the exporter counts what is int8 in the finished file."""


class StaticQuantizer(Quantizer):
    """`w8a8`: static int8 in the submodule `module` (a dotted name); everything else stays float."""

    def __init__(
        self, module: str, ranges: Ranges | None = None, layers: Mapping[str, str] | None = None
    ) -> None:
        """Restrict to `module`.

        Args:
            module: a dotted name.
            ranges: of the activations; None: they are to be observed.
            layers: of a recipe, layer -> precision; None: all of them `w8a8`.
        """
        self.module = module
        self.ranges = ranges
        self.layers = layers

    def annotate(self, model: GraphModule) -> GraphModule:
        """Mark what is to be int8; called by `prepare_pt2e`."""
        for node in static_nodes(model, self.module, self.layers):
            if node.target is CONVOLUTION:
                source, weight = node.args[:2]
                _annotate(node, {source: _ACTIVATION, weight: INT8_WEIGHT})
            elif is_edge(node, self.module):
                continue
            elif node.target in ARITHMETIC and all(isinstance(a, Node) for a in node.args[:2]):
                _annotate(node, dict.fromkeys(node.args[:2], _ACTIVATION))
            elif node.target in UPSAMPLING:
                # Not shared, so that ExecuTorch quantizes what is resized; the two have one range all the same.
                _annotate(node, {node.args[0]: _ACTIVATION})
        if self.ranges is not None:
            fix_ranges(model, self.module, self.ranges)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to check here: the exporter counts what is int8 in the finished file."""


def _is_depthwise(node: Node) -> bool:
    weight = node.args[1]
    return isinstance(weight, Node) and bool(weight.meta["val"].shape[1] == 1)


def _annotate(node: Node, inputs: dict[Any, QuantizationSpec]) -> None:
    """`inputs` on `node`, and its output on the ReLU that XNNPACK fuses with it, if there is one."""
    users = list(node.users)
    fused = len(users) == 1 and users[0].target is RELU
    node.meta["quantization_annotation"] = QuantizationAnnotation(
        inputs, None if fused else _ACTIVATION, _annotated=True
    )
    if fused:
        users[0].meta["quantization_annotation"] = QuantizationAnnotation({}, _ACTIVATION, _annotated=True)
