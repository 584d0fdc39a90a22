"""The network proper: 59,466 parameters from image, mask and the closed form's estimates to corrections.

After paper 3.2 and figure 2: an hourglass to 1/32 with two residual blocks, attention and shortcuts, and
the paper's count of parameters. It sees means of 4 x 4 pixels, where the paper's has two depthwise convolutions of all
pixels: those took more time than all that follows (issue 5), and what is finer comes with A * I. Upsampling is resize +
convolution, because transposed convolutions do not survive int8 (LiteRT refuses the file, PT2E leaves them float), and
it follows the convolution, which is cheaper at the smaller size.

This module is what `w8a8` quantizes; all arithmetic outside it stays float.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from igf_mobile.primitives import COEFFICIENT_STRIDE, DRAWN_STRIDE, upsample
from igf_mobile.start import COLOURS, ESTIMATES, Start

PARAMETER_COUNT = 59_466
"""Trainable parameters (paper 3.4)."""


def joined_sum(parts: nn.ModuleList, xs: Sequence[Tensor]) -> Tensor:
    """The sum of what each part makes of its input; as many inputs as parts."""
    total: Tensor = parts[0](xs[0])
    for part, x in zip(list(parts)[1:], xs[1:], strict=True):
        total = total + part(x)
    return total


class JoinedConv(nn.Module):
    """A convolution over several inputs, + batch norm + ReLU; the inputs need no concatenation.

    conv(cat(x, y)) = conv_x(x) + conv_y(y). The parts have different ranges (features without bound,
    evidence in [0,1]), and in int8 a concatenation would force one scale on all of them.
    """

    def __init__(
        self,
        inputs: tuple[int, ...],
        outputs: int,
        kernel: int = 3,
        strides: tuple[int, ...] | None = None,
        head: bool = False,
    ) -> None:
        """`strides` are 1, or one for each input. A `head` has no norm and no ReLU and starts at zero, so that training
        starts from the closed form, not from noise."""
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Conv2d(channels, outputs, kernel, stride, kernel // 2, bias=False)
            for channels, stride in zip(inputs, strides or (1,) * len(inputs), strict=True)
        )
        self.norm: nn.Module = nn.Identity() if head else nn.BatchNorm2d(outputs)
        self.relu: nn.Module = nn.Identity() if head else nn.ReLU()
        # As He et al. 2015 for all inputs at once.
        std = 0.0 if head else (2.0 / (sum(inputs) * kernel * kernel)) ** 0.5
        for name, parameter in self.parts.named_parameters():
            nn.init.normal_(parameter, std=std if name.endswith("weight") else 0.0)

    def forward(self, *xs: Tensor) -> Tensor:
        """One (B,channels,h,w) for each of `inputs` -> (B,outputs,h/stride,w/stride), the same size of all."""
        y: Tensor = self.relu(self.norm(joined_sum(self.parts, xs)))
        return y


def _conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution + batch norm + ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), then ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,C,h,w)."""
        y: Tensor = self.relu(x + self.second(self.first(x)))
        return y


class DecoderLevel(nn.Module):
    """Convolve, upsample, join what the encoder had at this size, convolve."""

    def __init__(self, inputs: int, reduced: int, joined: int, outputs: int, kernel: int = 3) -> None:
        """`kernel`: of the first convolution."""
        super().__init__()
        self.reduce = _conv(inputs, reduced, kernel=kernel)
        self.fuse = JoinedConv((reduced, joined), outputs)

    def forward(self, x: Tensor, encoded: Tensor) -> Tensor:
        """(B,inputs,h,w), (B,joined,2h,2w) -> (B,outputs,2h,2w)."""
        y: Tensor = self.fuse(upsample(self.reduce(x), 2), encoded)
        return y


class Drawing(nn.Module):
    """x + conv(x), then ReLU, without a batch norm: it starts as what it adds to (Zhang et al. 2019, "Fixup")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        nn.init.zeros_(self.add.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w), not below 0 -> (B,C,h,w)."""
        y: Tensor = self.relu(x + self.add(x))
        return y


def _attention(logits: Tensor) -> Tensor:
    """(B,C,h,w) -> (B,C,4h,4w) in (0,1). Upsampled, then squashed: a resize after a sigmoid cannot be quantized."""
    return torch.sigmoid(upsample(logits, 4))


class Hourglass(nn.Module):
    """Corrections to the start and to its refit, at an eighth of the image's resolution.

    Args:
        width: multiplies all channel counts; 1 is the paper's network and the one with
            59,466 parameters. Wider ones are for ablation.
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        c8, c16, c32 = 8 * width, 16 * width, 32 * width
        self.encode_8 = JoinedConv((4, ESTIMATES), c16, strides=(DRAWN_STRIDE // COEFFICIENT_STRIDE, 1))
        self.encode_16 = _conv(c16, c16, stride=2)
        self.encode_32 = JoinedConv((c16, COLOURS), c32, strides=(2, 1))
        self.residual = nn.Sequential(ResidualBlock(c32), ResidualBlock(c32))
        self.attention = nn.Sequential(nn.Conv2d(c32, 1, 1, bias=False), nn.BatchNorm2d(1))
        self.shortcut_16 = _conv(c16, c16, groups=c16)
        self.decode_16 = DecoderLevel(c32, c16, c16, outputs=c16, kernel=1)
        self.decode_8 = DecoderLevel(c16, c8, c16, outputs=c16)
        self.draw = Drawing(c16)
        self.head = JoinedConv((c16, ESTIMATES), 4, kernel=1, head=True)

    def forward(self, start: Start) -> Tensor:
        """Corrections (B,4,H/8,W/8), unbounded: to alpha, to the trust in its refit, to the slope's gain, to alpha
        after the refit."""
        e8 = self.encode_8(start.quarter, start.estimates)
        e16 = self.encode_16(e8)
        bottleneck = self.residual(self.encode_32(e16, start.colours))
        # One channel here; one for each channel that it weighs in the form for XNNPACK.
        weight = _attention(self.attention(bottleneck))

        d16 = self.decode_16(bottleneck, self.shortcut_16(e16))
        drawn = self.draw(self.decode_8(d16, e8) * weight)
        corrections: Tensor = self.head(drawn, start.estimates)
        return corrections


def parameter_count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
