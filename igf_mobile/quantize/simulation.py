"""Any recipe's matte in seconds: the network in PyTorch with its tensors rounded as int8 would.

The annotations are those of the ExecuTorch export (`xnnpack_quantizer`), the ranges those that its
observers find on the calibration set, found once; LiteRT rounds at the same places. What is not the
export's: a range is that of the network in `w8a8` throughout (there an upsampling or a concatenation
shares one with what it reads), and biases stay float32. All layers in `w8a8` had 1.01287 of the float
network's SAD here and 1.01284 in the .pte (checkpoint 0.2.0, proof set); `igf sensitivity` prints the two
beside each other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from igf_mobile.backends.base import channels_first, channels_last
from igf_mobile.graph import ExportGraph, restore_clamps, slices_for_splits
from igf_mobile.layers import layer_names
from igf_mobile.model import Generator
from igf_mobile.pt2e import INT8_WEIGHT, layer_name
from igf_mobile.recipes import WEIGHTS
from igf_mobile.sites import CONVOLUTION, is_inside
from igf_mobile.xnnpack_quantizer import StaticQuantizer

FloatArray = NDArray[np.float32]
Pair = tuple[FloatArray, FloatArray]
"""guidance (1,3,H,W) and weak_mask (1,1,H,W)."""

_NETWORK = "model.hourglass"
_ANNOTATION = "quantization_annotation"


@dataclass(frozen=True)
class Range:
    """How a tensor is rounded."""

    scale: Tensor
    zero_point: Tensor
    least: int
    greatest: int
    axis: int | None
    """Of the channels that have a scale each; None: one scale."""

    def rounded(self, x: Tensor) -> Tensor:
        """`x` as int8 holds it."""
        if self.axis is None:
            step, zero = float(self.scale), int(self.zero_point)
            return torch.fake_quantize_per_tensor_affine(x, step, zero, self.least, self.greatest)
        zeros = self.zero_point.to(torch.int32)
        return torch.fake_quantize_per_channel_affine(
            x, self.scale, zeros, self.axis, self.least, self.greatest
        )


class Simulation:
    """A generator whose layers can be quantized one by one.

    Attributes:
        macs: layer -> its multiplications at the calibration pairs' size.
        weights: layer -> how many it has.
    """

    def __init__(
        self,
        model: Generator,
        calibration: Sequence[Pair],
        samples: Sequence[Pair],
        progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Trace, calibrate, and compute what no layer changes for each sample, once.

        Args:
            model: in eval mode.
            calibration: the pairs that the ranges come from.
            samples: the pairs that `run` will be asked for; of the size of the calibration pairs.
            progress: called for each pair of both.
        """
        example = _tensors(calibration[0])
        self._graph: GraphModule = torch.export.export(ExportGraph(model, "NHWC"), example).module()
        restore_clamps(self._graph)
        slices_for_splits(self._graph)
        self._names = layer_names(model)
        nodes = self._graph.graph.nodes
        convolutions = [n for n in nodes if n.target is CONVOLUTION and is_inside(n, _NETWORK)]
        self._layer_of = {n: layer_name(n) for n in convolutions}
        self.weights, self.macs = _counts(model, calibration[0])
        self._ranges = _calibrate(model, example, calibration, progress)
        fixed = self._independent_of(convolutions)
        self._order = [n for n in self._graph.graph.nodes if n not in fixed]
        needed = {source for node in self._order for source in node.all_input_nodes if source in fixed}
        self._starts = []
        for pair in samples:
            values = self._compute([n for n in self._graph.graph.nodes if n in fixed], {}, pair, {})
            self._starts.append({node: values[node] for node in needed})
            progress()

    def _independent_of(self, convolutions: Sequence[Node]) -> set[Node]:
        after = set(convolutions)
        for node in self._graph.graph.nodes:
            if node.op == "output" or any(source in after for source in node.all_input_nodes):
                after.add(node)
        return {node for node in self._graph.graph.nodes if node not in after}

    def run(self, layers: Mapping[str, str]) -> list[FloatArray]:
        """The mattes (1,1,H,W) of the samples, with each layer of `layers` in its precision.

        Args:
            layers: all layers, with one of `recipes.PRECISIONS` each.
        """
        rounding = self._rounding(layers)
        mattes = []
        for start in self._starts:
            values = self._compute(self._order, rounding, None, start)
            mattes.append(channels_first(values[self._order[-1]][0].numpy()))
        return mattes

    def _rounding(self, layers: Mapping[str, str]) -> dict[Node, tuple[set[Node], bool]]:
        """Node -> which of its inputs are rounded, and whether its output is; as the export annotates."""
        for node in self._graph.graph.nodes:
            node.meta.pop(_ANNOTATION, None)
        StaticQuantizer(_NETWORK, layers=layers).annotate(self._graph)
        weights_only = [name for name, precision in layers.items() if precision == WEIGHTS]
        rounding: dict[Node, tuple[set[Node], bool]] = {}
        for node in self._graph.graph.nodes:
            if annotation := node.meta.get(_ANNOTATION):
                rounding[node] = (set(annotation.input_qspec_map), annotation.output_qspec is not None)
            elif self._layer_of.get(node) in weights_only:
                rounding[node] = ({node.args[1]}, False)
        return rounding

    def _compute(
        self,
        order: Sequence[Node],
        rounding: Mapping[Node, tuple[set[Node], bool]],
        pair: Pair | None,
        start: Mapping[Node, Any],
    ) -> dict[Node, Any]:
        values: dict[Node, Any] = dict(start)
        inputs = iter(_tensors(pair) if pair else ())
        with torch.inference_mode():
            for node in order:
                if node.op == "placeholder":
                    values[node] = next(inputs)
                elif node.op == "get_attr":
                    values[node] = _attribute(self._graph, str(node.target))
                elif node.op == "output":
                    values[node] = map_arg(node.args[0], values.__getitem__)
                elif node.op == "call_function":
                    values[node] = self._call(node, values, *rounding.get(node, (set(), False)))
        return values

    def _call(self, node: Node, values: Mapping[Node, Any], inputs: set[Node], output: bool) -> Any:
        def value(source: Node) -> Any:
            return self._ranges[source.name].rounded(values[source]) if source in inputs else values[source]

        function: Any = node.target
        result = function(*map_arg(node.args, value), **map_arg(node.kwargs, value))
        return self._ranges[node.name].rounded(result) if output else result


