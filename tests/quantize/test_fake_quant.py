"""The network with int8's rounding, against a plain computation of it and against the float network."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from igf_mobile.graph import fold_batch_norms
from igf_mobile.model import Generator
from igf_mobile.observers import observe
from igf_mobile.quantize.fake_quant import FakeQuantHourglass, _rounded_weight, fake_quantized, unfolded
from igf_mobile.ranges import Ranges, grid
from igf_mobile.sites import network_input

Pairs = list[tuple[np.ndarray, np.ndarray]]
SIZE = (64, 64)


@pytest.fixture(scope="module")
def inputs(photographs: Callable[..., Pairs]) -> tuple[Tensor, Tensor]:
    guidance, mask = photographs(SIZE)[0]
    return torch.from_numpy(guidance), torch.from_numpy(mask)


@pytest.fixture(scope="module")
def ranges(trained_like: Generator, photographs: Callable[..., Pairs]) -> Ranges:
    return observe(trained_like, photographs(SIZE))[0]


def network_of(model: Generator) -> FakeQuantHourglass:
    assert isinstance(model.hourglass, FakeQuantHourglass)
    return model.hourglass


def distance(model: Generator, other: Generator, inputs: tuple[Tensor, Tensor]) -> float:
    with torch.no_grad():
        return (model(*inputs).alpha - other(*inputs).alpha).square().mean().sqrt().item()


def test_weights_have_a_scale_per_output_channel() -> None:
    weight = torch.randn(3, 2, 3, 3) * torch.tensor([1.0, 10.0, 100.0])[:, None, None, None]
    scale = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    torch.testing.assert_close(_rounded_weight(weight), (weight / scale).round() * scale)


def test_the_first_sum_is_rounded_as_written_out(
    trained_like: Generator, ranges: Ranges, inputs: tuple[Tensor, Tensor]
) -> None:
    """encode_8 by hand: rounded inputs, weights, parts and sum."""

    def rounded(x: Tensor, site: str) -> Tensor:
        scale, zero = grid(*ranges[site])
        return (((x / scale).round() + zero).clamp(-128, 127) - zero) * scale

    first = fold_batch_norms(trained_like).hourglass.encode_8
    start = network_input(*inputs)
    parts = []
    for i, x in enumerate((start.quarter, start.estimates)):
        part, site = first.parts[i], f"encode_8.parts.{i}"
        assert isinstance(part, nn.Conv2d)
        y = nn.functional.conv2d(
            rounded(x, f"{site}:input"), _rounded_weight(part.weight), part.bias, part.stride, part.padding
        )
        parts.append(rounded(y, f"{site}:conv2d"))
    wanted = rounded((parts[0] + parts[1]).relu(), "encode_8.relu:relu")
    seen: list[Tensor] = []
    quantized = network_of(fake_quantized(trained_like, ranges))
    tap = quantized._tap.function

    def spy(node: object, value: Tensor) -> Tensor:
        result = tap(node, value)  # type: ignore[arg-type]
        if getattr(node, "name", "") == "relu":
            seen.append(result)
        return result

    quantized._tap.function = spy  # type: ignore[assignment]
    with torch.no_grad():
        model = fake_quantized(trained_like, ranges)
        model.hourglass = quantized  # type: ignore[assignment]
        model(*inputs)
    step = grid(*ranges["encode_8.relu:relu"])[0]
    off = (seen[0] - wanted).abs()
    # a sum that lies on the edge of two codes may fall either way
    assert off.max() <= 1.01 * step and (off > 0.01 * step).float().mean() < 0.01


def test_it_is_near_the_float_network_and_not_it(
    trained_like: Generator, ranges: Ranges, inputs: tuple[Tensor, Tensor]
) -> None:
    assert 1e-4 < distance(trained_like, fake_quantized(trained_like, ranges), inputs) < 0.05


@pytest.mark.parametrize("site", ["encode_16.2:relu", "decode_8.fuse.relu:relu", "head.parts.0:conv2d"])
def test_a_wrong_range_at_one_site_shows(
    site: str, trained_like: Generator, ranges: Ranges, inputs: tuple[Tensor, Tensor]
) -> None:
    low, high = ranges[site]
    wrong = replace(ranges, table={**ranges.table, site: (low / 8, high / 8)})
    right = distance(trained_like, fake_quantized(trained_like, ranges), inputs)
    assert distance(trained_like, fake_quantized(trained_like, wrong), inputs) > 1.5 * right


def test_ranges_come_back_out(trained_like: Generator, ranges: Ranges) -> None:
    table = network_of(fake_quantized(trained_like, ranges)).table()
    assert set(table) == set(ranges.table)
    for site, limits in table.items():
        (scale, zero), (wanted_scale, wanted_zero) = grid(*limits), grid(*ranges[site])
        assert (pytest.approx(scale, rel=1e-6), zero) == (wanted_scale, wanted_zero), site


def test_scales_and_weights_have_gradients_and_fixed_ones_none(
    trained_like: Generator, ranges: Ranges, inputs: tuple[Tensor, Tensor]
) -> None:
    model = fake_quantized(trained_like, ranges).requires_grad_(True).train()
    model(*inputs).alpha.square().mean().backward()
    network = network_of(model)
    for name, parameter in network.network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
    assert network.log_scales.grad is not None
    still = [s for s, g in zip(network.sites, network.log_scales.grad, strict=True) if g == 0.0]
    fixed = {"hourglass:sigmoid", *(s for s in network.sites if s.endswith(":input"))}
    assert fixed <= set(still) and len(still) < len(fixed) + 4, still


def test_unfolding_keeps_every_weight_to_the_bit(
    trained_like: Generator, ranges: Ranges, inputs: tuple[Tensor, Tensor]
) -> None:
    quantized = fake_quantized(trained_like, ranges)
    result = unfolded(quantized, Generator().eval())
    folded = dict(fold_batch_norms(result).hourglass.named_parameters())
    trained = dict(network_of(quantized).network.named_parameters())
    assert set(folded) == set(trained)
    for name, parameter in trained.items():
        assert torch.equal(folded[name], parameter), name
    assert distance(trained_like, result, inputs) < 1e-5
