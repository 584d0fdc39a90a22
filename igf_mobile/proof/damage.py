"""Error against the damage of the mask: the protocol's kernels of 5..30 scaled so that the largest is 5 to 60.

Damage 30 is the protocol's own mask. Errors of all damages count in one region of each photograph, within 30 pixels
of the true outline (a 60x60 dilation minus erosion) and wherever the true alpha is neither 0 nor 1: a region that
followed the mask would compare different pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from igf_mobile import evaluate
from igf_mobile.evaluate import EvalCase, EvalResult, Float32Array, Matte
from igf_mobile.metrics import Region
from igf_mobile.proof.guided import best_setting

DAMAGES_PX = (5, 10, 20, 30, 40, 50, 60)
GUIDED_EPS = 1e-6
"""The best eps of the whole grid at the protocol's damage; the radius is chosen again at every damage."""


def damaged_mask(alpha: Float32Array, number: int, damage_px: int) -> Float32Array:
    """alpha > 0.5, dilated, the result eroded: the kernels of image `number`, times damage_px / 30."""
    dilation, erosion = (
        max(1, round(side * damage_px / evaluate.KERNELS_PX[1])) for side in evaluate.kernels_of(number)
    )
    binary = (alpha > 0.5).astype(np.uint8)
    grown = cv2.dilate(binary, np.ones((dilation, dilation), np.uint8))
    return np.asarray(cv2.erode(grown, np.ones((erosion, erosion), np.uint8)), dtype=np.float32)


def fixed_region(alpha: Float32Array) -> Region:
    """Where errors of every damage count, (H, W) bool: near the true outline, and soft pixels."""
    kernel = np.ones((DAMAGES_PX[-1], DAMAGES_PX[-1]), np.uint8)
    binary = (alpha > 0.5).astype(np.uint8)
    near = (np.asarray(cv2.dilate(binary, kernel)) > 0) & (np.asarray(cv2.erode(binary, kernel)) == 0)
    return np.asarray(near | ((alpha > 0.02) & (alpha < 0.98)), dtype=np.bool_)


def damaged(case: EvalCase, damage_px: int) -> EvalCase:
    """The photograph with another mask and the region of this study."""
    mask = damaged_mask(case.alpha, evaluate.number_of(case.name), damage_px)
    return replace(case, weak_mask=mask, region=fixed_region(case.alpha))


def damage_study(
    suite: Sequence[EvalCase], matte: Matte, progress: Callable[[], None] = lambda: None
) -> dict[int, EvalResult]:
    """Errors of one matte at each of `DAMAGES_PX`. `progress` is called after each."""
    found = {}
    for damage_px in DAMAGES_PX:
        found[damage_px] = evaluate.evaluate([damaged(case, damage_px) for case in suite], matte)
        progress()
    return found


def guided_study(
    suite: Sequence[EvalCase], progress: Callable[[], None] = lambda: None
) -> dict[int, tuple[int, EvalResult]]:
    """(radius, errors) of the guided filter at each damage, its radius the best of the grid by MSE."""
    found = {}
    for damage_px in DAMAGES_PX:
        cases = [damaged(case, damage_px) for case in suite]
        radius, eps = best_setting(cases, eps_values=(GUIDED_EPS,))
        found[damage_px] = radius, evaluate.evaluate(cases, evaluate.guided_filter_matte(radius, eps))
        progress()
    return found
