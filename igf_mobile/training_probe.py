"""What is watched while training: held-out errors, and whether the matte still uses the image."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from igf_mobile.batches import Batch
from igf_mobile.model import Matte
from igf_mobile.primitives import COEFFICIENT_STRIDE, upsample


@torch.no_grad()
def detail_probe(matte: Matte, guidance: Tensor) -> tuple[float, float]:
    """How much of the matte comes from the image: (mean |A|, share of gradient energy from A * I).

    By the product rule, a finite difference of alpha = A I + B is mean(A) diff(I), the image's detail,
    plus mean(I) diff(A) + diff(B), what the coefficients draw themselves. The share is the energy of the
    first part in the sum of both energies; 0 if A has collapsed.
    """
    full = upsample(matte.coefficients, COEFFICIENT_STRIDE)
    slope, offset = full[:, 0:3], full[:, 3:4]
    detail, drawn = 0.0, 0.0
    for axis in (2, 3):
        slope_mean, image_mean = _midpoint(slope, axis), _midpoint(guidance, axis)
        from_image = (slope_mean * guidance.diff(dim=axis)).sum(dim=1, keepdim=True)
        from_slope = (image_mean * slope.diff(dim=axis)).sum(dim=1, keepdim=True)
        detail += from_image.square().sum().item()
        drawn += (from_slope + offset.diff(dim=axis)).square().sum().item()
    return slope.abs().mean().item(), detail / max(detail + drawn, 1e-12)


def _midpoint(x: Tensor, axis: int) -> Tensor:
    length = x.shape[axis] - 1
    return 0.5 * (x.narrow(axis, 1, length) + x.narrow(axis, 0, length))


@torch.no_grad()
def validation_errors(
    predict: Callable[[Tensor, Tensor], Tensor], batches: Sequence[Batch]
) -> dict[str, float]:
    """Mean SAD (/1000) and MSE per held-out crop, over all its pixels, of predict(guidance, weak_mask)."""
    sad, mse, count = 0.0, 0.0, 0
    for guidance, weak_mask, alpha in batches:
        error = predict(guidance, weak_mask) - alpha
        sad += error.abs().sum().item() / 1000.0
        mse += error.square().mean().item() * len(error)
        count += len(error)
    return {"sad": sad / count, "mse": mse / count}