def _counts(model: Generator, pair: Pair) -> tuple[dict[str, int], dict[str, int]]:
    """Layer -> its weights, and its multiplications for a pair: the network's, whatever form is exported."""
    weights, macs = {}, {}

    def count(name: str) -> Callable[..., None]:
        def hook(module: torch.nn.Conv2d, inputs: object, output: Tensor) -> None:
            weights[name] = module.weight.numel()
            macs[name] = module.weight[0].numel() * output.numel()

        return hook

    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, torch.nn.Conv2d)]
    handles = [module.register_forward_hook(count(name)) for name, module in layers]
    try:
        with torch.no_grad():
            model(*map(torch.from_numpy, pair))
    finally:
        for handle in handles:
            handle.remove()
    return weights, macs


def _tensors(pair: Pair) -> tuple[Tensor, Tensor]:
    """As the graph takes them: (1,H,W,3) and (1,H,W,1)."""
    guidance, mask = (torch.from_numpy(channels_last(x)) for x in pair)
    return guidance, mask


def _attribute(module: Any, name: str) -> Any:
    for part in name.split("."):
        module = getattr(module, part)
    return module


def _calibrate(
    model: Generator,
    example: tuple[Tensor, Tensor],
    calibration: Sequence[Pair],
    progress: Callable[[], None],
) -> dict[str, Range]:
    """Node name -> the range that the export in `w8a8` gives its value."""
    from torchao.quantization.pt2e.quantize_pt2e import prepare_pt2e

    graph: Any = torch.export.export(ExportGraph(model, "NHWC"), example).module()
    restore_clamps(graph)
    slices_for_splits(graph)
    prepared = prepare_pt2e(graph, StaticQuantizer(_NETWORK))
    with torch.no_grad():
        for pair in calibration:
            prepared(*_tensors(pair))
            progress()
    ranges = {}
    for node in prepared.graph.nodes:
        if node.op != "call_module" or "guards" in str(node.target):
            continue
        observer = _attribute(prepared, str(node.target))
        source = node.args[0]
        while source.op == "call_module":
            source = source.args[0]
        scale, zero_point = observer.calculate_qparams()
        axis = observer.ch_axis if observer.qscheme == INT8_WEIGHT.qscheme else None
        ranges[source.name] = Range(scale, zero_point, observer.quant_min, observer.quant_max, axis)
    return ranges
