import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile.data.images import U8
from igf_mobile.data.weak_mask import (
    DEFAULT_KINDS,
    KINDS,
    dilate_erode,
    keeps_enough,
    kernel_side,
    weak_mask,
)

seeds = st.integers(0, 2**32 - 1)


def disc(radius: int, side: int = 256) -> U8:
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (side // 2, side // 2), radius, 255, -1)
    return np.asarray(cv2.GaussianBlur(alpha, (0, 0), 3), np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    name=st.sampled_from(sorted(KINDS)),
    radius=st.integers(2, 120),
    scale=st.sampled_from([0.5, 1.0]),
)
def test_mask_is_binary_or_abandoned_and_the_alpha_is_untouched(
    seed: int, name: str, radius: int, scale: float
) -> None:
    alpha = disc(radius)
    before = alpha.copy()
    mask = weak_mask(alpha, np.random.default_rng(seed), {name: 1.0}, scale)
    assert np.array_equal(alpha, before)
    if mask is not None:
        assert mask.dtype == np.uint8 and mask.shape == alpha.shape
        assert set(np.unique(mask)) <= {0, 255}
        assert np.count_nonzero(mask) >= 0.5 * np.count_nonzero(alpha > 127)


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_same_seed_same_mask(seed: int) -> None:
    first, second = (weak_mask(disc(80), np.random.default_rng(seed)) for _ in range(2))
    assert (first is None) == (second is None)
    assert first is None or second is None or np.array_equal(first, second)


@settings(max_examples=200, deadline=None)
@given(seed=seeds)
def test_kernels_are_5_to_30_and_half_of_that_at_256(seed: int) -> None:
    assert 5 <= kernel_side(np.random.default_rng(seed)) <= 30
    assert 2 <= kernel_side(np.random.default_rng(seed), 0.5) <= 15


def test_every_kernel_side_is_drawn() -> None:
    rng = np.random.default_rng(0)
    assert {kernel_side(rng) for _ in range(2000)} == set(range(5, 31))


@settings(max_examples=60, deadline=None)
@given(seed=seeds)
def test_paper_mask_moves_the_outline_by_at_most_25_pixels_in_all(seed: int) -> None:
    """A square of side s becomes s + grow - shrink: dilation and erosion together, each with its kernel."""
    square = np.zeros((256, 256), np.uint8)
    square[78:178, 78:178] = 255
    sides = np.random.default_rng(seed)
    grow, shrink = kernel_side(sides), kernel_side(sides)
    mask = dilate_erode(square, np.random.default_rng(seed))
    assert np.count_nonzero(mask.any(axis=0)) == 100 + grow - shrink
    assert np.count_nonzero(mask) == (100 + grow - shrink) ** 2


def test_dilation_comes_first_so_that_a_net_is_filled() -> None:
    net = np.zeros((256, 256), np.uint8)
    net[50:200:6, 50:200] = 255
    net[50:200, 50:200:6] = 255
    masks = [dilate_erode(net, np.random.default_rng(seed)) for seed in range(20)]
    assert sum(keeps_enough(mask, net) for mask in masks) >= 15


def test_half_the_foreground_is_the_limit() -> None:
    foreground = np.zeros((20, 20), np.uint8)
    foreground[:, :10] = 255
    half = np.zeros_like(foreground)
    half[:10, :10] = 255
    assert keeps_enough(half, foreground)
    half[0, 0] = 0
    assert not keeps_enough(half, foreground)
    assert not keeps_enough(foreground, np.zeros_like(foreground))


def test_abandoned_when_the_erosion_takes_too_much() -> None:
    thin = np.zeros((256, 256), np.uint8)
    cv2.line(thin, (10, 128), (245, 128), 255, 3)
    masks = [weak_mask(thin, np.random.default_rng(seed), {"dilate_erode": 1.0}) for seed in range(40)]
    assert any(mask is None for mask in masks) and any(mask is not None for mask in masks)
    assert weak_mask(np.zeros((64, 64), np.uint8), np.random.default_rng(0)) is None


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_is_wrong_somewhere_but_not_everywhere(name: str) -> None:
    alpha = cv2.resize(disc(90), (512, 512))
    truth = alpha > 127
    overlaps = []
    for seed in range(12):
        mask = weak_mask(np.asarray(alpha, np.uint8), np.random.default_rng(seed), {name: 1.0})
        if mask is not None:
            overlaps.append(np.sum(truth & (mask > 0)) / np.sum(truth | (mask > 0)))
    assert len(overlaps) >= 6
    assert 0.7 < np.mean(overlaps) < 0.999


def test_defaults_are_kinds_and_mostly_the_papers() -> None:
    assert set(DEFAULT_KINDS) == set(KINDS)
    assert DEFAULT_KINDS["dilate_erode"] >= 0.5


def test_unknown_kind_names_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'sloppy' is not one of dilate_erode, polygon"):
        weak_mask(disc(50), np.random.default_rng(0), {"sloppy": 1.0})
