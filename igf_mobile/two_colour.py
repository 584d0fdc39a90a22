"""The two-colour start: what a photograph and its weak mask give before anything is learned.

Near the mask's border, let F and G be the mean colours of the masked and of the unmasked pixels of a
window. A pixel that mixes the two, I = alpha F + (1 - alpha) G (paper, eq. 1), has by least squares

    alpha = A . (I - G),   A = (F - G) / (|F - G|^2 + eps),

which is the linear model alpha = A . I + B of the paper's eq. 2 with coefficients in closed form. The
network (`hourglass.py`) starts from it and learns corrections; it has no parameters of its own.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

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
    """All as planes at the drawn resolution (h, w) = (H/8, W/8)."""

    alpha_lr: Tensor
    """(B,1,h*w) its alpha, [0,1]; the mask where the window holds one side only."""
    misfit: Tensor
    """(B,1,h*w) distance of the pixel from the line F-G relative to |F-G|, [0,1]."""
    contrast: Tensor
    """(B,3,h*w) F - G, [-1,1]."""


def _window_mean(x: Tensor) -> Tensor:
    # Padded apart: XNNPACK's average pooling takes no padding that counts.
    reach = _WINDOW // 2
    return F.avg_pool2d(F.pad(x, (reach, reach, reach, reach)), _WINDOW, stride=1)


def channel_sum(x: Tensor) -> Tensor:
    """Sum of three channels one by one: `aten.sum` falls out of the XNNPACK delegate, this does not."""
    first, second, third = torch.split(x, 1, dim=1)
    return first + second + third


def unit_clamp(x: Tensor) -> Tensor:
    """Clamp to [0,1] as relu6(6 x) / 6.

    LiteRT's converter turns any clamp to [0,1] into RELU_0_TO_1, which XNNPACK does not take; six of
    them cut the graph into six delegates. relu6 fuses into the operator before it.
    """
    return F.relu6(6.0 * x) * (1.0 / 6.0)


def upsample(x: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling with half-pixel centres, the only kind all three runtimes agree on."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def planes(x: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,C,h*w), the form in which all arithmetic per pixel is written.

    XNNPACK's tensors of four axes have the channels last, and with one or three of them a slice, a
    concatenation or a product of 3 channels with 1 moves a few bytes at a time: 65 microseconds where planes
    take 5 (128 x 128, one thread, measured).
    """
    return x.flatten(2)


def from_planes(x: Tensor, size: torch.Size) -> Tensor:
    """(B,C,h*w) -> (B,C,h,w)."""
    return x.reshape(*x.shape[:2], *size)


def side_means(image_lr: Tensor, mask_lr: Tensor) -> Tensor:
    """(B,8,h/2,w/2): means over the cells of the colour grid of the mask, what is not in it, and the colour in both.

    Args:
        image_lr: (B,3,h,w) block means of the guidance, [0,1], h and w divisible by 2.
        mask_lr: (B,1,h,w) block means of the weak mask, [0,1].
    """
    image, mask = planes(image_lr), planes(mask_lr)
    inside = image * mask
    sides = torch.cat([mask, 1.0 - mask, inside, image - inside], dim=1)
    return F.avg_pool2d(from_planes(sides, mask_lr.shape[2:]), COLOUR_STRIDE)


def two_colour(image_lr: Tensor, mask_lr: Tensor, grid_means: Tensor) -> TwoColour:
    """Fit the two-colour model in windows of 80 pixels.

    Args:
        image_lr: (B,3,h,w) block means of the guidance, [0,1], h and w divisible by 2.
        mask_lr: (B,1,h,w) block means of the weak mask, [0,1].
        grid_means: (B,8,h/2,w/2) of both, `side_means`.
    """
    image, mask = planes(image_lr), planes(mask_lr)
    # The window's area with the zero padding counted out is not needed: it cancels in F and G.
    grid = _window_mean(grid_means)
    means, cells_size = planes(grid), grid.shape[2:]
    share, other_share, masked, unmasked = torch.split(means, [1, 1, 3, 3], dim=1)
    foreground = masked / (share + _TINY)
    background = unmasked / (other_share + _TINY)
    trust = unit_clamp(share * _SHARE_GAIN) * unit_clamp(other_share * _SHARE_GAIN)

    cells = torch.cat([foreground - background, background, trust], dim=1)
    grid = upsample(from_planes(cells, cells_size), COLOUR_STRIDE)
    contrast, background, trust = torch.split(planes(grid), [3, 3, 1], dim=1)

    squared = channel_sum(contrast * contrast) + _EPS
    slope = contrast / squared
    offset = image - background
    alpha = unit_clamp(channel_sum(slope * offset))
    residual = offset - alpha * contrast
    misfit = trust * unit_clamp(channel_sum(residual * residual) / squared)
    return TwoColour(mask + trust * (alpha - mask), misfit, contrast)
