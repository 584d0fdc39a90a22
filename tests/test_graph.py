"""What exporters are handed: no batch norms, the same numbers, clamps where the model has its trick."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from igf_mobile.backends.base import FloatArray
from igf_mobile.graph import ExportGraph, Layout, fold_batch_norms, restore_clamps
from igf_mobile.model import Generator

Pairs = list[tuple[FloatArray, FloatArray]]

_RELU6 = torch.ops.aten.relu6.default
_CLAMP = torch.ops.aten.clamp.default

UNIT_CLAMPS = 2
"""Alpha after the refit, and the matte."""

OTHERS = 3
"""Alpha and support in the colour regression, divided by 6 together; 6 times alpha before the refit."""


def inputs(photographs: Callable[..., Pairs]) -> tuple[torch.Tensor, torch.Tensor]:
    guidance, mask = photographs((64, 64))[0]
    return torch.from_numpy(guidance), torch.from_numpy(mask)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_folding_leaves_no_batch_norm_and_the_same_outputs(
    trained_like: Generator, photographs: Callable[..., Pairs]
) -> None:
    assert (
        norms(trained_like) == 13
    )  # 20 convolutions less two heads, the four that join another and the one that draws
    folded = fold_batch_norms(trained_like)
    assert norms(folded) == 0
    with torch.no_grad():
        for wanted, found in zip(
            trained_like(*inputs(photographs)), folded(*inputs(photographs)), strict=True
        ):
            torch.testing.assert_close(found, wanted, atol=5e-5, rtol=0.0)  # measured: 1.9e-5 of a slope


def test_folding_leaves_the_model_itself_alone(trained_like: Generator) -> None:
    before = {name: tensor.clone() for name, tensor in trained_like.state_dict().items()}
    fold_batch_norms(trained_like)
    assert norms(trained_like) == 13
    assert all(torch.equal(tensor, before[name]) for name, tensor in trained_like.state_dict().items())


def test_folding_refuses_training_mode() -> None:
    with pytest.raises(ValueError, match=r"eval mode; call model\.eval\(\) first"):
        fold_batch_norms(Generator().train())


def test_the_block_form_is_the_generator(trained_like: Generator, photographs: Callable[..., Pairs]) -> None:
    guidance, mask = inputs(photographs)
    with torch.no_grad():
        wanted = ExportGraph(trained_like)(guidance, mask)
        graph = ExportGraph(trained_like, "NHWC")
        alpha, coefficients = graph(guidance, mask)
    found = (alpha, coefficients.permute(0, 3, 1, 2))
    assert [tuple(x.shape) for x in found] == [(1, 1, 64, 64), (1, 4, 16, 16)]
    # Measured: 2.0e-5, 3.2e-5. The colour regression magnifies how a block mean is rounded.
    for a, b, limit in zip(wanted, found, (6e-5, 1e-4), strict=True):
        torch.testing.assert_close(a, b, atol=limit, rtol=0.0)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_graph_that_ends_at_the_coefficients(
    layout: Layout, trained_like: Generator, photographs: Callable[..., Pairs]
) -> None:
    example = inputs(photographs)
    with torch.no_grad():
        _, wanted = ExportGraph(trained_like, layout)(*example)
        (found,) = ExportGraph(trained_like, layout, coefficients_only=True)(*example)
    assert torch.equal(found, wanted)


def test_restore_clamps_replaces_every_triple_and_keeps_the_numbers(
    trained_like: Generator, photographs: Callable[..., Pairs]
) -> None:
    example = inputs(photographs)
    graph = torch.export.export(ExportGraph(trained_like), example).module()

    def count(target: object) -> int:
        return sum(node.target is target for node in graph.graph.nodes)

    before = graph(*example)
    clamps = count(_CLAMP)
    assert count(_RELU6) == UNIT_CLAMPS + OTHERS
    restore_clamps(graph)
    assert count(_RELU6) == OTHERS
    assert count(_CLAMP) == clamps + UNIT_CLAMPS
    for wanted, found in zip(before, graph(*example), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0.0)


class _Others(nn.Module):
    """relu6 with other factors after it, or read by others: not a clamp to [0,1]."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        relu6 = nn.functional.relu6
        shared = relu6(6.0 * x)
        return relu6(6.0 * x) * 0.5, relu6(x), shared * (1.0 / 6.0), shared


def test_restore_clamps_leaves_other_uses_of_relu6_alone() -> None:
    x = torch.linspace(-2, 2, 9)
    graph = torch.export.export(_Others(), (x,)).module()
    before = graph(x)
    restore_clamps(graph)
    assert sum(node.target is _RELU6 for node in graph.graph.nodes) == 3
    for wanted, found in zip(before, graph(x), strict=True):
        np.testing.assert_array_equal(found.numpy(), wanted.numpy())
