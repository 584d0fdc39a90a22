"""The Inductive Guided Filter: (guidance, weak_mask) -> alpha = A * I + B (paper eq. 3)."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from igf_mobile.hourglass import Hourglass
from igf_mobile.matrix import Matrix, pick, total
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

    The base of the forms below.
    """

    def __init__(self) -> None:
        super().__init__()
        # 6 times what it is, see `primitives.sixth`.
        self.draw = pick([0], of=4, scale=6.0)

    def clamped6(self, x: Tensor) -> Tensor:
        """Clamp to [0,6]; in training saturated pixels may return."""
        if not self.training:
            return nn.functional.relu6(x)
        clamped: Tensor = 6.0 * _ReturningClamp.apply(x / 6.0)  # type: ignore[no-untyped-call]
        return clamped

    def unit(self, x: Tensor) -> Tensor:
        """Clamp a sixth of it to [0,1], as `primitives.sixth`."""
        return self.clamped6(x) * (1.0 / 6.0)

    def drawn6(self, start: Start, corrections: Tensor) -> Tensor:
        """(B,1,h,w) 6 times alpha as the network draws it, not yet clamped: the start's, corrected."""
        corrected: Tensor = start.alpha6 + self.draw(corrections)
        return corrected

    def forward(self, start: Start, corrections: Tensor) -> Tensor:
        """Corrections (B,4,h,w) -> A and B (B,4,2h,2w)."""
        raise NotImplementedError


def _quarter(drawn: Tensor) -> Tensor:
    """Coefficients (B,4,h,w) at the drawn resolution -> (B,4,2h,2w), a quarter of the image's."""
    return upsample(drawn, DRAWN_STRIDE // COEFFICIENT_STRIDE)


class RefitCorrection(Correction):
    """A and B by regression of the drawn alpha on colour (`refit.py`), believed as far as the hourglass says.

    Alpha of a block is the drawn one, moved towards its fit by a share, steepened and corrected once more; the slope is
    the fit's, times a gain; B = alpha - A * (block mean of I) is the paper's offset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refit = Refit()
        self.trust = pick([1], of=4, plus=_TRUST)
        steep = STEEPNESS * torch.tensor([1.0, 1.0, 1.0, 0.0])
        self.gains = Matrix(torch.outer(steep, torch.eye(4)[2]), steep)
        self.late = pick([3], of=4, scale=6.0, plus=6.0 * (0.5 - 0.5 * STEEPNESS))
        self.fitted6, self.product = total(4, scale=6.0), total(4)
        self.offset = Matrix(torch.eye(4)[:, 3:])

    def forward(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Correction`."""
        drawn6 = self.clamped6(self.drawn6(start, corrections))
        fit = self.refit(drawn6, start.image)
        mixed6 = drawn6 + self.trust(corrections) * (self.fitted6(fit * start.image) - drawn6)
        alpha = self.unit(STEEPNESS * mixed6 + self.late(corrections))
        slope = self.gains(corrections) * fit
        offset = alpha - self.product(slope * start.image)
        return _quarter(slope + self.offset(offset))


class DirectCorrection(Correction):
    """Alpha as the network draws it at an eighth of the resolution, upsampled: A = 0 and B = b.

    The other half of the paper's claim for the coefficients, for ablation: the same layers and the same start, but
    nothing of the image's detail passes. The three outputs for the refit are predicted and thrown away.
    """

    def forward(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Correction`."""
        alpha = self.unit(self.drawn6(start, corrections))
        return _quarter(torch.cat([torch.zeros_like(start.image[:, :3]), alpha], dim=1))


class PredictedCorrection(Correction):
    """Coefficients as in the paper: the network's outputs are A itself, and alpha; no refit. For ablation."""

    def __init__(self) -> None:
        super().__init__()
        self.slope, self.sum = pick(range(1, 4), of=4, scale=16.0), total(3)

    def forward(self, start: Start, corrections: Tensor) -> Tensor:
        """As `Correction`."""
        alpha = self.unit(self.drawn6(start, corrections))
        # A block that is wholly inside or outside passes no texture on; A is about four times alpha's corrections.
        slope = alpha * (1.0 - alpha) * self.slope(corrections)
        return _quarter(torch.cat([slope, alpha - self.sum(slope * start.image[:, :3])], dim=1))


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
