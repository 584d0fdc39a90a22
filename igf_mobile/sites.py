"""Where `w8a8` has int8 activations, by names that are the same for every runtime.

A *site* is a set of tensors of the network proper that share one int8 range. Convolutions, additions and products write
one each, as do the tensors that enter the network. Resizes keep their source's; an operator that a ReLU follows has
none, for all runtimes fuse the two.

A site is called after the module and the operator that write it, `encode_16.2:relu`, a second one of the kind in
the same module with a number, `:mul.1`; a tensor from outside after the first that reads it,
`encode_8.parts.1:input`.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Interpreter, Node

from igf_mobile.start import ClosedForm, Start, block_means

_ATEN = torch.ops.aten
CONVOLUTION = _ATEN.conv2d.default
RELU = _ATEN.relu.default
SIGMOID = _ATEN.sigmoid.default
ARITHMETIC = (_ATEN.add.Tensor, _ATEN.mul.Tensor)
UPSAMPLING = (_ATEN.upsample_bilinear2d.vec, _ATEN.upsample_bilinear2d.default)
_WHOLE = "hourglass"
"""The module's own name, of what it computes by itself."""
_READING = (CONVOLUTION, *ARITHMETIC, *UPSAMPLING)


@dataclass(frozen=True)
class Sites:
    """The sites of one graph."""

    of: dict[Node, str]
    """Every tensor that is int8 somewhere -> its site."""
    writer: dict[str, Node]
    """Site -> the tensor whose values are those of all its tensors."""
    fixed: frozenset[str]
    """Sites of sigmoids: LiteRT's LOGISTIC has no other output scale than 1/256."""
    entering: frozenset[str]
    """Sites of tensors that something outside the submodule computed, in float."""


def activation_sites(graph: GraphModule, module: str) -> Sites:
    """The sites of a submodule in a graph from `torch.export`.

    Args:
        graph: of `ExportGraph`, or of the network alone.
        module: the submodule's dotted name, "" for all of the graph.
    """
    inside = [n for n in graph.graph.nodes if n.op == "call_function" and is_inside(n, module)]
    known = set(inside)
    writers: dict[Node, Node] = {}
    names: dict[Node, str] = {}
    counts: dict[str, int] = {}

    def write(node: Node, name: str) -> None:
        if node not in writers:
            writers[node] = node
            seen = counts[name] = counts.get(name, -1) + 1
            names[node] = f"{name}.{seen}" if seen else name

    for node in inside:
        path = _path(node, module)
        for source in tensors_of(node) if node.target in _READING else ():
            if source not in known:
                write(source, f"{path}:input")
        if node.target in UPSAMPLING:
            writers[node] = writers[node.args[0]]
        elif not is_fused(node):
            write(node, f"{path}:{_operator(node)}")
    return Sites(
        {node: names[writer] for node, writer in writers.items()},
        {names[writer]: writer for writer in writers.values()},
        frozenset(names[n] for n in writers.values() if n.target is SIGMOID),
        frozenset(names[n] for n in writers.values() if n not in known),
    )


def is_inside(node: Node, module: str) -> bool:
    """Was the node traced from `module` (a dotted name) or a part of it?"""
    names = [name for name, _ in node.meta.get("nn_module_stack", {}).values()]
    return any(not module or name == module or name.startswith(f"{module}.") for name in names)


def is_fused(node: Node) -> bool:
    """Does a ReLU read the node, and nothing else?"""
    users = list(node.users)
    return len(users) == 1 and users[0].target is RELU


def tensors_of(node: Node) -> list[Node]:
    """The activations an operator reads; of a convolution without its weights."""
    arguments = node.args[:1] if node.target is CONVOLUTION else node.args[:2]
    return [argument for argument in arguments if isinstance(argument, Node)]


def _path(node: Node, module: str) -> str:
    name, _ = list(node.meta["nn_module_stack"].values())[-1]
    return str(name)[len(module) :].removeprefix(".") or _WHOLE


def _operator(node: Node) -> str:
    """ "aten.conv2d.default" -> "conv2d"."""
    return str(node.target).split(".")[1]


class Tap(Interpreter):
    """Runs a graph and passes the result of every node through a function."""

    def __init__(self, graph: GraphModule, function: Callable[[Node, Tensor], Tensor]) -> None:
        super().__init__(graph)
        self.function = function

    def run_node(self, n: Node) -> Any:
        """As Interpreter."""
        value = super().run_node(n)
        return self.function(n, value) if isinstance(value, Tensor) else value


def network_input(guidance: Tensor, weak_mask: Tensor) -> Start:
    """What the Hourglass is called with for (1,3,H,W) and (1,1,H,W)."""
    start: Start = ClosedForm()(*block_means(guidance, weak_mask))
    return start


def trace(network: nn.Module, size: tuple[int, int] = (64, 64)) -> GraphModule:
    """The graph of a `Hourglass` without batch norms, with parameters of its own.

    As a `Tap` that of a `Generator` takes pictures of any size (H, W), that of the block form those of `size` alone.
    """
    start = network_input(torch.rand(1, 3, *size), torch.rand(1, 1, *size))
    graph: GraphModule = torch.export.export(copy.deepcopy(network), (start,)).module(check_guards=False)
    return graph
