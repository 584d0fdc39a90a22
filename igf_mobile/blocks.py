"""The generator as XNNPACK runs it fastest: full resolution only as rows of the pictures' own bytes.

The same function as `model.Generator`, and the same weights. A row of a picture (1,H,W,C) is a row of blocks'
rows, (1,H,W/4,4C), without a byte moved, and everything that touches its pixels takes it so: the stem is a
convolution of 4 x 1 such pixels, block means are a pooling over whole rows and a product, and
alpha = A * I + B has its coefficients upsampled first across, by a convolution to the 4 phases of a block, and then
down, by resizing pictures one pixel wide whose channels are whole rows.

The network's convolutions of few outputs compute several neighbouring pixels at once, see `wide.py`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.hourglass import Hourglass, JoinedConv
from igf_mobile.model import Generator
from igf_mobile.start import closed_form_start
from igf_mobile.two_colour import COEFFICIENT_STRIDE, DRAWN_STRIDE
from igf_mobile.wide import CHANNELS, Narrow, WideJoined, from_rows, repeated, to_rows, wide

_COEFFICIENTS = 4
"""A of three colours, and B."""


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


def _fixed(weight: Tensor) -> nn.Conv2d:
    """A convolution with a constant kernel and no bias."""
    outputs, inputs, *sides = weight.shape
    convolution = nn.Conv2d(inputs, outputs, (sides[0], sides[1]), bias=False)
    convolution.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    return convolution


class BlockMeans(nn.Module):
    """Means of blocks of 8 x 8 pixels."""

    def __init__(self, channels: int, blocks: int) -> None:
        """Of pictures of so many channels; `blocks` neighbours are summed by one product."""
        super().__init__()
        self.channels, self.blocks = channels, blocks
        one = (torch.eye(channels) / DRAWN_STRIDE).repeat(1, DRAWN_STRIDE)
        self.across = _fixed(torch.kron(torch.eye(blocks), one)[:, :, None, None])

    def forward(self, column: Tensor) -> Tensor:
        """A picture as (1,C W,H,1) -> (1,C,H/8,W/8)."""
        means = F.avg_pool2d(column, (DRAWN_STRIDE, 1), stride=(DRAWN_STRIDE, 1))
        means = self.across(to_rows(from_rows(means, self.channels), DRAWN_STRIDE * self.blocks))
        return from_rows(means, self.channels).permute(0, 3, 1, 2)


class BlockApply(nn.Module):
    """alpha = A * I + B in [0,1]."""

    def __init__(self) -> None:
        super().__init__()
        phases = upsampling_phases()
        slope = torch.einsum("pj,cd->pcdj", phases, torch.eye(3))
        self.slope = _fixed(slope.reshape(3 * COEFFICIENT_STRIDE, 3, 1, 3))
        # 6 here and 1/6 at the end: see `unit_clamp`.
        self.offset = _fixed(6.0 * phases[:, None, None])
        self.sum = _fixed(6.0 * torch.eye(CHANNELS).repeat_interleave(3, dim=1)[:, :, None, None])

    def forward(self, coefficients: Tensor, column: Tensor) -> Tensor:
        """(1,4,H/4,W/4), the guidance as (1,3 W,H,1) -> (1,H,W,1)."""
        slope, offset = _with_border(coefficients)
        product = from_rows(_upsampled_down(self.slope(slope)) * column, 3)
        total = from_rows(self.sum(to_rows(product, CHANNELS)), 1)
        return F.relu6(total + from_rows(_upsampled_down(self.offset(offset)), 1)) * (1.0 / 6.0)


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
    """A convolution of the stride of its kernel, 4 x 4, as one of 4 x 1 pixels of rows.

    It looks at the picture as rows by itself: in int8 the reshaping is then of bytes.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        weight = convolution.weight.detach().permute(0, 3, 1, 2).flatten(1, 2)[..., None]
        has_bias = convolution.bias is not None
        self.pixels = convolution.weight.shape[3]
        side = (self.pixels, 1)
        super().__init__(weight.shape[1], weight.shape[0], side, side, bias=has_bias)
        self.weight = nn.Parameter(weight.contiguous())
        if convolution.bias is not None:
            self.bias = nn.Parameter(convolution.bias.detach().clone())

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  as torch calls it
        """(1,H,W,C) -> (1,outputs,H/4,W/4)."""
        return super().forward(to_rows(input, self.pixels))


class RowStem(nn.Module):
    """The hourglass's stem on pictures with channels last."""

    def __init__(self, stem: JoinedConv) -> None:
        super().__init__()
        self.parts = nn.ModuleList(RowConv(part) for part in stem.parts)  # type: ignore[arg-type]
        self.relu = stem.relu

    def forward(self, *pictures: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1) -> (1,8,H/4,W/4)."""
        image, mask = (part(x) for part, x in zip(self.parts, pictures, strict=True))
        y: Tensor = self.relu(image + mask)
        return y


def for_xnnpack(hourglass: Hourglass) -> Hourglass:
    """Put in the stem on rows, and the wide forms of what has fewer than `CHANNELS` outputs; in place.

    Args:
        hourglass: without batch norms.
    """
    hourglass.stem = RowStem(hourglass.stem)  # type: ignore[assignment]
    for level in (hourglass.decode_8, hourglass.draw):
        if level.reduce[0].out_channels < CHANNELS:  # type: ignore[operator]
            level.reduce = wide(level.reduce)
            level.fuse = WideJoined(level.fuse)  # type: ignore[assignment]
    weighed = hourglass.shortcut_8[0]
    assert isinstance(weighed, nn.Conv2d)
    hourglass.attention[0] = repeated(hourglass.attention[0], weighed.out_channels)
    # Left wide: what follows the sum is float, and no part of what `w8a8` quantizes.
    hourglass.head = WideJoined(hourglass.head, narrow=False)  # type: ignore[assignment]
    return hourglass


class BlockGenerator(nn.Module):
    """(guidance, weak_mask) -> (alpha, coefficients), channels last at the edges.

    Args:
        folded: a generator without batch norms (`graph.fold_batch_norms`); its hourglass is changed.
    """

    def __init__(self, folded: Generator) -> None:
        super().__init__()
        self.corrected = folded.corrected
        self.refit = (
            folded.refit
        )  # named here, `corrected` uses it: exporters look for its constants in this module
        self.hourglass = for_xnnpack(folded.hourglass)
        self.narrow = Narrow(_COEFFICIENTS)
        self.image_means, self.mask_means = BlockMeans(3, 4), BlockMeans(1, 8)
        self.apply_coefficients = BlockApply()

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(1,H,W,3), (1,H,W,1) -> (1,H,W,1), (1,H/4,W/4,4)."""
        image, mask = _column(guidance), _column(weak_mask)
        coefficients = self._coefficients(guidance, weak_mask, image, mask)
        return self.apply_coefficients(coefficients, image), coefficients.permute(0, 2, 3, 1)

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1) -> (1,H/4,W/4,4)."""
        columns = _column(guidance), _column(weak_mask)
        return self._coefficients(guidance, weak_mask, *columns).permute(0, 2, 3, 1)

    def _coefficients(self, guidance: Tensor, weak_mask: Tensor, image: Tensor, mask: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1), both as columns -> (1,4,h,w)."""
        start = closed_form_start(self.image_means(image), self.mask_means(mask))
        corrections = self.narrow(self.hourglass(guidance, weak_mask, start))
        coefficients: Tensor = self.corrected(start, corrections)
        return coefficients
