"""Which tensors of a submodule carry int8 in a Core ML file: the PT2E annotations of `w8` and `w8a8`.

ExecuTorch's CoreMLQuantizer can be restricted to a module by name, but then leaves every convolution
float without a word: its filter asks the weight's node for a module, and a weight has none. It also
spent 4 minutes of processor time on compiling its patterns (executorch 1.5.1, measured). This one is
a walk over the graph.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import HistogramObserver
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, QuantizationSpec, Quantizer

from igf_mobile.pt2e import INT8_WEIGHT, is_edge, layer_name, static_nodes
from igf_mobile.pt2e_ranges import fix_ranges
from igf_mobile.ranges import Ranges
from igf_mobile.recipes import FLOAT
from igf_mobile.sites import CONVOLUTION, activation_sites, is_inside

_ATEN = torch.ops.aten
_ADDITION = _ATEN.add.Tensor

_SIGNED = QuantizationSpec(
    dtype=torch.int8,
    observer_or_fake_quant_ctr=HistogramObserver.with_args(eps=2**-16),
    quant_min=-127,
    quant_max=127,
    qscheme=torch.per_tensor_symmetric,
)
_UNSIGNED = QuantizationSpec(
    dtype=torch.uint8,
    observer_or_fake_quant_ctr=HistogramObserver.with_args(eps=2**-16),
    quant_min=0,
    quant_max=255,
    qscheme=torch.per_tensor_affine,
)
"""For tensors that are never negative: their zero point comes out as 0, and they gain a bit."""


def quantize_module(
    exported: GraphModule,
    module: str,
    ranges: Ranges | None,
    example: tuple[Tensor, Tensor],
    layers: Mapping[str, str] | None = None,
) -> GraphModule:
    """The same graph, with a submodule that has int8 weights, or computes with static int8.

    Args:
        exported: from `torch.export`, batch norms folded.
        module: a dotted name. Everything outside it stays float.
        ranges: of the activations, which are int8 then; None: the weights alone are.
        example: guidance and weak_mask of any content.
        layers: of a recipe, layer -> precision, where not all layers are the same.
    """
    prepared = prepare_pt2e(exported, ModuleQuantizer(module, ranges, layers))
    with torch.no_grad():
        prepared(*example)  # lets the weights' observers see them
    quantized: GraphModule = convert_pt2e(prepared)
    return quantized


class ModuleQuantizer(Quantizer):
    """int8 for the weights and inputs of a submodule's convolutions, and for its residual additions.

    Upsampling, sigmoid and the multiplications by attention stay float between them:
    quantizing a convolution's output as well as what its reader makes of it cost 0.5 dB and gained
    nothing.
    """

    def __init__(self, module: str, ranges: Ranges | None, layers: Mapping[str, str] | None = None) -> None:
        """Arguments as in `quantize_module`."""
        self.module = module
        self.ranges = ranges
        self.layers = layers

    def annotate(self, model: GraphModule) -> GraphModule:
        """Mark what is to be int8; called by `prepare_pt2e`."""
        sites = activation_sites(model, self.module)
        static = static_nodes(model, self.module, self.layers) if self.ranges is not None else []
        for node in model.graph.nodes:
            if node.target not in (CONVOLUTION, _ADDITION) or not is_inside(node, self.module):
                continue
            if is_edge(node, self.module):
                continue
            sources = node.args[:1] if node.target is CONVOLUTION else node.args[:2]
            specs: dict[Node, QuantizationSpec] = {}
            if self.ranges is not None and node in static:
                least = {source: self.ranges[sites.of[source]][0] for source in sources}
                specs |= {s: _UNSIGNED if low >= 0.0 else _SIGNED for s, low in least.items()}
            if node.target is CONVOLUTION and self._is_int8(node):
                specs[node.args[1]] = INT8_WEIGHT
            if specs:
                node.meta["quantization_annotation"] = QuantizationAnnotation(specs, _annotated=True)
        if self.ranges is not None:
            fix_ranges(model, self.module, self.ranges)
        return model

    def _is_int8(self, convolution: Node) -> bool:
        return self.layers is None or self.layers[layer_name(convolution)] != FLOAT

    def validate(self, model: GraphModule) -> None:
        """Nothing to check here: the exporter counts what is int8 in the finished file."""
