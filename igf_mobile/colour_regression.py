"""Kernel regression of the weak mask on colour: which side have pixels of this colour been on near here?

The two-colour model (`two_colour.py`) knows one colour for each side. Hair before a hedge, a striped
pumpkin or a fringe has many. Here each side is a set of samples, its mean colours in the 3 x 3 cells of
32 pixels around a pixel, and a pixel takes the side whose samples are nearer (Nadaraya 1964, Watson
1964; the bilateral filter is the same estimate with pixels for samples):

    alpha = sum_j w_j k(I - F_j) / (sum_j w_j k(I - F_j) + sum_j v_j k(I - G_j)),

where F_j and G_j are the mean colours of the masked and unmasked pixels of cell j, w_j and v_j = 1 - w_j
their shares, and k(d) = (1 + |d|^2 / sigma^2)^-2. It has no parameters to train.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.two_colour import COLOUR_STRIDE, channel_sum, planes, unit_clamp

CELL = 4
"""Side of a cell in blocks of 8 pixels; three cells are 96 pixels, more than a bad mask's reach."""

_INVERSE_VARIANCE = 100.0
"""1 / sigma^2, sigma = 0.1; 0.07 to 0.13 do alike."""

_TINY = 1e-3


class ColourRegression(NamedTuple):
    """Planes at the drawn resolution (h, w) = (H/8, W/8)."""

    alpha_lr: Tensor
    """(B,1,h*w) in [0,1], steepened by 2 around 1/2; the mask where no sample is near the colour."""
    support: Tensor
    """(B,1,h*w) in [0,1]: weight of the samples near the colour, 1 from a whole cell's on."""


def colour_regression(image_lr: Tensor, mask_lr: Tensor, grid_means: Tensor) -> ColourRegression:
    """Estimate alpha from the colours of both sides nearby.

    Args:
        image_lr: (B,3,h,w) in [0,1], h and w divisible by 4.
        mask_lr: (B,1,h,w) in [0,1].
        grid_means: (B,8,h/2,w/2) of both, see `two_colour.side_means`.
    """
    keys, sides, centre = _samples(grid_means)
    # 1 + |q - k|^2 / sigma^2 as one product of [-2 k, 1, |k|^2], scaled, and [q, |q|^2, 1].
    distance = torch.bmm(keys, _queries(image_lr, centre))
    # ExecuTorch's XNNPACK delegate takes no reciprocal.
    root = torch.rsqrt(distance)
    nearness = root * root
    votes = torch.bmm(sides, nearness * nearness)
    inside, outside = torch.split(_from_cells(votes, image_lr.shape), 1, dim=1)
    total = inside + outside
    alpha = (inside + _TINY * planes(mask_lr)) / (total + _TINY)
    return ColourRegression(unit_clamp(2.0 * alpha - 0.5), unit_clamp(total))


def _queries(image_lr: Tensor, centre: Tensor) -> Tensor:
    """(N,5,16): colour, its square and 1 for the pixels of each of N = B * h/4 * w/4 cells.

    Seen from the cell's mean colour: in float16 the difference of large squares would drown.
    """
    batch, _, height, width = image_lr.shape
    rows = planes(image_lr).reshape(batch, 3, height // CELL, CELL, width // CELL, CELL)
    pixels = rows.permute(0, 1, 3, 5, 2, 4).reshape(batch, 3, CELL * CELL, -1)
    pixels = pixels - centre.reshape(batch, 3, 1, -1)
    squared = channel_sum(pixels * pixels)
    queries = _with_row(torch.cat([pixels, squared], dim=1), 1.0)
    return queries.permute(0, 3, 1, 2).reshape(-1, 5, CELL * CELL)


def _samples(grid_means: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Keys (N,18,5) and shares (N,2,18) around each cell: nine masked and nine unmasked colours; its mean colour."""
    cells = F.avg_pool2d(grid_means, CELL // COLOUR_STRIDE)
    mask, other, inside, outside = torch.split(cells, [1, 1, 3, 3], dim=1)
    centre = inside + outside
    masked = _with_row(torch.cat([inside / (mask + _TINY), mask], dim=1), 0.0)
    unmasked = _with_row(outside / (other + _TINY), 0.0)
    batch = mask.shape[0]
    around = _neighbours(torch.cat([masked, unmasked, other], dim=1)).reshape(batch, 18, 5, -1)
    colours, shares = torch.split(around, [3, 2], dim=2)
    colours = (colours - centre.reshape(batch, 1, 3, -1)).transpose(1, 2)
    squared = channel_sum(colours * colours)
    factors = _with_row(-2.0 * _INVERSE_VARIANCE * colours, _INVERSE_VARIANCE)
    keys = torch.cat([factors, _INVERSE_VARIANCE * squared + 1.0], dim=1)
    keys, shares = keys.permute(0, 3, 2, 1), shares.permute(0, 3, 2, 1)
    return keys.reshape(-1, 18, 5), shares.reshape(-1, 2, 18), centre


def _with_row(x: Tensor, value: float) -> Tensor:
    """(B,C,h,w) -> (B,C+1,h,w), the last channel constant.

    Written out it would be a large constant in the file, and LiteRT does not delegate padding with
    anything but zeros.
    """
    padded = F.pad(x, (0, 0, 0, 0, 0, 1))
    if value == 0.0:
        return padded
    return padded + x.new_tensor([0.0] * x.shape[1] + [value]).reshape(1, -1, 1, 1)


def _neighbours(x: Tensor) -> Tensor:
    """(B,C,r,c) -> (B,9C,r,c): each cell's 3 x 3 surroundings, zeros beyond the border."""
    rows, columns = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    # XNNPACK concatenates at most five tensors.
    across = torch.cat([padded[:, :, :, i : i + columns] for i in range(3)], dim=1)
    return torch.cat([across[:, :, i : i + rows] for i in range(3)], dim=1)


def _from_cells(x: Tensor, shape: torch.Size) -> Tensor:
    """(N,C,16) -> (B,C,h*w)."""
    batch, _, height, width = shape
    cells = x.reshape(batch, height // CELL, width // CELL, x.shape[1], CELL, CELL)
    return cells.permute(0, 3, 1, 4, 2, 5).flatten(2)
