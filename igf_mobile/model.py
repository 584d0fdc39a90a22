"""The Inductive Guided Filter: (guidance, weak_mask) -> alpha = A * I + B (paper eq. 3)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from igf_mobile.hourglass import Hourglass
from igf_mobile.refit import Refit
from igf_mobile.start import Start, closed_form_start
from igf_mobile.two_colour import (
    COEFFICIENT_STRIDE,
    DRAWN_STRIDE,
    channel_sum,
    from_planes,
    planes,
    unit_clamp,
    upsample,
)

STRIDE = 32
"""Height and width must be multiples of this: five stride-2 convolutions."""


_TRUST = 0.5
"""How far alpha moves towards its fit where the network says nothing."""

STEEPNESS = 1.2
"""Of alpha around 1/2: averages over windows are flatter than mattes."""


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


def _quarter(coefficients: list[Tensor], size: torch.Size) -> Tensor:
    """A (B,3,N) and B (B,1,N) at the drawn resolution -> both (B,4,H/4,W/4)."""
    drawn = from_planes(torch.cat(coefficients, dim=1), size)
    return upsample(drawn, DRAWN_STRIDE // COEFFICIENT_STRIDE)


class _ReturningClamp(torch.autograd.Function):
    """A clamp to [0,1] whose gradient passes outside too, but only where it leads back.

    Without it saturated pixels would never return; if it led further out, nothing would ever stop it, because
    what is clamped before it is mixed again says nothing of how far out it is.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0.0, 1.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        away = ((x > 1.0) & (gradient < 0.0)) | ((x < 0.0) & (gradient > 0.0))
        return gradient.masked_fill(away, 0.0)


class Generator(nn.Module):
    """The generator of paper 3.2; 59,466 parameters at width 1, all of them in `hourglass`.

    The hourglass draws alpha at an eighth of the resolution, b, as a correction to the start. What A and B are
    follows from it by regression on colour (`refit.py`), and the hourglass's other outputs say, pixel by pixel, how
    far the regression is believed: alpha of a block is b, moved towards its fit by a share, steepened and corrected
    once more, and the slope is the fit's, times a gain. B = alpha - A * (block mean of I) is the paper's offset.
    Both are returned at a quarter of the resolution, as the paper's.
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.hourglass = Hourglass(width)
        self.refit = Refit()

    def _unit(self, x: Tensor) -> Tensor:
        """Clamp to [0,1]; in training saturated pixels may return."""
        if not self.training:
            return unit_clamp(x)
        clamped: Tensor = _ReturningClamp.apply(x)  # type: ignore[no-untyped-call]
        return clamped

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(B,4,H/4,W/4): A for red, green and blue, then B.

        Args:
            guidance: (B,3,H,W) in [0,1], H and W divisible by 32.
            weak_mask: (B,1,H,W) in [0,1].
        """
        image_lr = nn.functional.avg_pool2d(guidance, DRAWN_STRIDE)
        mask_lr = nn.functional.avg_pool2d(weak_mask, DRAWN_STRIDE)
        start = closed_form_start(image_lr, mask_lr)
        return self.corrected(start, self.hourglass(guidance, weak_mask, start))

    def corrected(self, start: Start, corrections: Tensor) -> Tensor:
        """(B,4,2h,2w): the start and the hourglass's corrections (B,4,h,w) as coefficients."""
        size = corrections.shape[2:]
        drawn, trust, gain, late = torch.split(planes(corrections), 1, dim=1)
        drawn = self._unit(start.alpha + drawn)
        fit = self.refit(drawn, from_planes(start.image, size))
        mixed = drawn + (_TRUST + trust) * (fit.alpha - drawn)
        alpha = self._unit(STEEPNESS * mixed + (0.5 - 0.5 * STEEPNESS) + late)
        gain = STEEPNESS * gain + STEEPNESS
        # B = alpha - A . I, the block means of both.
        return _quarter([gain * fit.slope, alpha - gain * fit.product], size)

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> Matte:
        """Matte a batch. Shapes as in `coefficients`."""
        coefficients = self.coefficients(guidance, weak_mask)
        return Matte(self._unit(apply_coefficients(coefficients, guidance)), coefficients)


class DirectGenerator(Generator):
    """Alpha as the network draws it at an eighth of the resolution, upsampled: A = 0 and B = b.

    The other half of the paper's claim for the coefficients, for ablation: the same layers and the same start, but
    nothing of the image's detail passes. The three outputs for the refit are predicted and thrown away.
    """

    def corrected(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Generator.corrected`."""
        drawn, *_ = torch.split(planes(corrections), 1, dim=1)
        alpha = self._unit(start.alpha + drawn)
        return _quarter([torch.zeros_like(start.image), alpha], corrections.shape[2:])


class PredictedGenerator(Generator):
    """Coefficients as in the paper: the network's outputs are A itself, and alpha; no refit. For ablation."""

    def corrected(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Generator.corrected`."""
        alpha, slope = torch.split(planes(corrections), [1, 3], dim=1)
        alpha = self._unit(start.alpha + alpha)
        # A block that is wholly inside or outside passes no texture on; A is about four times alpha's corrections.
        slope = 16.0 * alpha * (1.0 - alpha) * slope
        offset = alpha - channel_sum(slope * start.image)
        return _quarter([slope, offset], corrections.shape[2:])


FORMS: dict[str, type[Generator]] = {
    "coefficients": Generator,
    "predicted": PredictedGenerator,
    "direct": DirectGenerator,
}
"""What a network's output means, by name."""
