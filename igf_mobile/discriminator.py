"""The conditional PatchGAN of paper 3.3-3.4: is this alpha right for this image and mask?"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WEIGHT_COUNT = 398_369
"""Trainable parameters."""

PAPER_COUNT = 400_990
"""The paper's count (3.4): the weights and the power-iteration vectors of the spectral norm, which
implementations of its time kept as parameters."""


def _spectral_conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
    """Spectrally normalised stride-2 convolution without bias."""
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False))


class Discriminator(nn.Module):
    """PatchGAN on the triplet (guidance, weak_mask, alpha); only its last convolution is not normalised.

    Widths, kernels and which layers are normalised are reconstructed from the paper's count.
    """

    def __init__(self) -> None:
        """Fresh weights."""
        super().__init__()
        layers: list[nn.Module] = [_spectral_conv(5, 32, kernel=5), nn.LeakyReLU(0.2)]
        for inputs in (32, 64, 128):
            layers += [
                _spectral_conv(inputs, 2 * inputs, kernel=3),
                nn.BatchNorm2d(2 * inputs),
                nn.LeakyReLU(0.2),
            ]
        layers.append(nn.Conv2d(256, 1, 5, padding=2))
        self.layers = nn.Sequential(*layers)

    def forward(self, guidance: Tensor, weak_mask: Tensor, alpha: Tensor) -> Tensor:
        """Scores (B,1,H/16,W/16), one per patch: 1 for true, 0 for predicted (LSGAN, unbounded).

        Args:
            guidance: (B,3,H,W) in [0,1].
            weak_mask: (B,1,H,W) in [0,1].
            alpha: (B,1,H,W) in [0,1].
        """
        scores: Tensor = self.layers(torch.cat([guidance, weak_mask, alpha], dim=1))
        return scores


def power_iteration_count(module: nn.Module) -> int:
    """Elements of the vectors u and v that spectral normalisation keeps beside its weights."""
    return sum(b.numel() for name, b in module.named_buffers() if name.endswith((".0._u", ".0._v")))
