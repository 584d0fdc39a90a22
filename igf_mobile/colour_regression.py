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

from igf_mobile.two_colour import unit_clamp

CELL = 8
"""Side of a cell in blocks of 4 pixels; three cells are 96 pixels, more than a bad mask's reach."""

_INVERSE_VARIANCE = 200.0
"""1 / sigma^2, sigma = 0.07; 0.05 to 0.1 do alike on held-out composites."""

_TINY = 1e-3


class ColourRegression(NamedTuple):
    """At the coefficients' resolution (h, w) = (H/4, W/4)."""

    alpha_lr: Tensor
    """(B,1,h,w) in [0,1], steepened by 2 around 1/2; the mask where no sample is near the colour."""
    support: Tensor
    """(B,1,h,w) in [0,1]: weight of the samples near the colour, 1 from a whole cell's on."""


def colour_regression(image_lr: Tensor, mask_lr: Tensor) -> ColourRegression:
    """Estimate alpha from the colours of both sides nearby.

    Args:
        image_lr: (B,3,h,w) in [0,1], h and w divisible by 8.
        mask_lr: (B,1,h,w) in [0,1].
    """
    samples, sides = _samples(image_lr, mask_lr)
    pixels = _by_cell(image_lr)
    # Seen from the cell's mean colour: in float16 the difference of large squares would drown.
    centre = pixels.mean(dim=2, keepdim=True)
    pixels, samples = pixels - centre, samples - centre
    distance = (
        _squared(pixels) + _squared(samples).transpose(2, 3) - 2.0 * pixels @ samples.transpose(2, 3)
    ) * _INVERSE_VARIANCE
    nearness = 1.0 / (1.0 + distance)
    inside, outside = _from_cells(nearness * nearness @ sides, image_lr.shape[2:]).split(1, dim=1)
    total = inside + outside
    alpha = (inside + _TINY * mask_lr) / (total + _TINY)
    return ColourRegression(unit_clamp(2.0 * alpha - 0.5), unit_clamp(total))


def _squared(x: Tensor) -> Tensor:
    return (x * x).sum(dim=3, keepdim=True)


def _samples(image_lr: Tensor, mask_lr: Tensor) -> tuple[Tensor, Tensor]:
    """Colours (B,N,18,3) and shares (B,N,18,2) around each of N cells: nine masked, nine unmasked."""
    mask = F.avg_pool2d(mask_lr, CELL)
    inside = F.avg_pool2d(image_lr * mask_lr, CELL)
    outside = F.avg_pool2d(image_lr, CELL) - inside
    other = 1.0 - mask
    nothing = torch.zeros_like(mask)
    sides = [
        torch.cat([inside / (mask + _TINY), mask, nothing], dim=1),
        torch.cat([outside / (other + _TINY), nothing, other], dim=1),
    ]
    around = torch.cat([_neighbours(side) for side in sides], dim=2)
    return around[..., :3], around[..., 3:]


def _neighbours(x: Tensor) -> Tensor:
    """(B,C,r,c) -> (B,r*c,9,C): each cell's 3 x 3 surroundings, zeros beyond the border."""
    rows, columns = x.shape[2:]
    padded = F.pad(x, (1, 1, 1, 1))
    shifted = [padded[:, :, y : y + rows, z : z + columns] for y in range(3) for z in range(3)]
    return torch.stack(shifted, dim=1).flatten(3).permute(0, 3, 1, 2)


def _by_cell(x: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,N,64,C)."""
    batch, channels = x.shape[:2]
    blocks = F.pixel_unshuffle(x, CELL)
    return blocks.reshape(batch, channels, CELL * CELL, -1).permute(0, 3, 2, 1)


def _from_cells(x: Tensor, size: torch.Size) -> Tensor:
    """(B,N,64,C) -> (B,C,h,w)."""
    batch, channels = x.shape[0], x.shape[3]
    blocks = x.permute(0, 3, 2, 1).reshape(batch, channels * CELL * CELL, size[0] // CELL, size[1] // CELL)
    return F.pixel_shuffle(blocks, CELL)
