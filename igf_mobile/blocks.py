"""The generator as XNNPACK runs it fastest: full resolution only as the pictures' own bytes, in other shapes.

The same function as `model.Generator`, and the same weights. A row of a picture (1,H,W,C) is a column of so many
channels, (1,C W,H,1), or a row of four neighbours each, (1,4C,H,W/4), without a byte moved. Block means are a pooling
over whole rows and a product; alpha = A * I + B has its coefficients upsampled first across, by a convolution to the 4
phases of a block, and then down, by resizing pictures one pixel wide whose channels are whole rows.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.hourglass import Hourglass
from igf_mobile.matrix import Constant, Matrix
from igf_mobile.model import Generator
from igf_mobile.primitives import COEFFICIENT_STRIDE, sixth

PIXELS = 4
"""Side of a block of coefficients."""

_AT_ONCE = 8
"""Pixels whose alpha one product sums."""


def to_rows(x: Tensor, pixels: int) -> Tensor:
    """(1,H,W,C) -> (1,pixels * C,H,W/pixels); channel C i + c is channel c of the i-th pixel of so many."""
    _, height, width, channels = x.shape
    return x.reshape(1, height, width // pixels, pixels * channels).permute(0, 3, 1, 2)


def from_rows(x: Tensor, channels: int) -> Tensor:
    """(1,pixels * C,H,W/pixels) -> (1,H,W,C), the inverse of `to_rows`."""
    return x.permute(0, 2, 3, 1).reshape(1, x.shape[2], -1, channels)


def upsampling_phases() -> Tensor:
    """(4,3): for each of a block's 4 pixels across, what bilinear upsampling x4 takes of the 3 blocks around."""
    weights = torch.zeros(COEFFICIENT_STRIDE, 3)
    for phase in range(COEFFICIENT_STRIDE):
        offset = (phase + 0.5) / COEFFICIENT_STRIDE - 0.5
        weights[phase, 1] = 1.0 - abs(offset)
        weights[phase, 2 if offset > 0.0 else 0] = abs(offset)
    return weights


class BlockMeans(nn.Module):
    """Means of blocks of 4 x 4 and of 8 x 8 pixels of guidance and weak mask, as `start.block_means`."""

    def __init__(self) -> None:
        super().__init__()
        means = (torch.eye(4) / PIXELS).repeat(1, 1, PIXELS).reshape(4, PIXELS, 4)
        self.image = Matrix(means[:, :, :3].flatten(1))
        self.mask = Matrix(means[:, :, 3:].flatten(1))
        self.pairs = Matrix(torch.eye(4).repeat(1, 2) / 2.0)

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(1,H,W,3), (1,H,W,1) -> (1,4,H/4,W/4) and (1,4,H/8,W/8), the mask's last."""
        quarter = self.image(_mean_rows(guidance, PIXELS)) + self.mask(_mean_rows(weak_mask, PIXELS))
        drawn: Tensor = self.pairs(_mean_rows(quarter.permute(0, 2, 3, 1), 2))
        return quarter, drawn


def _mean_rows(x: Tensor, side: int) -> Tensor:
    """(1,H,W,C) -> (1,side * C,H/side,W/side): means of so many rows, and so many neighbours beside each other."""
    rows = F.avg_pool2d(to_rows(x, x.shape[2]), (side, 1), stride=(side, 1))
    return to_rows(from_rows(rows, x.shape[3]), side)


class BlockApply(nn.Module):
    """alpha = A * I + B in [0,1]."""

    def __init__(self) -> None:
        super().__init__()
        phases = upsampling_phases()
        # of a block's phase p and channel c, from channel d of its neighbour j
        each = torch.einsum("pj,cd->pcdj", phases, torch.eye(4))
        self.slope = Constant(each[:, :3].reshape(3 * COEFFICIENT_STRIDE, 4, 1, 3))
        # What `sixth` takes a sixth of.
        self.offset = Constant(6.0 * each[:, 3].reshape(COEFFICIENT_STRIDE, 4, 1, 3))
        self.sum = Matrix(6.0 * torch.eye(_AT_ONCE).repeat_interleave(3, dim=1))

    def forward(self, coefficients: Tensor, guidance: Tensor) -> Tensor:
        """(1,4,H/4,W/4), (1,H,W,3) -> (1,H,W,1)."""
        last = coefficients.permute(0, 2, 3, 1)
        bordered = torch.cat([last[:, :, :1], last, last[:, :, -1:]], dim=2).permute(0, 3, 1, 2)
        product = from_rows(_upsampled_down(self.slope(bordered)), 3) * guidance
        alpha = from_rows(self.sum(to_rows(product, _AT_ONCE)), 1)
        return sixth(alpha + from_rows(_upsampled_down(self.offset(bordered)), 1))


def _upsampled_down(x: Tensor) -> Tensor:
    """(1,4C,h,w) -> (1,4C w,4h,1): phases across, which lie as they should, and bilinear down."""
    column = to_rows(from_rows(x, x.shape[1]), x.shape[3])
    return F.interpolate(column, scale_factor=(COEFFICIENT_STRIDE, 1), mode="bilinear", align_corners=False)


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
    """(guidance, weak_mask) -> (alpha, coefficients), channels last at the edges.

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
        """(1,H,W,3), (1,H,W,1) -> (1,H,W,1), (1,H/4,W/4,4)."""
        coefficients = self._coefficients(guidance, weak_mask)
        return self.apply_coefficients(coefficients, guidance), coefficients.permute(0, 2, 3, 1)

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1) -> (1,H/4,W/4,4)."""
        return self._coefficients(guidance, weak_mask).permute(0, 2, 3, 1)

    def _coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1) -> (1,4,H/4,W/4)."""
        start = self.closed_form(*self.means(guidance, weak_mask))
        coefficients: Tensor = self.correction(start, self.hourglass(start))
        return coefficients
