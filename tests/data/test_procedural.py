from collections.abc import Callable

import cv2
import numpy as np
import pytest

from igf_mobile.data.procedural import (
    Drawing,
    blob,
    cloud,
    foliage,
    grow_hair,
    hairy_blob,
    net,
    procedural_alpha,
)


@pytest.mark.parametrize("draw", [hairy_blob, cloud, foliage, net])
def test_drawings_are_alphas_with_something_and_nothing(
    draw: Callable[[np.random.Generator, int], Drawing],
) -> None:
    for seed in range(3):
        drawing = draw(np.random.default_rng(seed), 256)
        assert drawing.alpha.shape == drawing.shade.shape == (256, 256)
        assert drawing.alpha.min() >= 0 and drawing.alpha.max() <= 1
        assert 0.01 < np.mean(drawing.alpha > 0.5) < 0.9
        assert np.all((drawing.shade > 0.5) & (drawing.shade < 1.5))


def test_hair_grows_outward_thin_soft_and_fading() -> None:
    rng = np.random.default_rng(4)
    solid = blob(rng, 256)
    hairy = grow_hair(rng, solid).alpha
    assert np.all(hairy >= solid - 0.02)
    outside = solid < 0.01
    hair = np.where(outside, hairy, 0)
    distance = cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, 5)
    near, far = hair[(distance > 1) & (distance < 5)], hair[(distance > 10) & (distance < 14)]
    assert near.mean() > 1.5 * far.mean()
    assert np.mean((hair > 0.05) & (hair < 0.95)) > 0.01


def test_procedural_alpha_is_pure_in_the_generator() -> None:
    first, second = (procedural_alpha(np.random.default_rng(5), 128) for _ in range(2))
    assert first.dtype == np.uint8 and np.array_equal(first, second)
