"""The start: what a photograph and its weak mask give in closed form, before anything is learned."""

from typing import NamedTuple

import torch
from torch import Tensor

from igf_mobile.colour_regression import colour_regression
from igf_mobile.two_colour import two_colour

ESTIMATES = 4
"""Channels of `Start.estimates`."""

EVIDENCE = 3 + ESTIMATES
"""Channels of `Start.evidence`."""


class Start(NamedTuple):
    """All at the coefficients' resolution (h, w) = (H/4, W/4)."""

    image_lr: Tensor
    """(B,3,h,w) block means of the guidance, [0,1]."""
    mask_lr: Tensor
    """(B,1,h,w) block means of the weak mask, [0,1]."""
    slope: Tensor
    """(B,3,h,w) A of the two-colour model."""
    alpha_lr: Tensor
    """(B,1,h,w) mean of the two estimates of alpha, [0,1]."""
    contrast: Tensor
    """(B,3,h,w) foreground minus background colour, from [-1,1] to [0,1]."""
    estimates: Tensor
    """(B,4,h,w) in [0,1]: alpha of the two-colour model, its misfit, alpha of the colour regression, its
    support."""
    evidence: Tensor
    """(B,7,h,w) in [0,1]: image_lr, then the estimates."""


def closed_form_start(guidance: Tensor, weak_mask: Tensor) -> Start:
    """Both estimates and their mean.

    Args:
        guidance: (B,3,H,W) in [0,1], H and W divisible by 32.
        weak_mask: (B,1,H,W) in [0,1].
    """
    two = two_colour(guidance, weak_mask)
    regression = colour_regression(two.image_lr, two.mask_lr)
    estimates = torch.cat([two.alpha_lr, two.misfit, regression.alpha_lr, regression.support], dim=1)
    return Start(
        two.image_lr,
        two.mask_lr,
        two.slope,
        0.5 * (two.alpha_lr + regression.alpha_lr),
        0.5 * two.contrast + 0.5,
        estimates,
        torch.cat([two.image_lr, estimates], dim=1),
    )
