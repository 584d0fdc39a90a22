"""The block form against what it stands for, part by part; the whole is in test_graph.py."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from igf_mobile.blocks import BlockApply, BlockStem, _means, from_blocks, to_blocks, upsampling_phases
from igf_mobile.graph import fold_batch_norms
from igf_mobile.model import Generator, apply_coefficients


def random(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape)))


def channels_last(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def test_a_block_holds_its_sixteen_pixels_row_by_row() -> None:
    x = random(1, 8, 12, 3)
    blocks = to_blocks(x)
    assert blocks.shape == (1, 48, 2, 3)
    for row, column, channel in ((0, 0, 0), (1, 2, 1), (3, 3, 2)):
        assert torch.equal(blocks[0, (4 * row + column) * 3 + channel], x[0, row::4, column::4, channel])


def test_from_blocks_puts_back_what_to_blocks_cut() -> None:
    x = random(1, 8, 12, 1)
    assert torch.equal(from_blocks(to_blocks(x)), x)


def test_the_phases_are_bilinear_upsampling() -> None:
    x = random(1, 1, 5, 7)
    wanted = interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)
    found = conv2d(pad(x, (1, 1, 1, 1), mode="replicate"), upsampling_phases()[:, None])
    torch.testing.assert_close(from_blocks(found), channels_last(wanted), atol=1e-6, rtol=0.0)


def test_the_phases_are_exact_in_float16() -> None:
    """LiteRT's int8 files store them so."""
    phases = upsampling_phases()
    assert torch.equal(phases.half().float(), phases)


@pytest.mark.parametrize("mutant", [None, "border", "order"])
def test_block_apply_is_apply_coefficients(mutant: str | None) -> None:
    coefficients, guidance = 2.0 * random(1, 4, 6, 5) - 1.0, random(1, 3, 24, 20)
    wanted = apply_coefficients(coefficients, guidance).clamp(0.0, 1.0)
    assert 0.1 < (wanted == 0.0).float().mean() < 0.9  # both clamped and not
    if mutant == "border":
        coefficients = coefficients.roll(1, dims=2)
    blocks = to_blocks(channels_last(guidance.flip(1) if mutant == "order" else guidance))
    found = from_blocks(BlockApply()(coefficients, blocks)).permute(0, 3, 1, 2)
    error = (found - wanted).abs().max().item()
    assert error < 2e-6 if mutant is None else error > 0.1  # measured: 5e-7


def test_the_stem_on_blocks_is_the_stem(trained_like: Generator) -> None:
    stem = fold_batch_norms(trained_like).hourglass.stem
    image, mask = random(1, 3, 32, 64), random(1, 1, 32, 64)
    with torch.no_grad():
        found = BlockStem(stem)(to_blocks(channels_last(image)), to_blocks(channels_last(mask)))
        torch.testing.assert_close(found, stem(image, mask), atol=1e-5, rtol=0.0)


def test_means_are_block_means() -> None:
    x = random(1, 3, 16, 8)
    means: nn.Conv2d = _means(3)
    torch.testing.assert_close(means(to_blocks(channels_last(x))), avg_pool2d(x, 4), atol=1e-6, rtol=0.0)
