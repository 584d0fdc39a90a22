"""The two-colour fit against a slow evaluation in float64, and what it promises at its edges."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from igf_mobile.backends.base import FloatArray
from igf_mobile.two_colour import (
    SideMeans,
    TwoColour,
    TwoColourFit,
    channel_sum,
    padded,
    unit_clamp,
    upsample,
)

Pairs = list[tuple[FloatArray, FloatArray]]
Array = NDArray[np.float64]

BLOCK, CELL, REACH = 8, 16, 2
EPS, GAIN, TINY = 0.003, 10.0, 1e-3

# Part -> largest difference of float32 from float64 on three photographs, and what was measured.
# Each mutant below is at least 10,000 times past the limit of some part.
LIMITS = {
    "alpha_lr": 3e-5,  # 1.5e-5
    "misfit": 6e-6,  # 3.1e-6
    "contrast": 3e-7,  # 1.6e-7
}


def block_means(plane: Array, side: int) -> Array:
    rows, columns = plane.shape[0] // side, plane.shape[1] // side
    return np.array(
        [
            [plane[y * side : (y + 1) * side, x * side : (x + 1) * side].mean() for x in range(columns)]
            for y in range(rows)
        ]
    )


def at(grid: Array, y: int, x: int) -> Array:
    """A value of (rows,columns,C) cells at the centre of block (y, x), bilinear, borders repeated."""
    per_cell = CELL // BLOCK
    rows, columns = grid.shape[:2]
    v = min(max((y + 0.5) / per_cell - 0.5, 0.0), rows - 1.0)
    u = min(max((x + 0.5) / per_cell - 0.5, 0.0), columns - 1.0)
    top, left = int(v), int(u)
    low, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
    upper = grid[top, left] * (1 - u + left) + grid[top, right] * (u - left)
    lower = grid[low, left] * (1 - u + left) + grid[low, right] * (u - left)
    return np.asarray(upper * (1 - v + top) + lower * (v - top))


def evaluate(image: Array, mask: Array) -> dict[str, Array]:
    """The docstring's equations on (3,H,W) and (H,W), cell by cell and block by block."""
    image_lr = np.stack([block_means(plane, BLOCK) for plane in image])
    mask_lr = block_means(mask, BLOCK)
    h, w = mask_lr.shape
    per_cell = CELL // BLOCK
    rows, columns = h // per_cell, w // per_cell
    colours = np.zeros((rows, columns, 7))  # F - G, G, trust
    for i in range(rows):
        for j in range(columns):
            inside, outside, share, other = np.zeros(3), np.zeros(3), 0.0, 0.0
            for y in range((i - REACH) * per_cell, (i + REACH + 1) * per_cell):
                for x in range((j - REACH) * per_cell, (j + REACH + 1) * per_cell):
                    if 0 <= y < h and 0 <= x < w:
                        inside += mask_lr[y, x] * image_lr[:, y, x]
                        outside += (1 - mask_lr[y, x]) * image_lr[:, y, x]
                        share += mask_lr[y, x]
                        other += 1 - mask_lr[y, x]
            area = ((2 * REACH + 1) * per_cell) ** 2  # beyond the border counts as neither side
            foreground = inside / area / (share / area + TINY)
            background = outside / area / (other / area + TINY)
            trust = min(GAIN * share / area, 1.0) * min(GAIN * other / area, 1.0)
            colours[i, j] = [*(foreground - background), *background, trust]

    result = {name: np.zeros((3, h, w)) for name in ("contrast",)}
    result |= {name: np.zeros((1, h, w)) for name in ("alpha_lr", "misfit")}
    for y in range(h):
        for x in range(w):
            values = at(colours, y, x)
            contrast, background, trust = values[:3], values[3:6], float(values[6])
            slope = contrast / (contrast @ contrast + EPS)
            offset = image_lr[:, y, x] - background
            alpha = min(max(float(slope @ offset), 0.0), 1.0)
            residual = offset - alpha * contrast
            misfit = min(float(residual @ residual) / (contrast @ contrast + EPS), 1.0)
            result["contrast"][:, y, x] = 0.5 * contrast + 0.5
            result["alpha_lr"][0, y, x] = mask_lr[y, x] + trust * (alpha - mask_lr[y, x])
            result["misfit"][0, y, x] = trust * misfit
    return result


def fitted(image_lr: torch.Tensor, mask_lr: torch.Tensor) -> TwoColour:
    return TwoColourFit()(image_lr, mask_lr, SideMeans()(torch.cat([image_lr, mask_lr], dim=1)))


