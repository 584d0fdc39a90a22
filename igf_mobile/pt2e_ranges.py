"""A table of activation ranges put into PT2E annotations, in place of observers."""

from dataclasses import replace

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    QuantizationSpecBase,
)

from igf_mobile.ranges import Range, Ranges, grid, symmetric_grid
from igf_mobile.sites import activation_sites, times_resized

_ANNOTATION = "quantization_annotation"


RESIZED = 1.0
"""In ExecuTorch the range of what an upsampling writes, as a share of its source's. It was 1.0037 as long as it resized
in float and quantized again: on one scale a mean of int8 values often lies half-way between two steps, and which way
it went was up to the last bit of the kernel. `xnnpack_graph` makes one resize of int8 of it, which takes one scale."""


def fix_ranges(model: GraphModule, module: str, ranges: Ranges, resized: float = 1.0) -> None:
    """Give every annotated activation of a submodule its range's scale and zero point, in place.

    Weights keep their observer, and shared annotations stay shared: what shares a scale is one site.

    Args:
        model: the exported graph, annotated.
        module: the submodule's dotted name.
        ranges: of all its sites.
        resized: the range of what an upsampling writes, as a share of its source's.

    Raises:
        IgfError: an annotated tensor has no range.
    """
    sites = activation_sites(model, module)

    def fixed(node: Node, spec: QuantizationSpecBase | None) -> QuantizationSpecBase | None:
        if node not in sites.of or not isinstance(spec, QuantizationSpec):
            return spec
        low, high = ranges[sites.of[node]]
        factor = resized ** times_resized(node)
        return _fixed(spec, (factor * low, factor * high))

    for node in model.graph.nodes:
        annotation: QuantizationAnnotation | None = node.meta.get(_ANNOTATION)
        if annotation is None:
            continue
        inputs = {source: fixed(source, spec) for source, spec in annotation.input_qspec_map.items()}
        node.meta[_ANNOTATION] = replace(
            annotation, input_qspec_map=inputs, output_qspec=fixed(node, annotation.output_qspec)
        )


def _fixed(spec: QuantizationSpec, limits: Range) -> FixedQParamsQuantizationSpec:
    affine = spec.dtype is torch.int8 and spec.qscheme is torch.per_tensor_affine
    scale, zero_point = (grid if affine else symmetric_grid)(*limits)
    return FixedQParamsQuantizationSpec(
        spec.dtype, scale, zero_point, spec.quant_min, spec.quant_max, spec.qscheme
    )
