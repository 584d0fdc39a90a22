"""The losses of paper 3.2-3.4, one function each, and two of our own for the coefficients.

Throughout: alpha, target and weak_mask are (B,1,H,W) in [0,1], guidance is (B,3,H,W) in [0,1], and each
loss is a scalar tensor. Norms of the paper are written as means, so that weights do not depend on
the crop's size.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional as F

from igf_mobile.errors import IgfError
from igf_mobile.metrics import GRAD_SIGMA
from igf_mobile.model import Matte
from igf_mobile.primitives import COEFFICIENT_STRIDE

LOCAL_EPS = 0.01
"""A mask that differs from the true alpha by no more is right (paper 3.2, eq. 6)."""

LOCAL_KERNEL = 7
"""Side of the square that dilates the difference function, in pixels (paper 3.2)."""

GABOR_ORIENTATIONS = 16
GABOR_SIZE = 7
GABOR_WAVELENGTH = 5.0
GABOR_GAMMA = 0.5
GABOR_SIGMA = 0.5
"""The bank of paper 3.2: 16 filters of 7x7; wavelength and sigma in pixels."""


@dataclass(frozen=True)
class LossWeights:
    """Factors of the losses in the generator's total (paper eq. 9); a loss with 0 is not computed."""

    global_: float = 0.0
    local: float = 0.0
    gabor: float = 0.0
    adversarial: float = 0.0
    block_mean: float = 0.0
    gradient: float = 0.0
    squared: float = 0.0
    edge: float = 0.0

    def __post_init__(self) -> None:
        """Refuse weights that are negative or not numbers."""
        for name, value in asdict(self).items():
            if not (math.isfinite(value) and value >= 0.0):
                raise IgfError(f"loss weight {name}={value} is not a finite number >= 0")


LOSS_PRESETS: dict[str, LossWeights] = {
    "paper": LossWeights(global_=10.0, local=1.0, gabor=200.0, adversarial=1.0),
    "fast": LossWeights(global_=1.0, block_mean=1.0, gradient=1.0, squared=4.0, edge=120.0),
}
"""`paper` is eq. 9; `fast` leaves the discriminator, twenty times the generator's work, out."""


def global_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """Eq. 5: mean |alpha - target| over all pixels."""
    return F.l1_loss(alpha, target)


def difference_function(target: Tensor, weak_mask: Tensor) -> Tensor:
    """Delta of eq. 6, (B,1,H,W) in {0,1}: where the mask is wrong, dilated by 7x7.

    The paper's formula marks |target - weak_mask| > 0.01; its sentence ("1 for the same values") says the
    opposite and contradicts the purpose it gives, the boundary. The formula is followed.
    """
    wrong = (target - weak_mask).abs() > LOCAL_EPS
    for axis in (2, 3):
        wrong = _dilated(wrong, axis)
    return wrong.to(target.dtype)


def _dilated(marks: Tensor, axis: int) -> Tensor:
    """Dilate booleans by 7 along one axis; in three ors, 15 times faster than max pooling."""
    reach = LOCAL_KERNEL // 2
    padded = F.pad(marks, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach))
    for shift in (1, 2, 3):  # windows of 2, 4 and 7
        length = padded.shape[axis] - shift
        padded = padded.narrow(axis, 0, length) | padded.narrow(axis, shift, length)
    return padded


def local_loss(alpha: Tensor, target: Tensor, weak_mask: Tensor) -> Tensor:
    """Eq. 6: |alpha - target| where the mask is wrong, averaged over those pixels of the batch.

    One denominator for the whole batch: a sample whose mask is nearly right must not weigh as much
    as one whose mask is not. 0 if the mask is right everywhere.
    """
    wrong = difference_function(target, weak_mask)
    return (wrong * (alpha - target).abs()).sum() / wrong.sum().clamp_min(1.0)


