"""The start: what a photograph and its weak mask give in closed form, before anything is learned."""

from typing import NamedTuple

import torch
from torch import Tensor

from igf_mobile.colour_regression import colour_regression
from igf_mobile.two_colour import from_planes, planes, side_means, two_colour

ESTIMATES = 4
"""Channels of `Start.estimates`."""

EVIDENCE = 3 + ESTIMATES
"""Channels of `Start.evidence`."""


class Start(NamedTuple):
    """All at the drawn resolution (h, w) = (H/8, W/8); N = h*w."""

    image: Tensor
    """(B,3,N) block means of the guidance, [0,1]."""
    alpha: Tensor
    """(B,1,N) mean of the two estimates of alpha, [0,1]."""
    mask_lr: Tensor
    """(B,1,h,w) block means of the weak mask, [0,1]."""
    contrast: Tensor
    """(B,3,h,w) foreground minus background colour, from [-1,1] to [0,1]."""
    estimates: Tensor
    """(B,4,h,w) in [0,1]: alpha of the two-colour model, its misfit, alpha of the colour regression, its
    support."""
    evidence: Tensor
    """(B,7,h,w) in [0,1]: the block means of the guidance, then the estimates."""


def closed_form_start(image_lr: Tensor, mask_lr: Tensor) -> Start:
    """Both estimates and their mean.

    Args:
        image_lr: (B,3,h,w) block means of the guidance, [0,1], h and w divisible by 4.
        mask_lr: (B,1,h,w) block means of the weak mask, [0,1].
    """
    size = mask_lr.shape[2:]
    grid_means = side_means(image_lr, mask_lr)
    two = two_colour(image_lr, mask_lr, grid_means)
    regression = colour_regression(image_lr, mask_lr, grid_means)
    image = planes(image_lr)
    estimates = torch.cat([two.alpha_lr, two.misfit, regression.alpha_lr, regression.support], dim=1)
    return Start(
        image,
        0.5 * (two.alpha_lr + regression.alpha_lr),
        mask_lr,
        from_planes(0.5 * two.contrast + 0.5, size),
        from_planes(estimates, size),
        from_planes(torch.cat([image, estimates], dim=1), size),
    )
