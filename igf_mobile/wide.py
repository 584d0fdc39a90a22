"""Convolutions in the shapes that XNNPACK's kernels fill, and pictures as rows of neighbours.

XNNPACK lays out channels last, so neighbours across of a picture are one pixel of more channels without a byte moved.
"""

import torch
from torch import Tensor, nn

from igf_mobile.hourglass import JoinedConv, joined_sum

CHANNELS = 16
"""Outputs that XNNPACK's kernels for AVX2, AVX-512, int8 and float16 compute at once; fewer cost as much."""


def to_rows(x: Tensor, pixels: int) -> Tensor:
    """(1,H,W,C) -> (1,pixels * C,H,W/pixels); channel C i + c is channel c of the i-th pixel of so many."""
    _, height, width, channels = x.shape
    return x.reshape(1, height, width // pixels, pixels * channels).permute(0, 3, 1, 2)


def from_rows(x: Tensor, channels: int) -> Tensor:
    """(1,pixels * C,H,W/pixels) -> (1,H,W,C), the inverse of `to_rows`."""
    return x.permute(0, 2, 3, 1).reshape(1, x.shape[2], -1, channels)


def like(
    convolution: nn.Conv2d, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int]
) -> nn.Conv2d:
    """A convolution of other weights (a multiple of the outputs, whose biases are repeated)."""
    outputs, inputs, *sides = weight.shape
    has_bias = convolution.bias is not None
    result = nn.Conv2d(inputs, outputs, (sides[0], sides[1]), stride, padding, bias=has_bias)
    result.weight = nn.Parameter(weight.contiguous())
    if convolution.bias is not None:
        result.bias = nn.Parameter(convolution.bias.detach().repeat(outputs // convolution.out_channels))
    return result


def widened(convolution: nn.Conv2d, pixels: int) -> nn.Conv2d:
    """A 3x3 convolution that computes `pixels` neighbours across at once, as channels of one.

    Kernels of XNNPACK compute `CHANNELS` outputs at a time, and take as long for 4 or 8: two neighbours of 8 channels
    in one cost 3x4 products where each alone costs 3x3, four of 4 channels 3x6.
    """
    outputs, inputs, height, width = convolution.weight.shape
    weight = torch.zeros(pixels, outputs, inputs, height, width + pixels - 1)
    for pixel in range(pixels):
        weight[pixel, ..., pixel : pixel + width] = convolution.weight.detach()
    return like(convolution, weight.flatten(0, 1), stride=(1, pixels), padding=(1, 1))


class Narrow(nn.Module):
    """Back from the result of a `widened` convolution; no byte moves."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        """(1,pixels * C,h,w/pixels) -> (1,C,h,w)."""
        return from_rows(x, self.channels).permute(0, 3, 1, 2)


class WideJoined(nn.Module):
    """A `JoinedConv` of `widened` convolutions; their sum and its ReLU are taken wide."""

    def __init__(self, joined: JoinedConv, narrow: bool = True) -> None:
        """What it returns is `narrow`, or as wide as it was computed."""
        super().__init__()
        outputs = joined.parts[0].out_channels
        assert isinstance(outputs, int)
        self.parts = nn.ModuleList(
            widened(part, CHANNELS // outputs)  # type: ignore[arg-type]
            for part in joined.parts
        )
        self.relu = joined.relu
        self.narrow = Narrow(outputs) if narrow else nn.Identity()

    def forward(self, *xs: Tensor) -> Tensor:
        """As `JoinedConv`."""
        y: Tensor = self.narrow(self.relu(joined_sum(self.parts, xs)))
        return y


def wide(sequence: nn.Sequential) -> nn.Sequential:
    """Convolution and ReLU, the convolution `widened`; a norm must be folded."""
    convolution, *rest = sequence
    assert isinstance(convolution, nn.Conv2d)
    outputs = convolution.out_channels
    return nn.Sequential(widened(convolution, CHANNELS // outputs), *rest, Narrow(outputs))


def repeated(convolution: nn.Module, times: int) -> nn.Conv2d:
    """Each output of a 1x1 convolution so many times: a product of 8 channels with 1 takes ten times one with 8."""
    assert isinstance(convolution, nn.Conv2d)
    weight = convolution.weight.detach().repeat_interleave(times, dim=0)
    result = like(convolution, weight, stride=(1, 1), padding=(0, 0))
    if convolution.bias is not None:
        result.bias = nn.Parameter(convolution.bias.detach().repeat_interleave(times))
    return result
