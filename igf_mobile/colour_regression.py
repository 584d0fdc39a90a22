"""Kernel regression of the weak mask on colour: which side have pixels of this colour been on near here?

Each side is a set of samples, its mean colours in the 3 x 3 cells of 32 pixels around a pixel, for hair before a
hedge, a striped pumpkin or a fringe has many; and a pixel takes the side whose samples are nearer (Nadaraya 1964,
Watson 1964; the bilateral filter is the same estimate with pixels for samples):

    alpha = sum_j w_j k(I - F_j) / (sum_j w_j k(I - F_j) + sum_j v_j k(I - G_j)),

where F_j and G_j are the mean colours of the masked and unmasked pixels of cell j, w_j and v_j = 1 - w_j
their shares, and k(d) = (1 + |d|^2 / sigma^2)^-2. It has no parameters to train.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.matrix import Matrix, pick
from igf_mobile.primitives import COEFFICIENT_STRIDE, DRAWN_STRIDE, padded, pooled

CELL = 8
"""Side of a cell in blocks of 4 pixels; three cells are 96 pixels, more than a bad mask's reach."""

_DRAWN_CELL = CELL * COEFFICIENT_STRIDE // DRAWN_STRIDE
"""The same in drawn blocks."""

_INVERSE_VARIANCE = 200.0
"""1 / sigma^2, sigma = 0.07; 0.05 to 0.1 do alike."""

_TINY = 1e-3

_VOTES = 6.0 * 9.0
"""What votes are multiplied by: their means over nine cells are 6 times their sums."""


class Regressed(NamedTuple):
    """What `ColourRegression` finds."""

    estimates6: Tensor
    """(B,2,h,w) in [0,6], 6 times: alpha, steepened by 2 around 1/2, the mask where no sample is near the colour; its
    support, the weight of the samples near the colour, 1 from a whole cell's on."""
    sides: Tensor
    """(B,8,h/4,w/4) of each cell: the masked colour, its share, the unmasked colour, its share, all in [0,1]."""


class Sides(nn.Module):
    """The mean colour of each side of the mask in each cell, and its share of the cell beside it."""

    def __init__(self) -> None:
        super().__init__()
        colour, mask = torch.eye(4)[:3], torch.eye(4)[3:]
        inside, outside, nothing = mask.repeat(3, 1), -mask.repeat(3, 1), torch.zeros_like(mask)
        # (colour, mask, colour, 1 - mask) times (mask, 1, 1 - mask, 1)
        self.left = Matrix(torch.cat([colour, mask, colour, -mask]), torch.eye(8)[7])
        self.right = Matrix(
            torch.cat([inside, nothing, outside, nothing]), torch.tensor([0.0] * 3 + [1.0] * 5)
        )
        share, other = torch.eye(8)[3:4].repeat(3, 1), torch.eye(8)[7:].repeat(3, 1)
        nothing = torch.zeros(1, 8)
        by = torch.cat([share, nothing, other, nothing])
        self.by = Matrix(by, torch.tensor([_TINY, _TINY, _TINY, 1.0] * 2))

    def forward(self, drawn: Tensor) -> tuple[Tensor, Tensor]:
        """Means of each side times its share, and means of each side, with the shares as they are; (B,8,h/4,w/4).

        Args:
            drawn: (B,4,h,w) block means of the guidance and, last, of the weak mask, [0,1], h and w divisible by 4.
        """
        means = F.avg_pool2d(self.left(drawn) * self.right(drawn), _DRAWN_CELL)
        return means, means / self.by(means)


