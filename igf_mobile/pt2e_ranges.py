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
from igf_mobile.sites import activation_sites

_ANNOTATION = "quantization_annotation"


def fix_ranges(model: GraphModule, module: str, ranges: Ranges) -> None:
    """Give every annotated activation of a submodule its range's scale and zero point, in place.

    Weights keep their observer, and shared annotations stay shared: what shares a scale is one site.

    Args:
        model: the exported graph, annotated.
        module: the submodule's dotted name.
        ranges: of all its sites.

    Raises:
        IgfError: an annotated tensor has no range.
    """
    sites = activation_sites(model, module)

    def fixed(node: Node, spec: QuantizationSpecBase | None) -> QuantizationSpecBase | None:
        if node not in sites.of or not isinstance(spec, QuantizationSpec):
            return spec
        return _fixed(spec, ranges[sites.of[node]])

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