@lru_cache(maxsize=8)
def gabor_bank(device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Tensor:
    """The 16 filters of eq. 7, (16,1,7,7), for orientations theta = k pi / 16.

    exp(-(x'^2 + gamma^2 y'^2) / (2 sigma^2)) cos(2 pi x' / wavelength) with x' = x cos(theta) + y sin(theta)
    and y' = -x sin(theta) + y cos(theta); phase 0 and no normalisation, as the paper mentions neither.
    With its sigma of half a pixel they are short oriented lines, so they see the mean too.
    """
    half = GABOR_SIZE // 2
    y, x = torch.meshgrid(
        *2 * [torch.arange(-half, half + 1, dtype=torch.float64)],
        indexing="ij",
    )
    theta = torch.arange(GABOR_ORIENTATIONS, dtype=torch.float64)[:, None, None] * (
        math.pi / GABOR_ORIENTATIONS
    )
    across = x * theta.cos() + y * theta.sin()
    along = -x * theta.sin() + y * theta.cos()
    envelope = torch.exp(-(across**2 + (GABOR_GAMMA * along) ** 2) / (2.0 * GABOR_SIGMA**2))
    bank = envelope * torch.cos(2.0 * math.pi * across / GABOR_WAVELENGTH)
    return bank[:, None].to(device=device, dtype=dtype)


@lru_cache(maxsize=8)
def _gabor_power(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Sum over the bank of |filter's spectrum|^2, (height, width // 2 + 1), for the half spectrum of rfft2.

    Columns that stand for a conjugate pair count twice.
    """
    spectra: Tensor = torch.fft.rfft2(gabor_bank("cpu", torch.float64), s=(height, width))
    power = spectra.abs().square().sum(dim=(0, 1))
    pairs = slice(1, (width + 1) // 2)
    power[:, pairs] *= 2.0
    return power.to(device=device, dtype=dtype)


def gabor_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """Eq. 7: squared difference of the 16 Gabor responses, averaged over filters and pixels.

    Filters are linear, so the difference is filtered, once; and by Parseval's theorem the energy of
    the responses is that of the difference's spectrum times the filters', so nothing is filtered at all:
    25 ms for 16 crops of 256 where the convolutions take 670 ms, forward and backward (one thread).
    Zeros surround the crop, and the responses that reach out of it by 3 pixels are counted.

    Filters of this sigma have no negative lobes to speak of: 85 % of the bank's energy is one blob, so
    the loss is nearer to a squared error of the slightly blurred alpha than to one of its edges.
    """
    height, width = (next_fast_len(size + GABOR_SIZE - 1, real=True) for size in alpha.shape[-2:])
    spectrum = torch.view_as_real(torch.fft.rfft2(alpha - target, s=(height, width)))
    power = _gabor_power(height, width, alpha.device, alpha.dtype)
    energy = (spectrum.square().sum(dim=-1) * power).sum() / (height * width)
    mean: Tensor = energy / (GABOR_ORIENTATIONS * alpha.numel())
    return mean


def filtered_gabor_loss(alpha: Tensor, target: Tensor, stride: int = 1) -> Tensor:
    """Eq. 7 as it is written, one convolution with 16 output channels, for reading and for testing.

    Args:
        alpha: (B,1,H,W).
        target: (B,1,H,W).
        stride: distance in pixels of the places where the filters are applied; up to 7 they overlap.
    """
    bank = gabor_bank(alpha.device, alpha.dtype)
    return F.conv2d(alpha - target, bank, stride=stride, padding=GABOR_SIZE // 2).square().mean()


def block_mean_loss(coefficients: Tensor, guidance: Tensor, target: Tensor) -> Tensor:
    """L1 between the alpha the coefficients imply for each 4x4 block and the block's true mean.

    Not in the paper. A . mean(I) + B is the alpha of a block before upsampling: this supervises the
    coarse matte (which the network draws itself) apart from the detail (which A takes from I).

    Args:
        coefficients: (B,4,H/4,W/4).
        guidance: (B,3,H,W).
        target: (B,1,H,W).
    """
    image_lr = F.avg_pool2d(guidance, COEFFICIENT_STRIDE)
    product = coefficients[:, 0:3] * image_lr
    implied = product.sum(dim=1, keepdim=True) + coefficients[:, 3:4]
    return F.l1_loss(implied, F.avg_pool2d(target, COEFFICIENT_STRIDE))


def gradient_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """Mean |difference of the finite differences|, both axes added. Not in the paper; for detail."""
    error = alpha - target
    horizontal = (error[..., :, 1:] - error[..., :, :-1]).abs().mean()
    vertical = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return horizontal + vertical


def squared_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """Mean (alpha - target)^2. Not in the paper; where image and mask leave it open, L1 alone takes a side."""
    return F.mse_loss(alpha, target)


@lru_cache(maxsize=8)
def _gaussian_derivatives(device: torch.device, dtype: torch.dtype) -> Tensor:
    """First derivatives of a Gaussian with sigma `GRAD_SIGMA`, (2,1,9,9): along x, along y."""
    reach = math.ceil(3.0 * GRAD_SIGMA) - 1
    x = torch.arange(-reach, reach + 1, dtype=torch.float64)
    gaussian = torch.exp(-(x**2) / (2.0 * GRAD_SIGMA**2))
    gaussian /= gaussian.sum()
    derivative = x / GRAD_SIGMA**2 * gaussian
    bank = torch.stack([torch.outer(gaussian, derivative), torch.outer(derivative, gaussian)])
    return bank[:, None].to(device=device, dtype=dtype)


def edge_loss(alpha: Tensor, target: Tensor) -> Tensor:
    """Squared difference of the gradient magnitudes: what the benchmark's Grad measures, as a mean.

    Not in the paper. Every second pixel of every second row is looked at, which loses nothing at this
    sigma and takes a quarter of the time; pixels nearer than 4 to the border are left out.
    """
    bank = _gaussian_derivatives(alpha.device, alpha.dtype)

    def magnitude(x: Tensor) -> Tensor:
        return (F.conv2d(x, bank, stride=2).square().sum(dim=1) + 1e-6).sqrt()

    return F.mse_loss(magnitude(alpha), magnitude(target))


def discriminator_loss(real_score: Tensor, fake_score: Tensor) -> Tensor:
    """L_D of eq. 8 (LSGAN): scores of true alphas to 1, of predicted ones to 0.

    Args:
        real_score: any shape, D(alpha | I, M).
        fake_score: any shape, D(prediction | I, M).
    """
    return (real_score - 1.0).square().mean() + fake_score.square().mean()


def generator_adversarial_loss(fake_score: Tensor) -> Tensor:
    """L_G of eq. 8 with LSGAN's sign: E[(D(prediction | I, M) - 1)^2], to be minimised.

    Eq. 8 prints a minus before it. Minimising that would push D's answer away from 1, towards
    "predicted" and without bound; the LSGAN paper it cites has no minus.
    """
    return (fake_score - 1.0).square().mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Last term of L_adv in eq. 8, without lambda_gp: E[(|grad D|_2 - 1)^2] between real and fake.

    A sample's score is the mean of its patches' scores, so the penalty does not depend on the crop.

    Args:
        critic: alpha (B,1,H,W) -> scores (B,...); image and mask already bound.
        real: (B,1,H,W) true alphas.
        fake: (B,1,H,W) predictions; no gradient reaches the generator.
        mix: (B,) uniform in [0,1), one coefficient per sample.
    """
    share = mix.reshape(-1, 1, 1, 1)
    between = torch.lerp(fake.detach(), real.detach(), share).requires_grad_(True)
    scores = critic(between)
    per_sample = scores.reshape(len(between), -1).mean(dim=1)
    (gradient,) = torch.autograd.grad(per_sample.sum(), between, create_graph=True)
    norm = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    penalty: Tensor = (norm - 1.0).square().mean()
    return penalty


def reconstruction_losses(
    weights: LossWeights,
    matte: Matte,
    guidance: Tensor,
    weak_mask: Tensor,
    target: Tensor,
) -> dict[str, Tensor]:
    """The losses of a matte against the truth that have a weight, by field name, not yet weighted."""
    alpha = matte.alpha
    table: dict[str, Callable[[], Tensor]] = {
        "global_": lambda: global_loss(alpha, target),
        "local": lambda: local_loss(alpha, target, weak_mask),
        "gabor": lambda: gabor_loss(alpha, target),
        "block_mean": lambda: block_mean_loss(matte.coefficients, guidance, target),
        "gradient": lambda: gradient_loss(alpha, target),
        "squared": lambda: squared_loss(alpha, target),
        "edge": lambda: edge_loss(alpha, target),
    }
    return {name: loss() for name, loss in table.items() if getattr(weights, name) > 0.0}


def weighted_sum(weights: LossWeights, losses: dict[str, Tensor]) -> Tensor:
    """Eq. 9 over the losses given."""
    return torch.stack([getattr(weights, name) * loss for name, loss in losses.items()]).sum()
