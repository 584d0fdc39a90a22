"""The colour regression against its formula, pixel by pixel in float64, and what it is there for."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn.functional import avg_pool2d

from igf_mobile.backends.base import FloatArray
from igf_mobile.colour_regression import ColourRegression, Regressed

Pairs = list[tuple[FloatArray, FloatArray]]
Array = NDArray[np.float64]

CELL, INVERSE_VARIANCE, TINY = 8, 200.0, 1e-3

PARTS = ("alpha_lr", "support")

# Part -> largest difference of float32 from float64 over three photographs, and what was measured.
LIMITS = {"alpha_lr": 8e-5, "support": 3e-4}  # 3.6e-5, 1.5e-4
SIDES_LIMIT = 1e-6


def lowered(pair: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Means of 4x4 pixels: (3,h,w) and (h,w)."""
    image, mask = (
        x[0].reshape(x.shape[1], x.shape[2] // 4, 4, x.shape[3] // 4, 4).mean((2, 4)) for x in pair
    )
    return image, mask[0]


def regressed(image: torch.Tensor, mask: torch.Tensor) -> Regressed:
    quarter = torch.cat([image, mask], dim=1)
    found: Regressed = ColourRegression()(quarter, avg_pool2d(quarter, 2))
    return found


def regress(image: FloatArray, mask: FloatArray) -> dict[str, FloatArray]:
    """Part -> (h/2,w/2)."""
    found = regressed(torch.from_numpy(image[None].copy()), torch.from_numpy(mask[None, None].copy()))
    return dict(zip(PARTS, found.estimates6[0].numpy() / 6.0, strict=True))


def halved(x: Array) -> Array:
    """Means of 2 x 2."""
    *more, h, w = x.shape
    return np.asarray(x.reshape(*more, h // 2, 2, w // 2, 2).mean((-3, -1)))


def cells_of(image: Array, mask: Array) -> dict[tuple[int, int], tuple[Array, float, Array, float]]:
    """The mean colour and the share of both sides of each cell of (3,h,w) and (h,w)."""
    h, w = mask.shape
    drawn, drawn_mask, side = halved(image), halved(mask), CELL // 2
    cells: dict[tuple[int, int], tuple[Array, float, Array, float]] = {}
    for i in range(h // CELL):
        for j in range(w // CELL):
            block = np.s_[i * side : (i + 1) * side, j * side : (j + 1) * side]
            m, colours = drawn_mask[block], drawn[:, block[0], block[1]]
            share = float(m.mean())
            foreground = (colours * m).mean((1, 2)) / (share + TINY)
            background = (colours * (1 - m)).mean((1, 2)) / (1 - share + TINY)
            cells[i, j] = (foreground, share, background, 1 - share)
    return cells


def evaluate(image: Array, mask: Array) -> dict[str, Array]:
    """The docstring's equation on (3,h,w) and (h,w), averaged to (h/2,w/2)."""
    h, w = mask.shape
    cells = cells_of(image, mask)
    result = {"alpha_lr": np.zeros((h, w)), "support": np.zeros((h, w))}
    for y in range(h):
        for x in range(w):
            inside = outside = 0.0
            for i in range(y // CELL - 1, y // CELL + 2):
                for j in range(x // CELL - 1, x // CELL + 2):
                    if (i, j) in cells:
                        foreground, share, background, other = cells[i, j]
                        inside += share * near(image[:, y, x] - foreground)
                        outside += other * near(image[:, y, x] - background)
            alpha = (inside + TINY * mask[y, x]) / (inside + outside + TINY)
            result["alpha_lr"][y, x] = min(max(2 * alpha - 0.5, 0.0), 1.0)
            result["support"][y, x] = min(inside + outside, 1.0)
    return {name: halved(values) for name, values in result.items()}


def near(difference: Array) -> float:
    return float((1 + INVERSE_VARIANCE * difference @ difference) ** -2)


def distances(found: dict[str, FloatArray], wanted: dict[str, Array]) -> dict[str, float]:
    return {name: float(np.abs(found[name] - value).max()) for name, value in wanted.items()}


@pytest.mark.parametrize("index", [0, 1, 2])
def test_equals_a_slow_evaluation_in_float64(index: int, photographs: Callable[..., Pairs]) -> None:
    image, mask = lowered(photographs((96, 128))[index])
    wanted = evaluate(image.astype(np.float64), mask.astype(np.float64))
    for name, distance in distances(regress(image, mask), wanted).items():
        assert distance <= LIMITS[name], name


def test_the_limits_catch_mutants(photographs: Callable[..., Pairs]) -> None:
    image, mask = lowered(photographs((96, 128))[0])
    wanted = evaluate(image.astype(np.float64), mask.astype(np.float64))
    mutants = {
        "image shifted": (np.roll(image, 1, axis=2), mask),
        "mask shifted": (image, np.roll(mask, 1, axis=0)),
        "mask dropped": (image, np.ones_like(mask)),
        "sides swapped": (image, 1.0 - mask),
    }
    for name, inputs in mutants.items():
        found = distances(regress(*inputs), wanted)
        assert found["alpha_lr"] > 100 * LIMITS["alpha_lr"], name


def test_the_sides_are_their_mean_colours_and_shares(photographs: Callable[..., Pairs]) -> None:
    image, mask = lowered(photographs((96, 128))[0])
    found = regressed(torch.from_numpy(image[None].copy()), torch.from_numpy(mask[None, None].copy())).sides
    wanted = cells_of(image.astype(np.float64), mask.astype(np.float64))
    assert found.shape == (1, 8, 3, 4)
    for (i, j), (foreground, share, background, other) in wanted.items():
        values = [*foreground, share, *background, other]
        np.testing.assert_allclose(found[0, :, i, j].numpy(), values, atol=SIDES_LIMIT, rtol=0.0)


def test_a_side_may_have_many_colours() -> None:
    """Bars of red and green before their own mean: both sides have the same mean colour."""
    image = np.zeros((3, 128, 128), np.float32)
    image[:2] = 0.4
    red = np.arange(128) // 32 % 2 == 0
    image[0, :64], image[1, :64] = 0.8 * red, 0.8 * ~red
    truth, mask = np.zeros((2, 128, 128), np.float32)
    truth[:64], mask[:48] = 1.0, 1.0  # 16 rows are missing

    band = np.s_[6:8, 3:13]
    wanted = halved(lowered((image[None], truth[None, None]))[1])[band]
    lowered_image, lowered_mask = lowered((image[None], mask[None, None]))
    found = regress(lowered_image, lowered_mask)["alpha_lr"][band]
    assert np.abs(found - wanted).mean() < 0.1
    assert np.abs(halved(lowered_mask)[band] - wanted).mean() > 0.9


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_side_only_gives_the_mask(value: float, photographs: Callable[..., Pairs]) -> None:
    image, mask = lowered(photographs((64, 64))[0])
    found = regress(image, np.full_like(mask, value))
    assert bool((np.abs(found["alpha_lr"] - value) < 1e-6).all())


def test_a_batch_is_its_samples(photographs: Callable[..., Pairs]) -> None:
    pairs = [lowered(pair) for pair in photographs((64, 96))[:2]]
    together = regressed(
        torch.from_numpy(np.stack([image for image, _ in pairs])),
        torch.from_numpy(np.stack([mask[None] for _, mask in pairs])),
    )
    for index, pair in enumerate(pairs):
        alone = regress(*pair)
        for name, values in zip(PARTS, together.estimates6[index].numpy() / 6.0, strict=True):
            np.testing.assert_allclose(values, alone[name], atol=1e-6, rtol=0.0)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_ranges(seed: int, soft: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(1, 1, 16, 8, generator=generator)
    found = regressed(torch.rand(1, 3, 16, 8, generator=generator), mask if soft else mask.round())
    assert found.estimates6.shape == (1, 2, 8, 4)
    for values in (found.estimates6 / 6.0, found.sides):
        assert values.min() >= 0.0
        assert values.max() <= 1.0 + 1e-6
