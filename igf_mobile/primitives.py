"""Strides of the network's grids, and operators written so that all three runtimes take them."""

import torch
from torch import Tensor
from torch.nn import functional as F

COEFFICIENT_STRIDE = 4
"""Side of an image block that shares one set of coefficients (paper 3.2: both upsamplings are x4)."""

DRAWN_STRIDE = 8
"""Side of an image block for which the network draws one alpha; what is finer, A gives."""


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


def pooled(last: Tensor, window: tuple[int, int]) -> Tensor:
    """Means of windows, (B,h,w,C) with the channels last -> (B,h/window,w/window,C); no byte moves on the way."""
    return F.avg_pool2d(last.permute(0, 3, 1, 2), window).permute(0, 2, 3, 1)


def padded(x: Tensor, reach: int) -> Tensor:
    """(B,C,h,w) -> (B,C,h+2 reach,w+2 reach), zeros around it; so written, no converter moves the channels first."""
    last = F.pad(x.permute(0, 2, 3, 1), (0, 0, reach, reach, reach, reach))
    return last.permute(0, 3, 1, 2)
