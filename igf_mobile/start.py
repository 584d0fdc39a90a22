"""The start: what a photograph and its weak mask give in closed form, before anything is learned."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.colour_regression import ColourRegression
from igf_mobile.matrix import Matrix
from igf_mobile.primitives import COEFFICIENT_STRIDE, DRAWN_STRIDE

ESTIMATES = 2
"""Channels of `Start.estimates`."""

COLOURS = 7
"""Channels of `Start.colours`."""


class Start(NamedTuple):
    """What is known of a picture; (h, w) = (H/8, W/8), the drawn resolution."""

    quarter: Tensor
    """(B,4,2h,2w) block means of the guidance and, last, of the weak mask, [0,1]."""
    image: Tensor
    """(B,4,h,w) block means of the guidance, [0,1], then 1: with coefficients, the terms of A * I + B."""
    alpha6: Tensor
    """(B,1,h,w) 6 times the estimate of alpha, [0,6]: see `primitives.sixth`."""
    estimates: Tensor
    """(B,2,h,w) in [0,1]: alpha of the colour regression, its support."""
    colours: Tensor
    """(B,7,h/4,w/4) in [0,1]: the masked pixels' mean colour, their share, the unmasked pixels' mean colour."""


def block_means(guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B,3,H,W), (B,1,H,W) -> what `ClosedForm` is given."""
    quarter = F.avg_pool2d(torch.cat([guidance, weak_mask], dim=1), COEFFICIENT_STRIDE)
    return quarter, F.avg_pool2d(quarter, DRAWN_STRIDE // COEFFICIENT_STRIDE)


class ClosedForm(nn.Module):
    """Estimates alpha. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.regression = ColourRegression()
        one = torch.eye(4)[3]
        self.image = Matrix(torch.eye(4) - torch.diag(one), one)

    def forward(self, quarter: Tensor, drawn: Tensor) -> Start:
        """Estimate.

        Args:
            quarter: (B,4,H/4,W/4) block means of the guidance and, last, of the weak mask, [0,1], H and W divisible by
                32.
            drawn: (B,4,H/8,W/8) the same of blocks twice as wide.
        """
        estimates6, sides = self.regression(quarter, drawn)
        alpha6, _ = torch.split(estimates6.flatten(2), 1, dim=1)
        estimates = estimates6 * (1.0 / 6.0)
        colours, _ = torch.split(sides, [COLOURS, 1], dim=1)
        return Start(
            quarter, self.image(drawn), alpha6.reshape(-1, 1, *estimates.shape[2:]), estimates, colours
        )
