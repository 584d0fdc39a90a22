"""The two-colour start: what a photograph and its weak mask give before anything is learned.

Near the mask's border, let F and G be the mean colours of the masked and of the unmasked pixels of a
window. A pixel that mixes the two, I = alpha F + (1 - alpha) G (paper, eq. 1), has by least squares

    alpha = A . (I - G),   A = (F - G) / (|F - G|^2 + eps),

which is the linear model alpha = A . I + B of the paper's eq. 2 with coefficients in closed form. The
network (`hourglass.py`) starts from it and learns corrections; it has no parameters of its own.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.matrix import Matrix, pick, total

COEFFICIENT_STRIDE = 4
"""Side of an image block that shares one set of coefficients (paper 3.2: both upsamplings are x4)."""

DRAWN_STRIDE = 8
"""Side of an image block for which the network draws one alpha; what is finer, A gives."""

COLOUR_STRIDE = 2
"""Drawn blocks per cell of the colour grid; means at 1/16 of the image lose nothing (measured)."""

_WINDOW = 5
"""Window of the colour means in cells: 5 x 16 = 80 image pixels, twice the reach of a bad mask."""

_EPS = 0.003
"""Contrast below about sqrt(eps) = 0.05 is treated as noise; bounds |A| by 1 / (2 sqrt(eps)) = 9."""

_SHARE_GAIN = 10.0
"""A window is trusted fully once each side holds a tenth of it."""

_TINY = 1e-3


class TwoColour(NamedTuple):
    """All at the drawn resolution (h, w) = (H/8, W/8)."""

    alpha_lr: Tensor
    """(B,1,h,w) its alpha, [0,1]; the mask where the window holds one side only."""
    misfit: Tensor
    """(B,1,h,w) distance of the pixel from the line F-G relative to |F-G|, [0,1]."""
    contrast: Tensor
    """(B,3,h,w) F - G, from [-1,1] to [0,1]."""


def channel_sum(x: Tensor) -> Tensor:
    """Sum of three channels one by one: `aten.sum` falls out of the XNNPACK delegate, this does not."""
    first, second, third = torch.split(x, 1, dim=1)
    return first + second + third


def unit_clamp(x: Tensor) -> Tensor:
    """Clamp to [0,1] as relu6(6 x) / 6.

    LiteRT's converter turns any clamp to [0,1] into RELU_0_TO_1, which XNNPACK does not take; six of
    them cut the graph into six delegates. relu6 fuses into the operator before it.
    """
    return sixth(6.0 * x)


def sixth(x: Tensor) -> Tensor:
    """Clamp x / 6 to [0,1]: `unit_clamp` of what a matrix before it has multiplied by 6."""
    return F.relu6(x) * (1.0 / 6.0)


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling with half-pixel centres, the only kind all three runtimes agree on."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def padded(x: Tensor, reach: int) -> Tensor:
    """(B,C,h,w) -> (B,C,h+2 reach,w+2 reach), zeros around it; so written, no converter moves the channels first."""
    last = F.pad(x.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))
    return last.permute(0, 3, 1, 2)


class SideMeans(nn.Module):
    """Means over the cells of the colour grid, of each side of the mask: its colour times its share, its share."""

    def __init__(self) -> None:
        super().__init__()
        colour, mask = torch.eye(4)[:3], torch.eye(4)[3:]
        inside, outside = mask.repeat(3, 1), -mask.repeat(3, 1)
        # (colour, mask, colour, 1 - mask) times (mask, 1, 1 - mask, 1)
        self.left = Matrix(torch.cat([colour, mask, colour, -mask]), torch.eye(8)[7])
        nothing = torch.zeros_like(mask)
        self.right = Matrix(
            torch.cat([inside, nothing, outside, nothing]), torch.tensor([0.0] * 3 + [1.0] * 5)
        )

    def forward(self, both: Tensor) -> Tensor:
        """(B,8,h/2,w/2): three of the masked colour, its share, and of the unmasked colour.

        Args:
            both: (B,4,h,w) block means of the guidance and, last, of the weak mask, [0,1], h and w divisible by 2.
        """
        return F.avg_pool2d(self.left(both) * self.right(both), COLOUR_STRIDE)


class Sides(nn.Module):
    """The colour of each side from its `SideMeans`, and its share beside it."""

    def __init__(self) -> None:
        super().__init__()
        share, other = torch.eye(8)[3:4].repeat(3, 1), torch.eye(8)[7:].repeat(3, 1)
        nothing = torch.zeros(1, 8)
        by = torch.cat([share, nothing, other, nothing])
        self.by = Matrix(by, torch.tensor([_TINY, _TINY, _TINY, 1.0] * 2))

    def forward(self, means: Tensor) -> Tensor:
        """(B,8,h,w) -> (B,8,h,w): the masked colour, its share, the unmasked colour, its share."""
        colours: Tensor = means / self.by(means)
        return colours


class TwoColourFit(nn.Module):
    """Fits the two-colour model in windows of 80 pixels. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = Sides()
        # A share times 60, cut at 6; both shares' product is 36 at most.
        self.share = pick([3], of=8, scale=6.0 * _SHARE_GAIN)
        self.other_share = pick([7], of=8, scale=6.0 * _SHARE_GAIN)
        # F - G, G, trust
        eye = torch.eye(9)
        self.cells = Matrix(torch.cat([eye[:3] - eye[4:7], eye[4:7], eye[8:] / 36.0]))
        self.contrast, self.background = pick(range(3), of=7), pick(range(3, 6), of=7)
        self.trust = pick([6], of=7)
        self.shown = pick(range(3), of=3, scale=0.5, plus=0.5)
        self.squared = total(3, 3, plus=_EPS)
        self.sum, self.distance = total(3, 3, scale=6.0), total(3, scale=6.0)
        self.first = pick([0], of=3, scale=1.0 / 6.0)

    def forward(self, image_lr: Tensor, mask_lr: Tensor, grid_means: Tensor) -> TwoColour:
        """Fit.

        Args:
            image_lr: (B,3,h,w) block means of the guidance, [0,1], h and w divisible by 2.
            mask_lr: (B,1,h,w) block means of the weak mask, [0,1].
            grid_means: (B,8,h/2,w/2) of both, `SideMeans`.
        """
        # Padded apart: XNNPACK's average pooling takes no padding that counts. The window's area with the zeros
        # counted out is not needed: it cancels in F and G.
        window = F.avg_pool2d(padded(grid_means, _WINDOW // 2), _WINDOW, stride=1)
        sides = self.sides(window)
        both_there = F.relu6(self.share(sides)) * F.relu6(self.other_share(sides))
        cells = upsample(self.cells(torch.cat([sides, both_there], dim=1)), COLOUR_STRIDE)

        contrast, trust = self.contrast(cells), self.trust(cells)
        offset = image_lr - self.background(cells)
        squared = self.squared(contrast * contrast)
        # 6 alpha, the same in three channels: a product of three with one would move a few bytes at a time.
        alpha = F.relu6(self.sum(contrast * offset / squared))
        residual = offset - (1.0 / 6.0) * alpha * contrast
        misfit = trust * sixth(self.distance(residual * residual / squared))
        return TwoColour(mask_lr + trust * (self.first(alpha) - mask_lr), misfit, self.shown(contrast))
