"""The generator as XNNPACK runs it fastest: full resolution only as the pictures' own bytes, in other shapes.

The same function as `model.Generator`, and the same weights. A row of a picture (1,H,W,C) is a column of so many
channels, (1,C W,H,1), or a row of four neighbours each, (1,4C,H,W/4), without a byte moved; block means are a pooling
over whole rows and a product, the stem sees the mask as rows, and alpha = A * I + B has its coefficients upsampled
first across, by a convolution to the 4 phases of a block, and then down, by resizing pictures one pixel wide whose
channels are whole rows.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.hourglass import Hourglass
from igf_mobile.matrix import Constant, Matrix
from igf_mobile.model import Generator
from igf_mobile.two_colour import COEFFICIENT_STRIDE, sixth

PIXELS = 4
"""Side of a block of coefficients and of the stem's kernel."""

_AT_ONCE = 4
"""Pixels whose alpha one product sums."""


def to_rows(x: Tensor, pixels: int) -> Tensor:
    """(1,H,W,C) -> (1,pixels * C,H,W/pixels); channel C i + c is channel c of the i-th pixel of so many."""
    _, height, width, channels = x.shape
    return x.reshape(1, height, width // pixels, pixels * channels).permute(0, 3, 1, 2)


def from_rows(x: Tensor, channels: int) -> Tensor:
    """(1,pixels * C,H,W/pixels) -> (1,H,W,C), the inverse of `to_rows`."""
    return x.permute(0, 2, 3, 1).reshape(1, x.shape[2], -1, channels)


def _column(picture: Tensor) -> Tensor:
    """(1,H,W,C) -> (1,C W,H,1), one pixel wide."""
    return to_rows(picture, picture.shape[2])


def upsampling_phases() -> Tensor:
    """(4,3): for each of a block's 4 pixels across, what bilinear upsampling x4 takes of the 3 blocks around."""
    weights = torch.zeros(COEFFICIENT_STRIDE, 3)
    for phase in range(COEFFICIENT_STRIDE):
        offset = (phase + 0.5) / COEFFICIENT_STRIDE - 0.5
        weights[phase, 1] = 1.0 - abs(offset)
        weights[phase, 2 if offset > 0.0 else 0] = abs(offset)
    return weights


class BlockMeans(nn.Module):
    """Means of blocks of 4 x 4 pixels of guidance and weak mask."""

    def __init__(self) -> None:
        super().__init__()
        means = (torch.eye(4) / PIXELS).repeat(1, 1, PIXELS).reshape(4, PIXELS, 4)
        self.image = Matrix(means[:, :, :3].flatten(1))
        self.mask = Matrix(means[:, :, 3:].flatten(1))

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Pictures as (1,3 W,H,1) and (1,W,H,1) -> (1,4,H/4,W/4), the mask's last."""
        rows = (F.avg_pool2d(x, (PIXELS, 1), stride=(PIXELS, 1)) for x in (image, mask))
        image, mask = (
            to_rows(from_rows(x, channels), PIXELS) for x, channels in zip(rows, (3, 1), strict=True)
        )
        means: Tensor = self.image(image) + self.mask(mask)
        return means


class BlockApply(nn.Module):
    """alpha = A * I + B in [0,1]."""

    def __init__(self) -> None:
        super().__init__()
        phases = upsampling_phases()
        slope = torch.einsum("pj,cd->pcdj", phases, torch.eye(3))
        self.slope = Constant(slope.reshape(3 * COEFFICIENT_STRIDE, 3, 1, 3))
        # What `sixth` takes a sixth of.
        self.offset = Constant(6.0 * phases[:, None, None])
        self.sum = Matrix(6.0 * torch.eye(_AT_ONCE).repeat_interleave(3, dim=1))

    def forward(self, coefficients: Tensor, image: Tensor) -> Tensor:
        """(1,4,H/4,W/4), the guidance as (1,3 W,H,1) -> (1,H,W,1)."""
        slope, offset = _with_border(coefficients)
        product = from_rows(_upsampled_down(self.slope(slope)) * image, 3)
        alpha = from_rows(self.sum(to_rows(product, _AT_ONCE)), 1)
        return sixth(alpha + from_rows(_upsampled_down(self.offset(offset)), 1))


def _with_border(x: Tensor) -> tuple[Tensor, Tensor]:
    """(1,4,h,w) -> A (1,3,h,w+2) and B (1,1,h,w+2), the border repeated.

    On three axes, which no converter transposes before it has cut them apart: with the channels last, a slice of 3
    moves 12 bytes at a time.
    """
    x = x.reshape(x.shape[1:])
    x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    slope, offset = torch.split(x, [3, 1], dim=0)
    return slope.reshape(1, *slope.shape), offset.reshape(1, *offset.shape)


def _upsampled_down(x: Tensor) -> Tensor:
    """(1,4C,h,w) -> (1,4C w,4h,1): phases across, which lie as they should, and bilinear down."""
    column = to_rows(from_rows(x, x.shape[1]), x.shape[3])
    return F.interpolate(column, scale_factor=(COEFFICIENT_STRIDE, 1), mode="bilinear", align_corners=False)


class RowConv(nn.Conv2d):
    """A convolution of 4 x 4 pixels with stride 4 as one of 4 x 1 rows, which for one channel is twice as fast."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        weight = convolution.weight.detach().permute(0, 3, 1, 2).flatten(1, 2)[..., None]
        has_bias = convolution.bias is not None
        super().__init__(weight.shape[1], weight.shape[0], (PIXELS, 1), (PIXELS, 1), bias=has_bias)
        self.weight = nn.Parameter(weight.contiguous())
        if convolution.bias is not None:
            self.bias = nn.Parameter(convolution.bias.detach().clone())

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  as torch calls it
        """(1,1,H,W) -> (1,outputs,H/4,W/4). It looks at the picture as rows by itself: in int8, of bytes."""
        return super().forward(to_rows(input.permute(0, 2, 3, 1), PIXELS))


def repeated(convolution: nn.Module, times: int) -> nn.Conv2d:
    """Each output of a 1x1 convolution so many times: a product of 8 channels with 1 takes ten times one with 8."""
    assert isinstance(convolution, nn.Conv2d)
    result = nn.Conv2d(convolution.in_channels, times * convolution.out_channels, 1)
    result.weight = nn.Parameter(convolution.weight.detach().repeat_interleave(times, dim=0))
    assert convolution.bias is not None
    result.bias = nn.Parameter(convolution.bias.detach().repeat_interleave(times))
    return result


def for_xnnpack(hourglass: Hourglass) -> Hourglass:
    """Put in the mask's stem on rows, and an attention map for each channel that it weighs; in place.

    Args:
        hourglass: without batch norms.
    """
    hourglass.stem.parts[1] = RowConv(hourglass.stem.parts[1])  # type: ignore[arg-type]
    weighed = hourglass.shortcut_8[0]
    assert isinstance(weighed, nn.Conv2d)
    hourglass.attention[0] = repeated(hourglass.attention[0], weighed.out_channels)
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
        image = _column(guidance)
        coefficients = self._coefficients(guidance, weak_mask, image)
        return self.apply_coefficients(coefficients, image), coefficients.permute(0, 2, 3, 1)

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1) -> (1,H/4,W/4,4)."""
        return self._coefficients(guidance, weak_mask, _column(guidance)).permute(0, 2, 3, 1)

    def _coefficients(self, guidance: Tensor, weak_mask: Tensor, image: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1), the first as a column -> (1,4,H/4,W/4)."""
        start = self.closed_form(self.means(image, _column(weak_mask)))
        pictures = (x.permute(0, 3, 1, 2) for x in (guidance, weak_mask))
        coefficients: Tensor = self.correction(start, self.hourglass(*pictures, start))
        return coefficients
