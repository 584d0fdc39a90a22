"""The generator as XNNPACK runs it fastest: full resolution only as blocks of 4 x 4 pixels.

The same function as `model.Generator`, and the same weights. The guidance is cut into blocks once,
(1,H,W,3) -> (1,H/4,W/4,48), one copy of rows of 48 bytes. Everything that touches its pixels is then a 1x1
convolution or a product over 48 channels: block means, the stem, and alpha = A * I + B, whose bilinear
upsampling is a 3x3 convolution from the coefficients to the 16 phases of a block.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.hourglass import JoinedConv
from igf_mobile.model import Generator
from igf_mobile.start import closed_form_start
from igf_mobile.two_colour import COEFFICIENT_STRIDE as SIDE

PHASES = SIDE * SIDE


def to_blocks(x: Tensor) -> Tensor:
    """(1,H,W,C) -> (1,16 C,H/4,W/4); channel (4 row + column) C + c of a block is its pixel's channel c."""
    _, height, width, channels = x.shape
    rows = x.reshape(1, height // SIDE, SIDE, width // SIDE, SIDE * channels).permute(0, 1, 3, 2, 4)
    return rows.reshape(1, height // SIDE, width // SIDE, PHASES * channels).permute(0, 3, 1, 2)


def from_blocks(x: Tensor) -> Tensor:
    """(1,16,h,w) -> (1,4h,4w,1), the inverse of `to_blocks` for one channel."""
    h, w = x.shape[2:]
    rows = x.permute(0, 2, 3, 1).reshape(1, h, w, SIDE, SIDE).permute(0, 1, 3, 2, 4)
    return rows.reshape(1, SIDE * h, SIDE * w, 1)


def upsampling_phases() -> Tensor:
    """(16,3,3): for each pixel of a block, what bilinear upsampling x4 takes of the 3x3 blocks around it."""
    weights = torch.zeros(SIDE, 3)
    for phase in range(SIDE):
        offset = (phase + 0.5) / SIDE - 0.5
        weights[phase, 1] = 1.0 - abs(offset)
        weights[phase, 2 if offset > 0.0 else 0] = abs(offset)
    return torch.einsum("yi,xj->yxij", weights, weights).reshape(PHASES, 3, 3)


def _fixed(weight: Tensor) -> nn.Conv2d:
    """A convolution with a constant kernel and no bias."""
    outputs, inputs, side, _ = weight.shape
    convolution = nn.Conv2d(inputs, outputs, side, bias=False)
    convolution.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    return convolution


def _means(channels: int) -> nn.Conv2d:
    """(1,16 C,h,w) -> (1,C,h,w): block means."""
    return _fixed((torch.eye(channels) / PHASES).repeat(1, PHASES)[:, :, None, None])


class BlockApply(nn.Module):
    """alpha = A * I + B in [0,1] on blocks."""

    def __init__(self) -> None:
        super().__init__()
        phases = upsampling_phases()
        # 6 here and 1/6 at the end: see `unit_clamp`.
        self.offset = _fixed(6.0 * phases[:, None])
        slope = torch.einsum("pij,cd->pcdij", phases, torch.eye(3))
        self.slope = _fixed(slope.reshape(3 * PHASES, 3, 3, 3))
        self.sum = _fixed(6.0 * torch.eye(PHASES).repeat_interleave(3, dim=1)[:, :, None, None])

    def forward(self, coefficients: Tensor, blocks: Tensor) -> Tensor:
        """(1,4,h,w), (1,48,h,w) -> (1,16,h,w)."""
        slope, offset = torch.split(_with_border(coefficients), [3, 1], dim=1)
        product = self.slope(slope) * blocks
        return F.relu6(self.sum(product) + self.offset(offset)) * (1.0 / 6.0)


def _with_border(x: Tensor) -> Tensor:
    """(1,C,h,w) -> (1,C,h+2,w+2), the border repeated; on three axes, which no converter transposes."""
    x = x.reshape(x.shape[1:])
    x = torch.cat([x[:, :1], x, x[:, -1:]], dim=1)
    x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], dim=2)
    return x.reshape(1, *x.shape)


class BlockStem(nn.Module):
    """The hourglass's stem, whose 4x4 convolutions of stride 4 are 1x1 convolutions of blocks."""

    def __init__(self, stem: JoinedConv) -> None:
        super().__init__()
        self.parts = nn.ModuleList(_on_blocks(part) for part in stem.parts)  # type: ignore[arg-type]
        self.relu = stem.relu

    def forward(self, *blocks: Tensor) -> Tensor:
        """(1,48,h,w), (1,16,h,w) -> (1,8,h,w)."""
        image, mask = (part(x) for part, x in zip(self.parts, blocks, strict=True))
        y: Tensor = self.relu(image + mask)
        return y


def _on_blocks(convolution: nn.Conv2d) -> nn.Conv2d:
    weight = convolution.weight.detach().permute(0, 2, 3, 1).flatten(1)[:, :, None, None]
    result = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=convolution.bias is not None)
    result.weight = nn.Parameter(weight.contiguous())
    if convolution.bias is not None:
        result.bias = nn.Parameter(convolution.bias.detach())
    return result


class BlockGenerator(nn.Module):
    """(guidance, weak_mask) -> (alpha, coefficients), channels last at the edges.

    Args:
        folded: a generator without batch norms (`graph.fold_batch_norms`); its stem is replaced.
    """

    def __init__(self, folded: Generator) -> None:
        super().__init__()
        self.corrected = folded.corrected
        self.hourglass = folded.hourglass
        self.hourglass.stem = BlockStem(folded.hourglass.stem)  # type: ignore[assignment]
        self.image_means, self.mask_means = _means(3), _means(1)
        self.apply_coefficients = BlockApply()

    def forward(self, guidance: Tensor, weak_mask: Tensor) -> tuple[Tensor, Tensor]:
        """(1,H,W,3), (1,H,W,1) -> (1,H,W,1), (1,H/4,W/4,4)."""
        image = to_blocks(guidance)
        coefficients = self._coefficients(image, to_blocks(weak_mask))
        alpha = self.apply_coefficients(coefficients, image)
        return from_blocks(alpha), coefficients.permute(0, 2, 3, 1)

    def coefficients(self, guidance: Tensor, weak_mask: Tensor) -> Tensor:
        """(1,H,W,3), (1,H,W,1) -> (1,H/4,W/4,4)."""
        return self._coefficients(to_blocks(guidance), to_blocks(weak_mask)).permute(0, 2, 3, 1)

    def _coefficients(self, image: Tensor, mask: Tensor) -> Tensor:
        """(1,48,h,w), (1,16,h,w) -> (1,4,h,w)."""
        start = closed_form_start(self.image_means(image), self.mask_means(mask))
        coefficients: Tensor = self.corrected(start, self.hourglass(image, mask, start))
        return coefficients
