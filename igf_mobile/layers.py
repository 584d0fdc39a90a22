"""The convolutions of the network: their names, and finding them again in an exported file.

Converters rename what they are given, reorder it and move it, so a convolution of a file is told by
its weights: they are those of one layer, up to the error of their own rounding.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from igf_mobile.errors import IgfError
from igf_mobile.graph import ExportGraph, Layout
from igf_mobile.model import Generator

FloatArray = NDArray[np.float32]
AnyFloats = NDArray[np.floating[Any]]
Node = TypeVar("Node", bound=Hashable)

_NETWORK = "hourglass."

_LARGEST_ERROR = 0.3
"""Of weights against their layer's, relative: int8 has 0.01, 4-bit palettes 0.1, another layer 1.4."""


def layer_names(model: Generator) -> list[str]:
    """Every layer, as in `hourglass.decode_8.fuse.parts.1`, in the order of the code."""
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
    return [name for name in convolutions if is_layer(name)]


def layer_weights(model: Generator, layout: Layout = "NCHW") -> dict[str, FloatArray]:
    """Every convolution of the exported graph -> its weights (O,I,kh,kw), batch norms folded.

    Some have constant kernels; they are no layers, see `is_layer`.
    """
    graph = ExportGraph(model, layout).model
    return {
        name: module.weight.detach().numpy()
        for name, module in graph.named_modules()
        if isinstance(module, nn.Conv2d)
    }


def is_layer(name: str) -> bool:
    """Of `layer_weights`: is it a layer of the network, and not a constant kernel?"""
    return name.startswith(_NETWORK)


def identify(found: Sequence[AnyFloats], weights: Mapping[str, FloatArray]) -> list[str]:
    """The layer that each of `found`, (O,I,kh,kw) each, is; of several equal ones, the first that is left.

    Raises:
        IgfError: one is no layer's, or two are the same one's.
    """
    names: list[str] = []
    for array in found:
        distances = {n: _distance(array, w) for n, w in weights.items() if w.shape == array.shape}
        least = min(distances.values(), default=np.inf)
        if not least <= _LARGEST_ERROR:
            raise IgfError(f"a convolution with weights of shape {array.shape} is of no layer")
        nearest = [name for name, distance in distances.items() if distance == least]
        left = [name for name in nearest if name not in names]
        if not left:
            raise IgfError(f"two convolutions have the weights of {nearest[0]}")
        names.append(left[0])
    return names


def _distance(array: AnyFloats, reference: FloatArray) -> float:
    size = float(np.linalg.norm(reference)) or 1.0
    return float(np.linalg.norm(array - reference)) / size


def surrounded(reads: Mapping[Node, Sequence[Node]], layer_of: Mapping[Node, str]) -> dict[Node, set[str]]:
    """Operator -> the convolutions around it: the nearest ones before and after it, along every path.

    Args:
        reads: operator -> the operators it reads, in program order.
        layer_of: the operators that are convolutions; around such a one is itself alone.
    """
    readers: dict[Node, list[Node]] = {}
    for node, sources in reads.items():
        for source in sources:
            readers.setdefault(source, []).append(node)
    before: dict[Node, set[str]] = {}
    after: dict[Node, set[str]] = {}
    for order, edges, nearest in ((list(reads), reads, before), (list(reads)[::-1], readers, after)):
        for node in order:
            nearest[node] = set()
            for other in edges.get(node, ()):
                nearest[node] |= {layer_of[other]} if other in layer_of else nearest.get(other, set())
    return {n: {layer_of[n]} if n in layer_of else before[n] | after[n] for n in reads}
