"""Kernel regression of the weak mask on colour: which side have pixels of this colour been on near here?

The two-colour model (`two_colour.py`) knows one colour for each side. Hair before a hedge, a striped
pumpkin or a fringe has many. Here each side is a set of samples, its mean colours in the 3 x 3 cells of
32 pixels around a pixel, and a pixel takes the side whose samples are nearer (Nadaraya 1964, Watson
1964; the bilateral filter is the same estimate with pixels for samples):

    alpha = sum_j w_j k(I - F_j) / (sum_j w_j k(I - F_j) + sum_j v_j k(I - G_j)),

where F_j and G_j are the mean colours of the masked and unmasked pixels of cell j, w_j and v_j = 1 - w_j
their shares, and k(d) = (1 + |d|^2 / sigma^2)^-2. It has no parameters to train.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.matrix import Matrix, pick, total
from igf_mobile.two_colour import Sides, padded

CELL = 8
"""Side of a cell in blocks of 4 pixels; three cells are 96 pixels, more than a bad mask's reach."""

_GRID = 2
"""Cells of the colour grid per side of a cell."""

_INVERSE_VARIANCE = 200.0
"""1 / sigma^2, sigma = 0.07; 0.05 to 0.1 do alike."""

_TINY = 1e-3


class ColourRegression(nn.Module):
    """Estimates alpha from the colours of both sides nearby. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = Sides()
        eye, nothing = torch.eye(8), torch.zeros(1, 8)
        # Of each cell two samples: a colour, its weight as a masked one, its weight as an unmasked one.
        self.samples = Matrix(torch.cat([eye[:4], nothing, eye[4:7], nothing, eye[7:]]))
        self.centre = Matrix(eye[:3] + eye[4:7])
        self.colour = pick(range(3), of=5)
        # 72 times a masked sample's weight, and 6 times either's: see `forward`.
        self.shares = Matrix(torch.tensor([[0.0, 0.0, 0.0, 72.0, 0.0], [0.0, 0.0, 0.0, 6.0, 6.0]]))
        # 1 + |q - k|^2 / sigma^2 = (-2 k, 1, 1, 1, 0) / sigma^2 . (q, q^2, mask) + (|k|^2 / sigma^2 + 1)
        scale = _INVERSE_VARIANCE
        factors = torch.cat([-2.0 * scale * torch.eye(3), torch.zeros(4, 3)])
        self.factors = Matrix(factors, torch.tensor([0.0] * 3 + [scale] * 3 + [0.0]))
        self.constant = total(3, scale=scale, plus=1.0)

    def forward(self, quarter: Tensor, grid_means: Tensor) -> tuple[Tensor, Tensor]:
        """Estimate at a quarter of the guidance's size, and average to an eighth.

        Args:
            quarter: (B,4,h,w) block means of the guidance and, last, of the weak mask, [0,1], h and w divisible by 8.
            grid_means: (B,8,h/4,w/4) of both, `two_colour.SideMeans`.

        Returns:
            (B,2,h/2,w/2) in [0,1]: alpha, steepened by 2 around 1/2, the mask where no sample is near the colour; its
            support, the weight of the samples near the colour, 1 from a whole cell's on.
        """
        cells = F.avg_pool2d(grid_means, _GRID)
        centre, sides = self.centre(cells), self.sides(cells)
        samples = _rows(_neighbours(self.samples(sides)), 18)
        # Seen from the cell's mean colour: in float16 the difference of large squares would drown.
        keys = self.colour(samples) - _rows(centre, 1)
        pixels, mask = torch.split(_pixels(quarter), [3, 1], dim=1)
        pixels = pixels - centre.transpose(0, 1).reshape(1, 3, 1, -1)
        queries = _by_cell(torch.cat([pixels, pixels * pixels, mask], dim=1))

        distance = torch.bmm(_flat(self.factors(keys)), queries) + _flat(self.constant(keys * keys))
        # ExecuTorch's XNNPACK delegate takes no reciprocal.
        root = torch.rsqrt(distance)
        nearness = root * root
        votes = torch.bmm(_flat(self.shares(samples)).transpose(1, 2), nearness * nearness)

        inside72, support6 = torch.split(votes, 1, dim=1)
        alpha12 = (inside72 + 72.0 * _TINY * queries[:, 6:]) / (support6 + 6.0 * _TINY)
        # As `sixth`: alpha, steepened by 2 around 1/2, and its support, both between 0 and 6.
        both = torch.cat([F.relu6(alpha12 - 3.0), F.relu6(support6)], dim=1) * (1.0 / 6.0)
        return _averaged(both, quarter.shape), sides


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
    pixels = cells.reshape(1, -1, 4, half * half).permute(0, 3, 1, 2)
    means = F.avg_pool2d(pixels, (1, 4)).permute(0, 2, 3, 1)
    grid = means.reshape(batch, height // CELL, width // CELL, channels, half, half)
    return grid.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, height // 2, width // 2)


def _neighbours(x: Tensor) -> Tensor:
    """(B,C,r,c) -> (B,9C,r,c): each cell's 3 x 3 surroundings, zeros beyond the border."""
    rows, columns = x.shape[2:]
    around = padded(x, 1).permute(0, 2, 3, 1)
    # XNNPACK concatenates at most five tensors.
    across = torch.cat([around[:, :, i : i + columns] for i in range(3)], dim=3)
    return torch.cat([across[:, i : i + rows] for i in range(3)], dim=3).permute(0, 3, 1, 2)
