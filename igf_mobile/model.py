"""The Inductive Guided Filter: (guidance, weak_mask) -> alpha = A * I + B (paper eq. 3)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from igf_mobile.hourglass import SLOPE_UNIT, Hourglass
from igf_mobile.start import Start, closed_form_start
from igf_mobile.two_colour import (
    COEFFICIENT_STRIDE,
    channel_sum,
    from_planes,
    planes,
    unit_clamp,
    upsample,
)

STRIDE = 32
"""Height and width must be multiples of this: five stride-2 convolutions."""


class Matte(NamedTuple):
    """What the network returns."""

    alpha: Tensor
    """(B,1,H,W) in [0,1]."""
    coefficients: Tensor
    """(B,4,H/4,W/4): A for red, green, blue, then B (paper eq. 2)."""


def apply_coefficients(coefficients: Tensor, guidance: Tensor) -> Tensor:
    """alpha = A * I + B at the guidance's resolution, whatever that is.

    Args:
        coefficients: (B,4,h,w).
        guidance: (B,3,H,W) in [0,1]; (H,W) need not be (4h,4w): coefficients made at 512 x 512 matte
            the 4K original.

    Returns:
        (B,1,H,W), not yet clamped to [0,1].
    """
    h, w = coefficients.shape[-2:]
    height, width = guidance.shape[-2:]
    if (height, width) == (COEFFICIENT_STRIDE * h, COEFFICIENT_STRIDE * w):
        full = upsample(coefficients, COEFFICIENT_STRIDE)
    else:
        full = nn.functional.interpolate(
            coefficients, size=(height, width), mode="bilinear", align_corners=False
        )
    slope, offset = torch.split(full, [3, 1], dim=1)
    return channel_sum(slope * guidance) + offset


class Generator(nn.Module):
    """The generator of paper 3.2; 59,466 parameters at width 1, all of them in `hourglass`.

    A block's coefficients are built around its mean: b, its share of foreground, and the slope A,
    scaled by 4 b (1 - b), the variance that a block with that share can have at most. A block that is
    wholly inside or outside then has no slope and passes no texture on. B = b - A * (block mean of I)
    turns the centred form into the paper's. With the true b and nothing learned for A, this form has
    a SAD of 0.86 on 14 real photographs, where the mask has 7.5 (toolchain of issue 2, measured).
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.hourglass = Hourglass(width)

    def _unit(self, x: Tensor) -> Tensor:
        """Clamp to [0,1]; in training the gradient passes, or saturated pixels would never return."""
        clamped = unit_clamp(x)
        return x + (clamped - x).detach() if self.training else clamped

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(B,4,H/4,W/4): A for red, green and blue, then B.

        Args:
            guidance: (B,3,H,W) in [0,1], H and W divisible by 32.
            weak_mask: (B,1,H,W) in [0,1].
        """
        image_lr = nn.functional.avg_pool2d(guidance, COEFFICIENT_STRIDE)
        mask_lr = nn.functional.avg_pool2d(weak_mask, COEFFICIENT_STRIDE)
        start = closed_form_start(image_lr, mask_lr)
        return self.corrected(start, self.hourglass(guidance, weak_mask, start))

    def corrected(self, start: Start, corrections: Tensor) -> Tensor:
        """(B,4,h,w): the start and the hourglass's corrections (B,4,h,w) as coefficients."""
        slope, alpha = torch.split(planes(corrections), [3, 1], dim=1)
        alpha = self._unit(start.alpha + alpha)
        gate = 4.0 * alpha * (1.0 - alpha)
        slope = gate * (start.slope + SLOPE_UNIT * slope)
        offset = alpha - channel_sum(slope * start.image)
        return from_planes(torch.cat([slope, offset], dim=1), corrections.shape[2:])

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> Matte:
        """Matte a batch. Shapes as in `coefficients`."""
        coefficients = self.coefficients(guidance, weak_mask)
        return Matte(self._unit(apply_coefficients(coefficients, guidance)), coefficients)


class DirectGenerator(Generator):
    """Alpha as the network draws it at a quarter of the resolution, upsampled: A = 0 and B = b.

    The other half of the paper's claim for the coefficients, for ablation: the same layers and the same start, but
    nothing of the image's detail passes. Its three channels of A are predicted and thrown away.
    """

    def corrected(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Generator.corrected`."""
        _, alpha = torch.split(planes(corrections), [3, 1], dim=1)
        alpha = self._unit(start.alpha + alpha)
        coefficients = torch.cat([torch.zeros_like(start.slope), alpha], dim=1)
        return from_planes(coefficients, corrections.shape[2:])


FORMS: dict[str, type[Generator]] = {"coefficients": Generator, "direct": DirectGenerator}
"""What a network's output means, by name."""