class ColourRegression(nn.Module):
    """Estimates alpha from the colours of both sides nearby. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = Sides()
        eye, nothing = torch.eye(8), torch.zeros(1, 8)
        # A colour; from a sample's share nothing is subtracted.
        self.centre = Matrix(torch.cat([eye[:3] + eye[4:7], nothing]))
        self.shares = pick([3], of=4)
        # 1 + |q - k|^2 / sigma^2 = (-2 k, 3) / sigma^2 . (q, mean of q^2) + (|k|^2 / sigma^2 + 1), and all that times
        # `unit`, because a vote is one over its square.
        unit = _VOTES**-0.5
        scale = _INVERSE_VARIANCE * unit
        colour = torch.diag(torch.tensor([-2.0 * scale] * 3 + [0.0]))
        self.factors = Matrix(colour, torch.tensor([0.0] * 3 + [3.0 * scale]))
        self.constant = Matrix(torch.tensor([[scale] * 3 + [0.0]]), torch.tensor([unit]))

    def forward(self, quarter: Tensor, drawn: Tensor) -> Regressed:
        """Estimate at a quarter of the guidance's size, and average to an eighth.

        Of blocks of 8 x 8 pixels, whose colours mix hair with what is behind it, it has 1.7 times the squared error.

        Args:
            quarter: (B,4,2h,2w) block means of the guidance and, last, of the weak mask, [0,1], h and w divisible by 4.
            drawn: (B,4,h,w) the same of blocks twice as wide.
        """
        means, sides = self.sides(drawn)
        centre = self.centre(means)
        samples = _rows(_neighbours(sides), 18)
        # Seen from the cell's mean colour: in float16 the difference of large squares would drown.
        keys = samples - _rows(centre, 1)
        root_shares = torch.sqrt(_flat(self.shares(keys)))
        pixels, mask = torch.split(_pixels(quarter), [3, 1], dim=1)
        pixels = pixels - centre[:, :3].transpose(0, 1).reshape(1, 3, 1, -1)
        queries = _by_cell(torch.cat([pixels, _mean_of(pixels * pixels)], dim=1))

        distance = torch.bmm(_flat(self.factors(keys)), queries) + _flat(self.constant(keys * keys))
        # ExecuTorch's XNNPACK delegate takes no reciprocal.
        root = torch.rsqrt(distance)
        root_votes = root * root * root_shares
        votes6 = _means_of_cells(root_votes * root_votes)
        inside6, outside6 = torch.split(votes6, 1, dim=1)
        support6 = inside6 + outside6
        alpha = (inside6 + 6.0 * _TINY * _by_cell(mask)) / (support6 + 6.0 * _TINY)
        # See `sixth`.
        both6 = torch.cat([F.relu6(12.0 * alpha - 3.0), F.relu6(support6)], dim=1)
        return Regressed(_averaged(both6, quarter.shape), sides)


def _mean_of(x: Tensor) -> Tensor:
    """(2,3,P,N) -> (2,1,P,N), over the colours."""
    return pooled(x.reshape(2, 3, 1, -1), (3, 1)).reshape(2, 1, x.shape[2], x.shape[3])


def _means_of_cells(votes: Tensor) -> Tensor:
    """(N,18,64) of nine cells' masked and unmasked samples -> (N,2,64)."""
    return pooled(votes.reshape(votes.shape[0], 9, 1, -1), (9, 1)).reshape(votes.shape[0], 2, -1)


def _rows(cells: Tensor, rows: int) -> Tensor:
    """(B,rows * C,r,c) -> (1,C,N,rows), N = B * r * c; with the channels last no byte moves."""
    last = cells.permute(0, 2, 3, 1)
    return last.reshape(1, -1, rows, cells.shape[1] // rows).permute(0, 3, 1, 2)


def _flat(rows: Tensor) -> Tensor:
    """(1,C,N,rows) -> (N,rows,C)."""
    return rows.permute(0, 2, 3, 1).reshape(rows.shape[2], rows.shape[3], rows.shape[1])


def _pixels(x: Tensor) -> Tensor:
    """(B,4,h,w) -> (2,4,32,N): left and right pixels of the 2 x 2 of a drawn block, channel, pixel, cell."""
    channels, width = x.shape[1], x.shape[3]
    half = CELL // 2
    # cell's row, block's, pixel's, cell's column, block's, pixel's with the channel: six axes are all that XNNPACK has
    last = x.permute(0, 2, 3, 1).reshape(-1, half, 2, width // CELL, half, 2 * channels)
    return last.permute(5, 2, 1, 4, 0, 3).reshape(2, channels, CELL * CELL // 2, -1)


def _by_cell(pixels: Tensor) -> Tensor:
    """(2,C,32,N) -> (N,C,64)."""
    return pixels.permute(3, 1, 0, 2).reshape(pixels.shape[3], pixels.shape[1], -1)


def _averaged(cells: Tensor, shape: torch.Size) -> Tensor:
    """(N,C,64) of pixels of (B,4,h,w) -> (B,C,h/2,w/2), means of drawn blocks."""
    batch, _, height, width = shape
    half, channels = CELL // 2, cells.shape[1]
    means = pooled(cells.reshape(1, -1, 4, half * half), (1, 4))
    grid = means.reshape(batch, height // CELL, width // CELL, channels, half, half)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height // 2, width // 2)


def _neighbours(x: Tensor) -> Tensor:
    """(B,C,r,c) -> (B,9C,r,c): each cell's 3 x 3 surroundings, zeros beyond the border."""
    rows, columns = x.shape[2:]
    around = padded(x, 1).permute(0, 2, 3, 1)
    # XNNPACK concatenates at most five tensors.
    across = torch.cat([around[:, :, i : i + columns] for i in range(3)], dim=3)
    return torch.cat([across[:, i : i + rows] for i in range(3)], dim=3).permute(0, 3, 1, 2)
