"""The form for XNNPACK against what it stands for, part by part; the whole is in test_graph.py."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from igf_mobile.blocks import (
    BlockApply,
    BlockMeans,
    RowStem,
    for_xnnpack,
    upsampling_phases,
)
from igf_mobile.graph import fold_batch_norms
from igf_mobile.hourglass import Hourglass, JoinedConv
from igf_mobile.model import Generator, apply_coefficients
from igf_mobile.wide import Narrow, WideJoined, from_rows, to_rows, widened


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape)))


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def test_a_row_holds_its_neighbours_as_channels_and_moves_no_byte() -> None:
    x = random(1, 4, 12, 3)
    rows = to_rows(x, 4)
    assert rows.shape == (1, 12, 4, 3)
    assert rows.data_ptr() == x.data_ptr()
    for column, channel in ((0, 0), (2, 1), (3, 2)):
        assert torch.equal(rows[0, 3 * column + channel], x[0, :, column::4, channel])


def test_from_rows_puts_back_what_to_rows_cut() -> None:
    x = random(1, 8, 12, 3)
    assert torch.equal(from_rows(to_rows(x, 6), 3), x)


def test_the_phases_are_bilinear_upsampling_across() -> None:
    x = random(1, 1, 5, 7)
    wanted = interpolate(x, scale_factor=(1, 4), mode="bilinear", align_corners=False)
    around = pad(x, (1, 1, 0, 0), mode="replicate").unfold(3, 3, 1)
    found = torch.einsum("bchwj,pj->bchwp", around, upsampling_phases()).flatten(3)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0.0)


def test_constant_kernels_are_exact_in_float16() -> None:
    """LiteRT's int8 files store them so; 6 times an eighth is exact too."""
    fixed = [*BlockApply().parameters(), *BlockMeans(3, 4).parameters(), *BlockMeans(1, 8).parameters()]
    assert len(fixed) == 5
    for kernel in fixed:
        assert torch.equal(kernel.half().float(), kernel)


@pytest.mark.parametrize("mutant", [None, "border", "order"])
def test_block_apply_is_apply_coefficients(mutant: str | None) -> None:
    coefficients, guidance = 2.0 * random(1, 4, 6, 8) - 1.0, random(1, 3, 24, 32)
    wanted = apply_coefficients(coefficients, guidance).clamp(0.0, 1.0)
    assert 0.1 < (wanted == 0.0).float().mean() < 0.9  # both clamped and not
    if mutant == "border":
        coefficients = coefficients.roll(1, dims=3)
    column = to_rows(channels_last(guidance.flip(1) if mutant == "order" else guidance), 32)
    found = BlockApply()(coefficients, column).permute(0, 3, 1, 2)
    error = (found - wanted).abs().max().item()
    assert error < 2e-6 if mutant is None else error > 0.1  # measured: 5e-7


def test_the_stem_on_rows_is_the_stem(trained_like: Generator) -> None:
    stem = fold_batch_norms(trained_like).hourglass.stem
    image, mask = random(1, 3, 32, 64), random(1, 1, 32, 64)
    with torch.no_grad():
        found = RowStem(stem)(channels_last(image).contiguous(), channels_last(mask).contiguous())
        torch.testing.assert_close(found, stem(image, mask), atol=1e-5, rtol=0.0)


@pytest.mark.parametrize(("channels", "blocks"), [(3, 4), (1, 8)])
def test_means_are_block_means(channels: int, blocks: int) -> None:
    x = random(1, channels, 16, 32)
    found = BlockMeans(channels, blocks)(to_rows(channels_last(x), 32))
    torch.testing.assert_close(found, avg_pool2d(x, 4), atol=1e-6, rtol=0.0)


@pytest.mark.parametrize(("outputs", "pixels"), [(8, 2), (4, 4), (16, 1)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_widened_convolution_is_the_convolution(outputs: int, pixels: int, bias: bool) -> None:
    convolution = nn.Conv2d(7, outputs, 3, padding=1, bias=bias)
    x = random(1, 7, 6, 8)
    with torch.no_grad():
        wide = widened(convolution, pixels)(x)
        assert wide.shape == (1, outputs * pixels, 6, 8 // pixels)
        torch.testing.assert_close(Narrow(outputs)(wide), convolution(x), atol=1e-6, rtol=0.0)


def test_a_wide_sum_is_the_sum(trained_like: Generator) -> None:
    joined: JoinedConv = fold_batch_norms(trained_like).hourglass.decode_4.fuse
    inputs = [random(1, part.in_channels, 8, 16) - 0.5 for part in joined.parts]  # type: ignore[call-overload]
    with torch.no_grad():
        torch.testing.assert_close(WideJoined(joined)(*inputs), joined(*inputs), atol=1e-5, rtol=0.0)


def outputs_by_layer(hourglass: Hourglass) -> dict[str, int]:
    return {n: m.out_channels for n, m in hourglass.named_modules() if isinstance(m, nn.Conv2d)}


def test_every_layer_keeps_its_name_and_those_with_few_outputs_are_wide(trained_like: Generator) -> None:
    folded = fold_batch_norms(trained_like).hourglass
    before = outputs_by_layer(folded)
    after = outputs_by_layer(for_xnnpack(folded))
    assert list(after) == list(before)
    wider = {name: after[name] for name in before if after[name] != before[name]}
    assert set(wider.values()) == {16}
    assert {name.split(".")[0] for name in wider} == {"attention", "decode_8", "decode_4", "head"}


def test_a_wide_network_is_left_narrow() -> None:
    """Of the double width only the head has fewer outputs than a kernel computes at once."""
    folded = fold_batch_norms(Generator(2).eval()).hourglass
    before = outputs_by_layer(folded)
    after = outputs_by_layer(for_xnnpack(folded))
    changed = {name.split(".")[0] for name in before if after[name] != before[name]}
    assert changed == {"attention", "head"}
