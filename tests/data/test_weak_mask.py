from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile.data.images import U8
from igf_mobile.data.weak_mask import (
    KINDS,
    MIXES,
    SOFT_KINDS,
    dilate_erode,
    keeps_enough,
    kernel_side,
    nearly_right,
    previous_alpha,
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
def test_mask_is_binary_soft_or_abandoned_and_the_alpha_is_untouched(
    seed: int, name: str, radius: int, scale: float
) -> None:
    alpha = disc(radius)
    before = alpha.copy()
    mask = weak_mask(alpha, np.random.default_rng(seed), {name: 1.0}, scale)
    assert np.array_equal(alpha, before)
    if mask is not None:
        assert mask.dtype == np.uint8 and mask.shape == alpha.shape
        assert name in SOFT_KINDS or set(np.unique(mask)) <= {0, 255}
        assert np.count_nonzero(mask > 127) >= 0.5 * np.count_nonzero(alpha > 127)


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
            overlaps.append(np.sum(truth & (mask > 127)) / np.sum(truth | (mask > 127)))
    assert len(overlaps) >= 6
    assert 0.7 < np.mean(overlaps) < 0.999


def test_mixes_are_of_kinds_and_mostly_the_papers() -> None:
    assert set(MIXES["full"]) == set(KINDS)
    for mix in MIXES.values():
        assert set(mix) <= set(KINDS) and sum(mix.values()) == pytest.approx(1.0)
        assert mix["dilate_erode"] == max(mix.values()) > 0.45


@settings(max_examples=40, deadline=None)
@given(seed=seeds)
def test_a_nearly_right_mask_moves_the_outline_by_at_most_3_pixels(seed: int) -> None:
    square = np.zeros((128, 128), np.uint8)
    square[40:90, 40:90] = 255
    mask = nearly_right(square, np.random.default_rng(seed))
    reach = np.ones((7, 7), np.uint8)
    assert not (cv2.erode(square, reach) & ~mask).any() and not (mask & ~cv2.dilate(square, reach)).any()


def test_of_nearly_right_masks_some_are_right_and_most_are_not() -> None:
    square = np.zeros((128, 128), np.uint8)
    square[40:90, 40:90] = 255
    wrong = [np.mean(nearly_right(square, np.random.default_rng(seed)) != square) for seed in range(60)]
    assert min(wrong) == 0 and np.mean(np.array(wrong) > 0) > 0.5


def test_the_previous_alpha_is_the_alpha_moved_and_soft() -> None:
    alpha = np.asarray(cv2.resize(disc(90), (512, 512)), np.uint8)
    moves = []
    for seed in range(40):
        mask = previous_alpha(alpha, np.random.default_rng(seed))
        assert 0.9 < mask.sum() / alpha.sum() < 1.1  # nothing is lost by moving, turning and blurring
        assert np.mean((mask > 10) & (mask < 245)) > 0.5 * np.mean((alpha > 10) & (alpha < 245))
        moves.append(np.hypot(*(_centre(mask) - _centre(alpha))))
    assert max(moves) < 14 * np.sqrt(2) + 1
    assert np.quantile(moves, 0.2) < 1.5 and max(moves) > 5


def _centre(mask: U8) -> Any:
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    return np.array([(y * mask).sum(), (x * mask).sum()]) / mask.sum()


def test_unknown_kind_names_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'sloppy' is not one of dilate_erode, nearly_right, polygon"):
        weak_mask(disc(50), np.random.default_rng(0), {"sloppy": 1.0})
