"""The form for XNNPACK against what it stands for, part by part; the whole is in test_graph.py."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from igf_mobile.blocks import (
    BlockApply,
    BlockMeans,
    as_planes,
    for_xnnpack,
    rows_as_channels,
    upsampled_down,
    upsampling_taps,
)
from igf_mobile.graph import fold_batch_norms
from igf_mobile.model import Generator, apply_coefficients
from igf_mobile.primitives import upsample
from igf_mobile.start import block_means


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape)))


def test_rows_are_channels_and_no_byte_moves() -> None:
    x = random(1, 3, 4, 12)
    rows = rows_as_channels(x)
    assert rows.shape == (1, 12, 3, 4)
    assert rows.is_contiguous(memory_format=torch.channels_last)
    assert rows.data_ptr() == x.data_ptr()
    assert torch.equal(rows[0, :, 2, 1], x[0, 2, 1])
    assert torch.equal(as_planes(rows), x)


def test_upsampling_down_leaves_columns_apart() -> None:
    x = random(1, 3, 5, 7)
    wanted = interpolate(x, scale_factor=(4, 1), mode="bilinear", align_corners=False)
    found = as_planes(upsampled_down(rows_as_channels(x), 4))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("factors", [(2,), (4,), (2, 4)])
def test_the_taps_are_bilinear_upsampling_across(factors: tuple[int, ...]) -> None:
    x = random(1, 1, 5, 7)
    wanted = x
    for factor in factors:
        wanted = interpolate(wanted, scale_factor=(1, factor), mode="bilinear", align_corners=False)
    around = pad(x, (1, 1, 0, 0), mode="replicate").unfold(3, 3, 1)
    found = torch.einsum("bchwj,pj->bchwp", around, upsampling_taps(*factors)).flatten(3)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=0.0)


@pytest.mark.parametrize("mutant", [None, "border", "order"])
def test_block_apply_is_apply_coefficients(mutant: str | None) -> None:
    drawn, guidance = 2.0 * random(1, 4, 4, 8) - 1.0, random(1, 3, 32, 64)
    coefficients = upsample(drawn, 2)
    wanted = apply_coefficients(coefficients, guidance).clamp(0.0, 1.0)
    assert 0.1 < (wanted == 0.0).float().mean() < 0.9  # both clamped and not
    if mutant == "border":
        drawn = drawn.roll(1, dims=3)
    apply = BlockApply()
    found, quarter = apply(drawn, guidance.flip(1) if mutant == "order" else guidance)
    error = (found - wanted).abs().max().item()
    assert error < 2e-6 if mutant is None else error > 0.1  # measured: 6e-7
    if mutant != "border":
        torch.testing.assert_close(quarter.permute(0, 3, 1, 2), coefficients, atol=1e-6, rtol=0.0)
    assert torch.equal(apply.coefficients(drawn), quarter)


def test_means_are_block_means() -> None:
    image, mask = random(1, 3, 32, 64), random(1, 1, 32, 64)
    found = BlockMeans()(image, mask)
    for means, wanted in zip(found, block_means(image, mask), strict=True):
        torch.testing.assert_close(means, wanted, atol=1e-6, rtol=0.0)


def test_only_the_attention_changes(trained_like: Generator) -> None:
    folded = fold_batch_norms(trained_like).hourglass
    before = {n: tuple(m.weight.shape) for n, m in folded.named_modules() if isinstance(m, nn.Conv2d)}
    changed = for_xnnpack(folded)
    after = {n: tuple(m.weight.shape) for n, m in changed.named_modules() if isinstance(m, nn.Conv2d)}
    assert list(after) == list(before)
    differ = {name: (before[name], after[name]) for name in before if after[name] != before[name]}
    assert differ == {"attention.0": ((1, 32, 1, 1), (16, 32, 1, 1))}
