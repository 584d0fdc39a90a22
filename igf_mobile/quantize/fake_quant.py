"""The network in PyTorch with int8's rounding: what LiteRT and ExecuTorch compute in `w8a8`, or in a recipe of it.

Rounded are the weights (symmetric, a scale per output channel, the largest weight at 127, as both exporters do) and
what operators read and write, each tensor by its site's range (`sites`, `ranges`). Not rounded: biases, which are int32
there, and the requantization inside the kernels. It is differentiable.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.node import map_arg

from igf_mobile.graph import fold_batch_norms
from igf_mobile.hourglass import JoinedConv
from igf_mobile.model import Generator
from igf_mobile.pt2e import is_edge, layer_name, static_nodes
from igf_mobile.ranges import HIGHEST, LOWEST, Range, Ranges, grid, range_of
from igf_mobile.recipes import WEIGHTS
from igf_mobile.sites import (
    ARITHMETIC,
    CONVOLUTION,
    RELU,
    SIGMOID,
    UPSAMPLING,
    Tap,
    activation_sites,
    is_fused,
    tensors_of,
    trace,
)
from igf_mobile.start import Start

_LEAST_WEIGHT_SCALE = 2.0**-16
"""As `pt2e.INT8_WEIGHT`: of a channel without weights."""

_ROUNDED = (CONVOLUTION, *ARITHMETIC, *UPSAMPLING)


class Rounding(NamedTuple):
    """What an operator rounds."""

    inputs: frozenset[Node]
    output: bool


def roundings(graph: GraphModule, layers: Mapping[str, str] | None = None) -> dict[Node, Rounding]:
    """Where a graph rounds, as the exporters annotate it.

    Args:
        graph: from `sites.trace`.
        layers: layer -> precision, as `sites` calls them (`head.parts.0`); None: all of them `w8a8`.
    """
    found: dict[Node, Rounding] = {}
    for node in static_nodes(graph, "", layers):
        weight = node.args[1:2] if node.target is CONVOLUTION else ()
        if node.target is SIGMOID or (node.target is RELU and is_fused(node.all_input_nodes[0])):
            found[node] = Rounding(frozenset(), True)
        elif node.target in _ROUNDED and not is_edge(node, ""):
            found[node] = Rounding(frozenset([*tensors_of(node), *weight]), not is_fused(node))  # type: ignore[list-item]
    for node in graph.graph.nodes:
        if layers and node.target is CONVOLUTION and layers[layer_name(node)] == WEIGHTS:
            found[node] = Rounding(frozenset([node.args[1]]), False)
    return found


class _RoundingTap(Tap):
    """Runs a graph; rounds what operators read and write."""

    def __init__(self, graph: GraphModule, function: Callable[[Node, Tensor], Tensor]) -> None:
        super().__init__(graph, function)
        self.roundings = roundings(graph)

    def fetch_args_kwargs_from_env(self, n: Node) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """As Interpreter, rounded where the operator reads int8 of what was not written as int8."""
        read = self.roundings[n].inputs if n in self.roundings else frozenset()

        def load(source: Node) -> Any:
            written = source in self.roundings and self.roundings[source].output
            return (
                self.function(source, self.env[source])
                if source in read and not written
                else self.env[source]
            )

        return map_arg(n.args, load), map_arg(n.kwargs, load)

    def run_node(self, n: Node) -> Any:
        """As Interpreter."""
        value = Interpreter.run_node(self, n)
        return self.function(n, value) if n in self.roundings and self.roundings[n].output else value


class FakeQuantHourglass(nn.Module):
    """A `Hourglass` without batch norms whose weights and activations are rounded; scales can be learned.

    Zero points stay where the ranges have them, so a tensor that is never negative loses no codes.
    """

    def __init__(self, network: nn.Module, ranges: Ranges) -> None:
        """Trace `network`, a folded Hourglass, and round by `ranges`."""
        super().__init__()
        self.network = trace(network)
        """Its parameters have the names of the Hourglass's."""
        sites = activation_sites(self.network, "")
        self.sites = tuple(sites.writer)
        grids = [grid(*ranges[site]) for site in self.sites]
        self.log_scales = nn.Parameter(torch.tensor([scale for scale, _ in grids]).log())
        self.register_buffer("zero_points", torch.tensor([float(zero) for _, zero in grids]))
        # What enters keeps the scale that keeps 8-bit means off half-way places (`ranges.OFF_GRID`).
        self._fixed = {self.sites.index(site) for site in sites.fixed | sites.entering}
        self._index = {node: self.sites.index(site) for node, site in sites.of.items()}
        self._weights = {node.args[1] for node in self.convolutions}
        self._tap = _RoundingTap(self.network, self._rounded)

    @property
    def convolutions(self) -> list[Node]:
        """In the order of the graph."""
        return [node for node in self.network.graph.nodes if node.target is CONVOLUTION]

    def choose(self, layers: Mapping[str, str] | None) -> None:
        """Round by a recipe; None: all layers in `w8a8`. Names as for `roundings`."""
        self._tap.roundings = roundings(self.network, layers)

    def forward(self, start: Start) -> Tensor:
        """As Hourglass."""
        corrections: Tensor = self._tap.run(start)
        return corrections

    def train(self, mode: bool = True) -> "FakeQuantHourglass":
        """The graph computes the same in both modes, and what `torch.export` gives refuses to be told."""
        self.training = mode
        return self

    def table(self) -> dict[str, Range]:
        """Site -> range, as it is now."""
        scales, zeros = self.log_scales.detach().double().exp(), self.get_buffer("zero_points")
        return {
            site: range_of(float(scale), int(zero))
            for site, scale, zero in zip(self.sites, scales, zeros, strict=True)
        }

    def _rounded(self, node: Node, value: Tensor) -> Tensor:
        if node in self._weights:
            return _rounded_weight(value)
        index = self._index.get(node)
        if index is None:
            return value
        scale, zero = self.log_scales[index : index + 1].exp(), self.get_buffer("zero_points")
        if index in self._fixed:
            scale = scale.detach()
        # The gradient of a scale sums over all its values; LSQ (Esser et al. 2020) divides by this.
        share = 1.0 / (value.numel() * HIGHEST) ** 0.5
        return torch._fake_quantize_learnable_per_tensor_affine(
            value, scale, zero[index : index + 1], LOWEST, HIGHEST, share
        )


