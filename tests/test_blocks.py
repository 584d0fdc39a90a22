"""The form for XNNPACK against what it stands for, part by part; the whole is in test_graph.py."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from igf_mobile.blocks import (
    BlockApply,
    BlockMeans,
    for_xnnpack,
    from_rows,
    to_rows,
    upsampling_phases,
)
from igf_mobile.graph import fold_batch_norms
from igf_mobile.model import Generator, apply_coefficients
from igf_mobile.start import block_means


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


@pytest.mark.parametrize("mutant", [None, "border", "order"])
def test_block_apply_is_apply_coefficients(mutant: str | None) -> None:
    coefficients, guidance = 2.0 * random(1, 4, 6, 8) - 1.0, random(1, 3, 24, 32)
    wanted = apply_coefficients(coefficients, guidance).clamp(0.0, 1.0)
    assert 0.1 < (wanted == 0.0).float().mean() < 0.9  # both clamped and not
    if mutant == "border":
        coefficients = coefficients.roll(1, dims=3)
    picture = channels_last(guidance.flip(1) if mutant == "order" else guidance)
    found = BlockApply()(coefficients, picture).permute(0, 3, 1, 2)
    error = (found - wanted).abs().max().item()
    assert error < 2e-6 if mutant is None else error > 0.1  # measured: 5e-7


def test_means_are_block_means() -> None:
    image, mask = random(1, 3, 16, 32), random(1, 1, 16, 32)
    found = BlockMeans()(channels_last(image), channels_last(mask))
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
