"""The Inductive Guided Filter: (guidance, weak_mask) -> alpha = A * I + B (paper eq. 3)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from igf_mobile.hourglass import Hourglass
from igf_mobile.primitives import COEFFICIENT_STRIDE, DRAWN_STRIDE, channel_sum, upsample
from igf_mobile.refit import Refit
from igf_mobile.start import ClosedForm, Start, block_means

STRIDE = 32
"""Height and width must be multiples of this: five halvings."""

_TRUST = 0.5
"""How far alpha moves towards its fit where the network says nothing."""

STEEPNESS = 1.8
"""Of alpha around 1/2: averages over windows are flatter than mattes. Held-out composites have 10 % less SAD with 1.8
than with 1.4, with which the checkpoint was trained, for 2.5 % more MSE."""


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


class Correction(nn.Module):
    """From the start and what the hourglass says to coefficients. It has no parameters.

    The base of the forms below. What runtimes compute as planes is written for flat ones, (B,C,h*w).
    """

    def clamped6(self, x: Tensor) -> Tensor:
        """Clamp to [0,6]; in training saturated pixels may return."""
        if not self.training:
            return nn.functional.relu6(x)
        clamped: Tensor = 6.0 * _ReturningClamp.apply(x / 6.0)  # type: ignore[no-untyped-call]
        return clamped

    def unit(self, x: Tensor) -> Tensor:
        """Clamp a sixth of it to [0,1], as `primitives.sixth`."""
        return self.clamped6(x) * (1.0 / 6.0)

    def drawn(self, start: Start, corrections: Tensor) -> Tensor:
        """Corrections (B,4,h,w) -> A and B of the drawn blocks (B,4,h,w)."""
        raise NotImplementedError

    def forward(self, start: Start, corrections: Tensor) -> Tensor:
        """Corrections (B,4,h,w) -> A and B (B,4,2h,2w), at a quarter of the image's resolution."""
        return upsample(self.drawn(start, corrections), DRAWN_STRIDE // COEFFICIENT_STRIDE)


class RefitCorrection(Correction):
    """A and B by regression of the drawn alpha on colour (`refit.py`), believed as far as the hourglass says.

    Alpha of a block is the drawn one, moved towards its fit by a share, steepened and corrected once more; the slope is
    the fit's, times a gain; B = alpha - A * (block mean of I) is the paper's offset.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.refit = Refit()
        # Of the corrections: to alpha, 6 times (see `primitives.sixth`); the trust in the fit; the gain of the slope, a
        # sixth of it, because the fit's is 6 times as steep; to alpha after the fit, 6 times.
        scale = torch.tensor([6.0, 1.0, STEEPNESS / 6.0, 6.0])
        shift = torch.tensor([0.0, _TRUST, STEEPNESS / 6.0, 6.0 * (0.5 - 0.5 * STEEPNESS)])
        self.register_buffer("scale", scale[:, None], persistent=False)
        self.register_buffer("shift", shift[:, None], persistent=False)

    def drawn(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Correction`."""
        grid = (len(corrections), -1, *corrections.shape[2:])
        scaled = corrections.flatten(2) * self.scale + self.shift
        draw6, trust, gain, late6 = torch.split(scaled, 1, dim=1)
        image, _ = torch.split(start.image.flatten(2), [3, 1], dim=1)
        drawn6 = self.clamped6(start.alpha6.flatten(2) + draw6)
        fit6 = self.refit(drawn6.reshape(grid), start.image).flatten(2)
        slope6, offset6 = torch.split(fit6, [3, 1], dim=1)
        product6 = channel_sum(slope6 * image)
        mixed6 = drawn6 + trust * (product6 + offset6 - drawn6)
        alpha = self.unit(STEEPNESS * mixed6 + late6)
        return torch.cat([gain * slope6, alpha - gain * product6], dim=1).reshape(grid)


class DirectCorrection(Correction):
    """Alpha as the network draws it at an eighth of the resolution, upsampled: A = 0 and B = b.

    The other half of the paper's claim for the coefficients, for ablation: the same layers and the same start, but
    nothing of the image's detail passes. The three outputs for the refit are predicted and thrown away.
    """

    def drawn(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Correction`."""
        alpha = self.unit(start.alpha6 + 6.0 * corrections[:, :1])
        return torch.cat([torch.zeros_like(start.image[:, :3]), alpha], dim=1)


class PredictedCorrection(Correction):
    """Coefficients as in the paper: the network's outputs are A itself, and alpha; no refit. For ablation."""

    def drawn(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Correction`."""
        draw, slope = torch.split(corrections, [1, 3], dim=1)
        alpha = self.unit(start.alpha6 + 6.0 * draw)
        # A block that is wholly inside or outside passes no texture on; A is about four times alpha's corrections.
        slope = alpha * (1.0 - alpha) * 16.0 * slope
        return torch.cat([slope, alpha - channel_sum(slope * start.image[:, :3])], dim=1)


FORMS: dict[str, type[Correction]] = {
    "coefficients": RefitCorrection,
    "predicted": PredictedCorrection,
    "direct": DirectCorrection,
}
"""What a network's output means, by name."""


class Generator(nn.Module):
    """The generator of paper 3.2; 59,466 parameters at width 1, all of them in `hourglass`.

    A closed form starts the matte, the hourglass says how to correct it, and `correction` makes coefficients of that:
    drawn at an eighth of the resolution, returned at a quarter as the paper's.
    """

    def __init__(self, width: int = 1, form: str = "coefficients") -> None:
        """`form`: one of `FORMS`."""
        super().__init__()
        # Constants are on the processor even where parameters are made without values (`checkpoint.load_checkpoint`).
        with torch.device("cpu"):
            self.closed_form, self.correction = ClosedForm(), FORMS[form]()
        self.hourglass = Hourglass(width)

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(B,4,H/4,W/4): A for red, green and blue, then B.

        Args:
            guidance: (B,3,H,W) in [0,1], H and W divisible by 32.
            weak_mask: (B,1,H,W) in [0,1].
        """
        start: Start = self.closed_form(*block_means(guidance, weak_mask))
        coefficients: Tensor = self.correction(start, self.hourglass(start))
        return coefficients

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> Matte:
        """Matte a batch. Shapes as in `coefficients`."""
        coefficients = self.coefficients(guidance, weak_mask)
        alpha = 6.0 * apply_coefficients(coefficients, guidance)
        return Matte(self.correction.unit(alpha), coefficients)
