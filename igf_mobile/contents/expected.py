"""What the convolutions of an artifact must be: the checkpoint's, and what passes through them in float."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from igf_mobile.contents.layers import Array
from igf_mobile.graph import ExportGraph
from igf_mobile.layers import is_layer
from igf_mobile.model import Generator

SAMPLE = 16_384
"""Values kept of each tensor and calibration pair, evenly spaced."""


@dataclass(frozen=True, eq=False)
class Activation:
    """A tensor of the float model over the calibration set."""

    minimum: float
    maximum: float
    values: Array
    """Some of its values."""


@dataclass(frozen=True, eq=False)
class Expected:
    """One convolution of the checkpoint, its batch norm folded into it."""

    name: str
    """Of the module, as in the checkpoint where it is from there."""
    weights: Array
    """(O,I/groups,kh,kw)."""
    source: Activation
    """Its input."""
    result: Activation
    """Its output, after the ReLU where one follows."""

    @property
    def is_layer(self) -> bool:
        """Whether it is one of the network, and not a constant kernel."""
        return is_layer(self.name)


def expected_layers(
    model: Generator,
    layout: str,
    pairs: Sequence[tuple[Any, Any]],
    coefficients_only: bool = False,
) -> list[Expected]:
    """Every convolution of the graph that exporters take, run on a calibration set.

    Args:
        model: the float model.
        layout: NCHW or NHWC, of the artifact's coefficients; the graph may be another one for each.
        pairs: (guidance (1,3,H,W), weak_mask (1,1,H,W)), at least one.
        coefficients_only: of a graph that ends there.
    """
    graph = ExportGraph(model, "NHWC" if layout == "NHWC" else "NCHW", coefficients_only)
    clipped = _before_relu(graph)
    seen: dict[str, tuple[list[Tensor], list[Tensor]]] = {}
    convolutions = {name: module for name, module in graph.named_modules() if isinstance(module, nn.Conv2d)}

    def recorder(name: str) -> Callable[..., None]:
        def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            sources, results = seen.setdefault(name, ([], []))
            sources.append(_some(inputs[0]))
            results.append(_some(output.relu() if name in clipped else output))

        return record

    for name, module in convolutions.items():
        module.register_forward_hook(recorder(name))
    with torch.no_grad():
        for guidance, mask in pairs:
            graph(*(torch.from_numpy(np.ascontiguousarray(x)) for x in (guidance, mask)))
    return [
        Expected(
            name.removeprefix("model."),
            module.weight.detach().numpy().astype(np.float64),
            *(_activation(parts) for parts in seen[name]),
        )
        for name, module in convolutions.items()
        if name in seen
    ]


def _before_relu(model: nn.Module) -> set[str]:
    """Names of the convolutions whose output goes through a ReLU and nowhere else."""
    found = set()
    for name, sequence in model.named_modules():
        if not isinstance(sequence, nn.Sequential):
            continue
        children = [item for item in sequence.named_children() if not isinstance(item[1], nn.Identity)]
        for (key, module), (_, after) in pairwise(children):
            if isinstance(module, nn.Conv2d) and isinstance(after, nn.ReLU):
                found.add(f"{name}.{key}")
    return found


def _some(tensor: Tensor) -> Tensor:
    """Its extremes, then evenly spaced values."""
    flat = tensor.flatten()
    step = max(1, flat.numel() // SAMPLE) | 1  # odd, so that it does not keep to one column
    return torch.cat([flat.amin()[None], flat.amax()[None], flat[::step]])


def _activation(parts: list[Tensor]) -> Activation:
    extremes = [(float(part[0]), float(part[1])) for part in parts]
    values = torch.cat([part[2:] for part in parts]).numpy().astype(np.float64)
    return Activation(min(low for low, _ in extremes), max(high for _, high in extremes), values)
