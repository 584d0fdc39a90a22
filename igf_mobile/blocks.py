"""The generator as XNNPACK runs it fastest: full resolution only as planes, whose rows are channels.

The same function as `model.Generator`, and the same weights. A picture is planes (1,C,H,W); for a runtime that has the
channels last that is a picture of C x H pixels whose channels are whole rows. So block means are a pooling of rows,
bilinear upsampling down is one of rows, and a sum over colours is a pooling of planes, 512 numbers at once and with no
byte moved. What goes across, within a row, is a product with a constant matrix.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.hourglass import Hourglass
from igf_mobile.matrix import Constant, Matrix
from igf_mobile.model import Generator
from igf_mobile.primitives import COEFFICIENT_STRIDE, DRAWN_STRIDE, pooled, sixth

_AT_ONCE = 16
"""Pixels of a row whose means one product makes."""

_GROUP = 4
"""Drawn blocks of a row whose pixels one product makes: 32, two of XNNPACK's tiles."""


def rows_as_channels(x: Tensor) -> Tensor:
    """(1,C,H,W) -> (1,W,C,H). With the channels last no byte moves."""
    return x.permute(0, 3, 1, 2)


def as_planes(x: Tensor) -> Tensor:
    """(1,W,C,H) -> (1,C,H,W), the inverse of `rows_as_channels`."""
    return x.permute(0, 2, 3, 1)


def upsampled_down(rows: Tensor, factor: int) -> Tensor:
    """Rows as channels (1,W,C,h) -> (1,W,C,factor * h), bilinear."""
    return F.interpolate(rows, scale_factor=(1, factor), mode="bilinear", align_corners=False)


def upsampling_taps(*factors: int) -> Tensor:
    """(product of factors,3): what bilinear upsampling by each in turn takes of a number and its two neighbours."""
    taps = torch.eye(3)[:, None]
    for factor in factors:
        taps = F.interpolate(taps, scale_factor=factor, mode="linear", align_corners=False)
    return taps[:, 0].chunk(3, dim=1)[1].T


