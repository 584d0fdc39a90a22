"""Which nodes the PT2E quantizers mark under a recipe, without any vendor's lowering."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.fx import GraphModule, Node

from igf_mobile.backends.base import FloatArray
from igf_mobile.coreml_quantizer import ModuleQuantizer
from igf_mobile.graph import ExportGraph
from igf_mobile.layers import layer_names
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.pt2e import layer_name
from igf_mobile.recipes import Recipe
from igf_mobile.sites import CONVOLUTION
from igf_mobile.xnnpack_quantizer import StaticQuantizer

Pairs = list[tuple[FloatArray, FloatArray]]
RECIPE = Recipe("mixed", "w8a8", {"hourglass.head": "float32", "hourglass.residual": "w8"})


@pytest.fixture(scope="module")
def graph(trained_like: Generator, photographs: Callable[..., Pairs]) -> GraphModule:
    pair = tuple(torch.from_numpy(x) for x in photographs((64, 64))[0])
    return torch.export.export(ExportGraph(trained_like), pair).module()


@pytest.fixture
def annotate(
    graph: GraphModule, trained_like: Generator, photographs: Callable[..., Pairs]
) -> Callable[..., dict[Node, Any]]:
    """(quantizer, layers) -> node -> its annotation."""
    ranges = observe(trained_like, photographs((64, 64))[:1])[0]

    def run(quantizer: str, layers: dict[str, str] | None) -> dict[Node, Any]:
        for node in graph.graph.nodes:
            node.meta.pop("quantization_annotation", None)
        if quantizer == "xnnpack":
            StaticQuantizer("model.hourglass", layers=layers).annotate(graph)
        else:
            ModuleQuantizer("model.hourglass", ranges, layers).annotate(graph)
        metas = {node: node.meta.get("quantization_annotation") for node in graph.graph.nodes}
        return {node: found for node, found in metas.items() if found is not None}

    return run


def rounded(found: dict[Node, Any]) -> dict[str, tuple[bool, bool]]:
    """Layer -> is its input rounded, are its weights."""
    return {
        layer_name(n): tuple(a in marks.input_qspec_map for a in n.args[:2])  # type: ignore[misc]
        for n, marks in found.items()
        if n.target is CONVOLUTION
    }


@pytest.mark.parametrize("quantizer", ["xnnpack", "coreml"])
def test_all_layers_in_w8a8_are_what_no_recipe_is(
    trained_like: Generator, annotate: Callable[..., dict[Node, Any]], quantizer: str
) -> None:
    names = layer_names(trained_like)
    whole, mixed = annotate(quantizer, None), annotate(quantizer, dict.fromkeys(names, "w8a8"))
    assert list(whole) == list(mixed)
    assert rounded(whole) == rounded(mixed) == dict.fromkeys(names, (True, True))


@pytest.mark.parametrize("quantizer", ["xnnpack", "coreml"])
def test_a_recipe_marks_its_layers_and_what_lies_between_them(
    trained_like: Generator, annotate: Callable[..., dict[Node, Any]], quantizer: str
) -> None:
    layers = RECIPE.resolve(layer_names(trained_like))
    found = annotate(quantizer, layers)
    wanted = {"w8a8": (True, True), "w8": (False, True), "float32": (False, False)}
    marked = {name: wanted[precision] for name, precision in layers.items() if precision != "float32"}
    if quantizer == "xnnpack":  # its kernels have no w8
        marked = {name: marks for name, marks in marked.items() if layers[name] == "w8a8"}
    assert rounded(found) == marked
    additions = [n for n in found if n.target is torch.ops.aten.add.Tensor]
    everything = annotate(quantizer, None)
    assert 0 < len(additions) < len([n for n in everything if n.target is torch.ops.aten.add.Tensor])
