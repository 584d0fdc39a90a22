"""The start: what a photograph and its weak mask give in closed form, before anything is learned."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.colour_regression import ColourRegression
from igf_mobile.matrix import Matrix, pick
from igf_mobile.two_colour import COEFFICIENT_STRIDE, DRAWN_STRIDE, SideMeans, TwoColourFit

ESTIMATES = 4
"""Channels of `Start.estimates`."""

EVIDENCE = 3 + ESTIMATES
"""Channels of `Start.evidence`."""


class Start(NamedTuple):
    """All at the drawn resolution (h, w) = (H/8, W/8)."""

    image: Tensor
    """(B,3,h,w) block means of the guidance, [0,1]."""
    alpha6: Tensor
    """(B,1,h,w) 6 times the mean of the two estimates of alpha, [0,6]: see `two_colour.sixth`."""
    mask_lr: Tensor
    """(B,1,h,w) block means of the weak mask, [0,1]."""
    contrast: Tensor
    """(B,3,h,w) foreground minus background colour, from [-1,1] to [0,1]."""
    estimates: Tensor
    """(B,4,h,w) in [0,1]: alpha of the two-colour model, its misfit, alpha of the colour regression, its
    support."""
    evidence: Tensor
    """(B,7,h,w) in [0,1]: the block means of the guidance, then the estimates."""


class ClosedForm(nn.Module):
    """Both estimates. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.side_means = SideMeans()
        self.two_colour, self.regression = TwoColourFit(), ColourRegression()
        self.image, self.mask = pick(range(3), of=4), pick([3], of=4)
        self.alpha6 = Matrix(torch.tensor([[3.0, 0.0, 3.0, 0.0]]))

    def forward(self, quarter: Tensor) -> Start:
        """Estimate.

        The colour regression sees finer blocks: of 8 x 8 pixels, whose colours mix hair with what is behind it, its
        squared error is half as much again.

        Args:
            quarter: (B,4,H/4,W/4) block means of the guidance and, last, of the weak mask, [0,1], H and W divisible by
                32.
        """
        both = F.avg_pool2d(quarter, DRAWN_STRIDE // COEFFICIENT_STRIDE)
        image, mask = self.image(both), self.mask(both)
        means = self.side_means(both)
        two = self.two_colour(image, mask, means)
        regression = self.regression(quarter, means)
        estimates = torch.cat([two.alpha_lr, two.misfit, regression], dim=1)
        evidence = torch.cat([image, estimates], dim=1)
        return Start(image, self.alpha6(estimates), mask, two.contrast, estimates, evidence)