class BlockMeans(nn.Module):
    """Means of blocks of 4 x 4 and of 8 x 8 pixels of guidance and weak mask, as `start.block_means`."""

    def __init__(self) -> None:
        super().__init__()
        side = COEFFICIENT_STRIDE
        means = torch.eye(_AT_ONCE // side).repeat_interleave(side, dim=1) / side
        self.image, self.mask = Matrix(means), Matrix(means)
        self.pairs = Matrix(torch.eye(4).repeat(1, 2) / 2.0)

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(1,3,H,W), (1,1,H,W) -> (1,4,H/4,W/4) and (1,4,H/8,W/8), the mask's last."""
        parts = [_means(self.image, guidance), _means(self.mask, weak_mask)]
        last = torch.cat(parts, dim=1).permute(0, 2, 3, 1)
        _, height, width, _ = last.shape
        rows = pooled(last.reshape(1, height, 1, 4 * width), (2, 1))
        pairs = rows.reshape(1, height // 2, width // 2, 8).permute(0, 3, 1, 2)
        return last.permute(0, 3, 1, 2), self.pairs(pairs)


def _means(across: Matrix, x: Tensor) -> Tensor:
    """(1,C,H,W) -> (1,C,H/4,W/4)."""
    side = COEFFICIENT_STRIDE
    _, channels, height, width = x.shape
    pixels = pooled(x, (1, side)).reshape(1, channels, -1, _AT_ONCE)
    means = as_planes(across(rows_as_channels(pixels)))
    return means.reshape(1, channels, height // side, width // side)


class BlockApply(nn.Module):
    """alpha = A * I + B in [0,1], from A and B as they are drawn, at an eighth of the resolution.

    Down first, as long as a row is few numbers, then across: to a quarter and from there to the picture's, as two
    upsamplings do.
    """

    def __init__(self) -> None:
        super().__init__()
        factor = DRAWN_STRIDE // COEFFICIENT_STRIDE
        quarter = torch.einsum("pj,cd->pcdj", upsampling_taps(factor), torch.eye(4))
        self.quarter = Constant(quarter.reshape(4 * factor, 4, 1, 3))
        # Of a group's pixels, what they take of the group and of the number on either side: two groups of numbers.
        taps = torch.zeros(_GROUP, DRAWN_STRIDE, 2 * _GROUP)
        for i in range(_GROUP):
            taps[i, :, i : i + 3] = upsampling_taps(factor, COEFFICIENT_STRIDE)
        groups = taps.reshape(_GROUP * DRAWN_STRIDE, 1, 2, _GROUP).permute(0, 3, 1, 2)
        # 6 times alpha, see `sixth`. Equal kernels are in a file once.
        self.slope, self.offset = Constant(6.0 * groups), Constant(6.0 * groups)

    def forward(self, drawn: Tensor, guidance: Tensor) -> tuple[Tensor, Tensor]:
        """(1,4,H/8,W/8), (1,3,H,W) -> alpha (1,1,H,W), coefficients (1,H/4,W/4,4)."""
        rows = _bordered(drawn)
        slope, offset = torch.split(rows, [3, 1], dim=2)
        # Three times, because the mean of three colours' products is taken; a third of the offset would be 2e-4 off in
        # float16.
        product = _full(self.slope, slope * 3.0) * guidance
        alpha6 = pooled(product, (3, 1)) + _full(self.offset, offset)
        return sixth(alpha6), self._coefficients(rows)

    def coefficients(self, drawn: Tensor) -> Tensor:
        """(1,4,H/8,W/8) -> (1,H/4,W/4,4)."""
        return self._coefficients(_bordered(drawn))

    def _coefficients(self, rows: Tensor) -> Tensor:
        """Rows of `_bordered` -> (1,H/4,W/4,4)."""
        blocks: Tensor = self.quarter(as_planes(rows[:, : 2 - _GROUP])).permute(0, 2, 3, 1)
        return blocks.reshape(1, blocks.shape[1], -1, 4)


def _bordered(drawn: Tensor) -> Tensor:
    """(1,4,h,w) -> rows (1,w+4,4,2h) at a quarter of the resolution down: their ends twice, and what fills a group."""
    first, last = drawn[..., :1], drawn[..., -1:]
    bordered = torch.cat([first, drawn, *[last] * (_GROUP - 1)], dim=3)
    return upsampled_down(rows_as_channels(bordered), DRAWN_STRIDE // COEFFICIENT_STRIDE)


def _full(across: Constant, rows: Tensor) -> Tensor:
    """Rows of `_bordered` (1,W/8+4,C,H/4) -> planes (1,C,H,W)."""
    planes = as_planes(upsampled_down(rows, COEFFICIENT_STRIDE))
    _, channels, height, _ = planes.shape
    groups = planes.reshape(1, channels * height, -1, _GROUP).permute(0, 3, 1, 2)
    pixels: Tensor = across(groups).permute(0, 2, 3, 1)
    return pixels.reshape(1, channels, height, -1)


def _with_weights(convolution: nn.Conv2d, weight: Tensor, bias: Tensor | None) -> nn.Conv2d:
    """The same convolution of other channels: weight (O,I/groups,kh,kw), bias (O)."""
    result = copy.deepcopy(convolution)
    result.out_channels, result.in_channels = weight.shape[0], convolution.groups * weight.shape[1]
    result.weight = nn.Parameter(weight.contiguous())
    result.bias = None if bias is None else nn.Parameter(bias)
    return result


def repeated(convolution: nn.Conv2d, times: int) -> nn.Conv2d:
    """Each output of a convolution so many times: a product of 8 channels with 1 takes ten times one with 8."""
    assert convolution.bias is not None
    weight, bias = (
        x.detach().repeat_interleave(times, dim=0) for x in (convolution.weight, convolution.bias)
    )
    return _with_weights(convolution, weight, bias)


def for_xnnpack(hourglass: Hourglass) -> Hourglass:
    """Put in an attention map for each channel that it weighs; in place.

    Args:
        hourglass: without batch norms.
    """
    logits, weighed = hourglass.attention[0], hourglass.decode_8.fuse.parts[0]
    assert isinstance(logits, nn.Conv2d) and isinstance(weighed, nn.Conv2d)
    hourglass.attention[0] = repeated(logits, weighed.out_channels)
    return hourglass


class BlockGenerator(nn.Module):
    """(guidance, weak_mask) -> (alpha, coefficients): planes but for the coefficients, whose channels are last.

    Args:
        folded: a generator without batch norms (`graph.fold_batch_norms`); its hourglass is changed.
    """

    def __init__(self, folded: Generator) -> None:
        super().__init__()
        self.closed_form, self.correction = folded.closed_form, folded.correction
        self.hourglass = for_xnnpack(folded.hourglass)
        self.means = BlockMeans()
        self.apply_coefficients = BlockApply()

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(1,3,H,W), (1,1,H,W) -> (1,1,H,W), (1,H/4,W/4,4)."""
        alpha, coefficients = self.apply_coefficients(self._drawn(guidance, weak_mask), guidance)
        return alpha, coefficients

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,3,H,W), (1,1,H,W) -> (1,H/4,W/4,4)."""
        return self.apply_coefficients.coefficients(self._drawn(guidance, weak_mask))

    def _drawn(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,3,H,W), (1,1,H,W) -> (1,4,H/8,W/8)."""
        start = self.closed_form(*self.means(guidance, weak_mask))
        return self.correction.drawn(start, self.hourglass(start))
