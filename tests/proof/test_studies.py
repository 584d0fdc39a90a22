"""Mask damage and flicker: what is measured, where, and that nothing but the matte moves it."""

from itertools import pairwise

import numpy as np
import pytest

from igf_mobile import evaluate
from igf_mobile.evaluate import EvalCase, Float32Array
from igf_mobile.proof import damage, flicker, guided

Suite = list[EvalCase]


def test_damage_30_is_the_protocol(suite: Suite) -> None:
    for case in suite:
        number = evaluate.number_of(case.name)
        np.testing.assert_array_equal(damage.damaged_mask(case.alpha, number, 30), case.weak_mask)


def test_damage_grows_with_the_kernel(suite: Suite) -> None:
    errors = damage.damage_study(suite, evaluate.weak_mask_matte)
    sads = [errors[px].mean.sad for px in damage.DAMAGES_PX]
    assert list(errors) == list(damage.DAMAGES_PX)
    assert sads == sorted(sads) and sads[-1] > 3 * sads[0]


def test_every_damage_counts_the_same_pixels(suite: Suite) -> None:
    """A wrong matte that ignores the mask has the same error at each."""
    regions = [damage.damaged(suite[0], px).region for px in damage.DAMAGES_PX]
    assert all(np.array_equal(region, regions[0]) for region in regions)
    halves = damage.damage_study(suite[:1], lambda guidance, mask: np.full_like(mask, 0.5))
    assert len({result.mean.sad for result in halves.values()}) == 1


def test_the_region_holds_the_outline_and_every_soft_pixel(suite: Suite) -> None:
    region = damage.fixed_region(suite[0].alpha)
    assert region[(suite[0].alpha > 0.05) & (suite[0].alpha < 0.95)].all()
    assert 0 < region.sum() < region.size / 2


def test_the_truth_does_not_flicker(suite: Suite) -> None:
    for result in flicker.flicker_study(suite, None).values():
        assert result.mean == 0.0 and set(result.per_image.values()) == {0.0}


def test_a_fixed_mask_does_not_flicker_and_an_independent_one_does(suite: Suite) -> None:
    found = flicker.flicker_study(suite, evaluate.weak_mask_matte)
    assert found["fixed"].mean == 0.0
    assert found["independent"].mean > 0.02


@pytest.mark.parametrize("kind", flicker.KINDS)
def test_a_matte_tied_to_the_window_flickers(suite: Suite, kind: str) -> None:
    """A block pattern of 4 pixels that stays with the frame, as a network's grid would leave it."""

    def gridded(guidance: Float32Array, weak_mask: Float32Array) -> Float32Array:
        pattern = np.zeros_like(weak_mask)
        pattern[:, ::4] = 0.4
        return pattern

    # each frame moves by 3 columns: half of the columns are 0.4 in one of the two frames
    assert flicker.image_flicker(suite[0], gridded, kind) == pytest.approx(0.2, abs=0.01)


def test_frames_are_whole_pixel_windows(suite: Suite) -> None:
    windows = [window for window, _ in flicker.frames(suite[0], "fixed")]
    assert len(windows) == flicker.FRAMES
    for (rows, columns), (next_rows, next_columns) in pairwise(windows):
        assert (next_columns.start - columns.start, next_rows.start - rows.start) == flicker.STEP_PX
    assert all(rows.stop <= 512 and columns.stop <= 512 for rows, columns in windows)
    with pytest.raises(ValueError, match="is not one of fixed, independent"):
        next(flicker.frames(suite[0], "shaky"))


def test_the_best_setting_is_that_of_the_evaluation(suite: Suite) -> None:
    grid = (8, 30), (1e-4, 1e-2)
    radius, eps, _ = evaluate.best_guided_filter(suite, *grid)
    assert guided.best_setting(suite, *grid) == (radius, eps)