def _rounded_weight(weight: Tensor) -> Tensor:
    largest = weight.detach().abs().amax(dim=(1, 2, 3))
    scales = (largest / HIGHEST).clamp(min=_LEAST_WEIGHT_SCALE)
    zeros = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -HIGHEST, HIGHEST)


def fake_quantized(model: Generator, ranges: Ranges) -> Generator:
    """A generator in eval mode with the arithmetic of `w8a8`; `model` stays as it is."""
    folded = fold_batch_norms(model)
    folded.hourglass = FakeQuantHourglass(folded.hourglass, ranges)  # type: ignore[assignment]
    return folded


def unfolded(quantized: Generator, template: Generator) -> Generator:
    """An ordinary generator with the weights of a fake-quantized one, not rounded.

    Folding its batch norms, which are the identity but for their bias, gives the same weights to the bit.
    So a network trained without norms is a checkpoint like any other.

    Args:
        quantized: from `fake_quantized`.
        template: of the same width; only its shape is used.
    """
    network = quantized.hourglass
    assert isinstance(network, FakeQuantHourglass)
    result = copy.deepcopy(template)
    tensors = dict(network.network.named_parameters())
    with torch.no_grad():
        for name, module in result.hourglass.named_modules():
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(tensors[f"{name}.weight"])
                if module.bias is not None:
                    module.bias.copy_(tensors[f"{name}.bias"])
            elif isinstance(module, JoinedConv) and isinstance(module.norm, nn.BatchNorm2d):
                _make_identity(module.norm, tensors[f"{name}.parts.0.bias"])
            elif isinstance(module, nn.Sequential):
                for i, norm in enumerate(module):
                    if isinstance(norm, nn.BatchNorm2d):
                        _make_identity(norm, tensors[f"{name}.{i - 1}.bias"])
    return result


def _make_identity(norm: nn.Module, bias: Tensor) -> None:
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    nn.init.ones_(norm.weight)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0 - norm.eps)
