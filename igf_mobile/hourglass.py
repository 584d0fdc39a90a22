"""The network proper: 59,466 parameters from image, mask and two-colour evidence to corrections.

Paper 3.2 and figure 2. The paper gives the widths (4, 4, 8, 16, 32), the depthwise first two
convolutions and shortcuts, the two residual blocks, the attention and the count; kernels and the
decoder's widths are reconstructed. Upsampling is resize + convolution, because transposed
convolutions do not survive int8 (LiteRT refuses the file, PT2E leaves them float), and it follows
the convolution, which is cheaper at the smaller size.

This module is what `w8a8` quantizes; all arithmetic outside it stays float.
"""

import torch
from torch import Tensor, nn

from igf_mobile.two_colour import COEFFICIENT_STRIDE, TwoColour, upsample

PARAMETER_COUNT = 59_466
"""Trainable parameters (paper 3.4)."""

_ATTENTION_STRIDE = 32


def _conv(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """3x3 convolution + batch norm + ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, groups=groups, bias=False),
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
    """Convolve, upsample x2, join the depthwise shortcut (and evidence), convolve."""

    def __init__(self, inputs: int, outputs: int, shortcut: int, evidence: int = 0) -> None:
        super().__init__()
        self.reduce = _conv(inputs, outputs)
        self.shortcut = _conv(shortcut, shortcut, groups=shortcut)
        self.fuse = _conv(outputs + shortcut + evidence, outputs)

    def forward(self, x: Tensor, encoded: Tensor, *evidence: Tensor) -> Tensor:
        """(B,inputs,h,w), (B,shortcut,2h,2w) -> (B,outputs,2h,2w)."""
        y: Tensor = self.fuse(
            torch.cat([upsample(self.reduce(x), 2), self.shortcut(encoded), *evidence], dim=1)
        )
        return y


class Hourglass(nn.Module):
    """Corrections to the two-colour coefficients, at a quarter of the image's resolution.

    Args:
        width: multiplies all channel counts; 1 is the paper's network and the one with
            59,466 parameters. Wider ones are for ablation.
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        c8, c16, c32 = 8 * width, 16 * width, 32 * width
        # The first depthwise convolution is split in two so that nobody has to concatenate the
        # image and the mask at full resolution; the parameters are those of one with 4 channels.
        self.stem_image = _conv(3, 3, stride=2, groups=3)
        self.stem_mask = _conv(1, 1, stride=2)
        self.stem = _conv(4, 4, stride=2, groups=4)
        self.encode_8 = _conv(4 + 8, c8, stride=2)
        self.encode_16 = _conv(c8, c16, stride=2)
        self.encode_32 = _conv(c16, c32, stride=2)
        self.residual = nn.Sequential(ResidualBlock(c32), ResidualBlock(c32))
        self.attention = nn.Sequential(nn.Conv2d(c32 + 1, 2, 5, padding=2, bias=False), nn.BatchNorm2d(2))
        self.decode_16 = DecoderLevel(c32, c16, shortcut=c16)
        self.decode_8 = DecoderLevel(c16, c8, shortcut=c8)
        self.decode_4 = DecoderLevel(c8, c8, shortcut=4, evidence=2)
        self.slope_head = nn.Conv2d(c8 + 1, 3, 3, padding=1)
        self.alpha_head = nn.Conv2d(c8 + 1, 1, 3, padding=1)
        for head in (self.slope_head, self.alpha_head):
            # Zero: training starts from the two-colour matte, not from noise.
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, guidance: Tensor, weak_mask: Tensor, start: TwoColour) -> tuple[Tensor, Tensor]:
        """Corrections (slope (B,3,H/4,W/4), alpha_lr (B,1,H/4,W/4)), unbounded.

        Args:
            guidance: (B,3,H,W) in [0,1], H and W divisible by 32.
            weak_mask: (B,1,H,W) in [0,1].
            start: the two-colour fit of both.
        """
        evidence = torch.cat([start.alpha_lr, start.misfit], dim=1)
        e4 = self.stem(torch.cat([self.stem_image(guidance), self.stem_mask(weak_mask)], dim=1))
        e8 = self.encode_8(torch.cat([e4, start.image_lr, start.contrast, evidence], dim=1))
        e16 = self.encode_16(e8)
        bottleneck = self.residual(self.encode_32(e16))

        pooled_mask = nn.functional.avg_pool2d(start.mask_lr, _ATTENTION_STRIDE // COEFFICIENT_STRIDE)
        # Logits are upsampled, then squashed: a resize after a sigmoid cannot be quantized.
        logits = upsample(self.attention(torch.cat([bottleneck, pooled_mask], dim=1)), 4)
        attention_8 = torch.sigmoid(logits[:, 0:1])
        attention_4 = torch.sigmoid(upsample(logits[:, 1:2], 2))

        d16 = self.decode_16(bottleneck, e16)
        d8 = self.decode_8(d16, e8) * attention_8
        d4 = self.decode_4(d8, e4, evidence) * attention_4
        features = torch.cat([d4, start.alpha_lr], dim=1)
        return self.slope_head(features), self.alpha_head(features)


def parameter_count(module: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
