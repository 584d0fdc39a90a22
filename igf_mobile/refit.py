"""The refit: the linear model of colour that explains a predicted matte best, window by window.

The guided filter's regression (He, Sun, Tang 2013, eq. 5), with the network's own matte at a quarter of the
resolution in place of the weak mask: in each window,

    A = Cov(I, I)^-1 Cov(I, alpha),   B = mean(alpha) - A . mean(I).

A network that predicts A directly sees four bytes of evidence a block for what a window of hundreds of pixels
decides; on 14 real photographs this A takes a third off the squared error and the gradient error of the same matte.

Means are over a grid of cells of 16 pixels and windows of 5 x 5 cells, products are of means of 8 x 8 pixels. The
3 x 3 system is solved by two steps of conjugate gradients, in a luma-chroma basis in which they are nearly exact:
no division by a determinant, which float16 could not hold.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.two_colour import channel_sum, from_planes, planes, upsample

_PIXEL = 2
"""Blocks of 4 pixels per side of what products are taken of."""

_CELL = 2
"""Of those per side of a cell of the grid."""

_WINDOW = 5
"""Cells per side of a window: 80 pixels, twice the reach of a bad mask."""

_LUMA, _CHROMA = 4.0, 16.0
"""Factors of the basis. Chroma varies a quarter as much as luma, and both are scaled to fill float16."""

_ALPHA = 4.0
"""Factor of alpha, for the same reason."""

_RIDGE = 0.0048
"""Added to the variances: 0.0003 in luma, (1/58)^2, times `_LUMA` squared."""

_TINY = 1e-5
_LEAST_CURVATURE = 1e-4


def refit(alpha_lr: Tensor, image_lr: Tensor) -> tuple[Tensor, Tensor]:
    """Fit alpha = A . I + B in windows of 80 pixels.

    Args:
        alpha_lr: (B,1,h*w) block means of a matte, [0,1].
        image_lr: (B,3,h,w) block means of the guidance, [0,1], h and w divisible by 8.

    Returns:
        A (B,3,h*w), bilinear between cells, and the fitted alpha A . I + B (B,1,h*w), not clamped.
    """
    slope, offset, cells = _coefficients(alpha_lr, image_lr)
    grid = from_planes(torch.cat([slope, offset], dim=1), cells)
    slope, offset = torch.split(planes(upsample(grid, _PIXEL * _CELL)), [3, 1], dim=1)
    return slope, channel_sum(slope * planes(image_lr)) + offset


def _coefficients(alpha_lr: Tensor, image_lr: Tensor) -> tuple[Tensor, Tensor, torch.Size]:
    """A (B,3,n) and B (B,1,n) of the windows around the n cells of the grid, and the grid's size."""
    reduced = F.avg_pool2d(image_lr, _PIXEL)
    colour = _to_basis(planes(reduced))
    alpha = planes(F.avg_pool2d(from_planes(alpha_lr, image_lr.shape[2:]), _PIXEL)) * _ALPHA - 0.5 * _ALPHA
    both = torch.cat([colour, alpha], dim=1)
    # Five tensors, the most that XNNPACK concatenates.
    moments = torch.cat([*(colour * factor for factor in torch.split(both, 1, dim=1)), both], dim=1)
    grid = F.avg_pool2d(from_planes(moments, reduced.shape[2:]), _CELL)
    reach = _WINDOW // 2
    grid = F.avg_pool2d(grid, _WINDOW, stride=1, padding=reach, count_include_pad=False)

    *products, means = torch.split(planes(grid), [3, 3, 3, 3, 4], dim=1)
    mean, mean_alpha = torch.split(means, [3, 1], dim=1)
    factors = torch.split(means, 1, dim=1)
    covariances = [product - mean * factor for product, factor in zip(products, factors, strict=True)]
    slope = _conjugate_gradients(covariances[:3], covariances[3])
    offset = (mean_alpha - channel_sum(slope * mean)) * (1.0 / _ALPHA) + 0.5
    slope = _from_basis(slope)
    # The basis is centred at a grey of 1/2.
    return slope, offset - 0.5 * channel_sum(slope), grid.shape[2:]


def _to_basis(colour: Tensor) -> Tensor:
    """(B,3,n) red, green, blue in [0,1] -> luma about grey, red against green, both against blue."""
    red, green, blue = torch.split(colour, 1, dim=1)
    both = red + green
    luma = (both + blue) * (_LUMA / 3.0) - 0.5 * _LUMA
    return torch.cat([luma, (red - green) * (_CHROMA / 2.0), (both - 2.0 * blue) * (_CHROMA / 4.0)], dim=1)


def _from_basis(slope: Tensor) -> Tensor:
    """(B,3,n) slope of the scaled alpha in the basis -> slope of alpha in red, green and blue."""
    luma, first, second = torch.split(slope, 1, dim=1)
    luma = luma * (_LUMA / 3.0 / _ALPHA)
    first = first * (_CHROMA / 2.0 / _ALPHA)
    second = second * (_CHROMA / 4.0 / _ALPHA)
    both = luma + second
    return torch.cat([both + first, both - first, luma - 2.0 * second], dim=1)


def _conjugate_gradients(columns: list[Tensor], target: Tensor) -> Tensor:
    """Two steps towards (S + ridge)^-1 target, from 0, along unit directions.

    Args:
        columns: of the symmetric S, three of (B,3,n).
        target: (B,3,n).
    """

    def applied(x: Tensor) -> Tensor:
        first, second, third = (
            column * part for column, part in zip(columns, torch.split(x, 1, dim=1), strict=True)
        )
        return first + second + third + _RIDGE * x

    direction = _unit(target)
    image = applied(direction)
    curvature = channel_sum(direction * image) + _LEAST_CURVATURE
    length = channel_sum(direction * target) / curvature
    solution = length * direction

    residual = target - length * image
    # Conjugate to the first direction.
    direction = _unit(residual - channel_sum(residual * image) / curvature * direction)
    curvature = channel_sum(direction * applied(direction)) + _LEAST_CURVATURE
    return solution + channel_sum(direction * residual) / curvature * direction


def _unit(x: Tensor) -> Tensor:
    return x * torch.rsqrt(channel_sum(x * x) + _TINY)