def fit(guidance: FloatArray, mask: FloatArray) -> TwoColour:
    """The fit of a photograph."""
    return fitted(*(avg_pool2d(torch.from_numpy(x), BLOCK) for x in (guidance, mask)))


def distances(found: TwoColour, wanted: dict[str, Array]) -> dict[str, float]:
    assert set(wanted) == set(found._fields)
    return {
        name: float(np.abs(getattr(found, name)[0].numpy() - value).max()) for name, value in wanted.items()
    }


@pytest.mark.parametrize("index", [0, 1, 2])
def test_equals_a_slow_evaluation_in_float64(index: int, photographs: Callable[..., Pairs]) -> None:
    guidance, mask = photographs((96, 128))[index]
    wanted = evaluate(guidance[0].astype(np.float64), mask[0, 0].astype(np.float64))
    for name, distance in distances(fit(guidance, mask), wanted).items():
        assert distance <= LIMITS[name], name


def test_the_limits_catch_swapped_colours_and_a_shift(photographs: Callable[..., Pairs]) -> None:
    guidance, mask = photographs((96, 128))[0]
    wanted = evaluate(guidance[0].astype(np.float64), mask[0, 0].astype(np.float64))
    mutants = {
        "red and blue swapped": (guidance[:, ::-1].copy(), mask),
        "guidance shifted": (np.roll(guidance, 1, axis=3), mask),
        "mask shifted": (guidance, np.roll(mask, 1, axis=2)),
        "mask dropped": (guidance, np.ones_like(mask)),
    }
    for name, inputs in mutants.items():
        found = distances(fit(*inputs), wanted)
        assert any(found[part] > 1e4 * limit for part, limit in LIMITS.items() if limit), name


def test_two_flat_colours_are_separated_exactly_where_they_are() -> None:
    """Foreground red, background blue, a mask that is 4 pixels off: alpha_lr follows the colours."""
    guidance = np.zeros((1, 3, 128, 128), np.float32)
    guidance[:, 0, :, :64] = 0.9
    guidance[:, 2, :, 64:] = 0.8
    mask = np.zeros((1, 1, 128, 128), np.float32)
    mask[..., :60] = 1.0
    start = fit(guidance, mask)
    middle = start.alpha_lr[0, 0, :, 6:10].numpy()
    np.testing.assert_allclose(middle[:, :2], 1.0, atol=0.02)
    np.testing.assert_allclose(middle[:, 2:], 0.0, atol=0.08)  # 4 of its pixels were taken for background


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_side_only_gives_the_mask(value: float, photographs: Callable[..., Pairs]) -> None:
    guidance, mask = photographs((64, 64))[0]
    start = fit(guidance, np.full_like(mask, value))
    assert not start.misfit.any()
    assert bool((start.alpha_lr == value).all())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_ranges(seed: int, soft: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, 16, 8, generator=generator)
    mask = torch.rand(1, 1, 16, 8, generator=generator)
    start = fitted(image, mask if soft else mask.round())
    for name in ("alpha_lr", "misfit"):
        values = getattr(start, name)
        assert values.min() >= 0.0, name
        assert values.max() <= 1.0 + 1e-6, name
    assert start.contrast.min() >= 0.0
    assert start.contrast.max() <= 1.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_unit_clamp_is_a_clamp(values: list[float]) -> None:
    x = torch.tensor(values)
    torch.testing.assert_close(unit_clamp(x), x.clamp(0.0, 1.0), atol=1e-6, rtol=0.0)


def test_unit_clamp_keeps_its_ends() -> None:
    ends = torch.tensor([-1.0, 0.0, 0.25, 1.0, 1.0 + 1e-3, 7.0])
    torch.testing.assert_close(
        unit_clamp(ends), torch.tensor([0.0, 0.0, 0.25, 1.0, 1.0, 1.0]), atol=1e-6, rtol=0.0
    )


def test_channel_sum_is_the_sum_of_channels() -> None:
    x = torch.arange(24.0).reshape(2, 3, 2, 2)
    assert torch.equal(channel_sum(x), x.sum(dim=1, keepdim=True))


def test_padded_is_zeros_around() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(padded(x, 2), torch.nn.functional.pad(x, (2, 2, 2, 2)))


def test_upsample_has_half_pixel_centres() -> None:
    row = upsample(torch.tensor([[[[0.0, 4.0]]]]), 2)[0, 0, 0]
    assert row.tolist() == [0.0, 1.0, 3.0, 4.0]
