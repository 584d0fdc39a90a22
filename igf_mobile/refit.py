"""The refit: the linear model of colour that explains a predicted matte best, window by window.

The guided filter's regression (He, Sun, Tang 2013, eq. 5), with the network's own matte at an eighth of the
resolution in place of the weak mask: in each window,

    A = Cov(I, I)^-1 Cov(I, alpha),   B = mean(alpha) - A . mean(I).

The colours of a whole window decide A, and a network of this size hardly carries them to each block. On 14 real
photographs this A, and the fit of alpha, take a quarter off the squared error and a third off the gradient error of
checkpoint 0.3.0, which drew A itself, without any training (the model card has both after training).

Means are over a grid of cells of 16 pixels and windows of 5 x 5 cells, products are of the drawn blocks of 8 x 8. The
3 x 3 system is solved by elimination, in a luma-chroma basis that fills float16, with no pivot below the ridge: no
determinant, which float16 could not hold.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.matrix import Matrix, pick, total
from igf_mobile.primitives import upsample

_CELL = 2
"""Drawn blocks per side of a cell of the grid."""

_WINDOW = 5
"""Cells per side of a window: 80 pixels, twice the reach of a bad mask."""

_BASIS = ((1.0, 2.0, 1.0, 0.0), (8.0, -8.0, 0.0, 0.0), (4.0, 4.0, -8.0, 0.0), (0.0, 0.0, 0.0, 4.0))
"""Of red, green, blue and alpha: luma, red against green, both against blue, alpha.

Chroma varies a quarter as much as luma, and all are scaled to fill float16."""

_CENTRE = (-2.0, 0.0, 0.0, -2.0)
"""Added to them: a grey and an alpha of 1/2 are 0, and their squares small."""

_RIDGE = (0.006, 0.016, 0.016)
"""Added to the variances of the basis's colours: pixels' noise, which means of 8 x 8 do not show, has about as much.
Half of it has 1 % less SAD, and in float16 twice the noise of A in flat windows."""

_TRAINING_RIDGE = 0.3
"""Added once more where the gradient is taken, so that flat windows do not outweigh the others."""

_SQUARES_KEPT = 1.0 - 2.0**-10
"""Of a mean's square, taken from the mean of squares: what is left exceeds float16's error in their difference."""

_PAIRS = tuple((i, j) for i in range(3) for j in range(i, 4))
"""Of the basis, whose products' means are needed: colours with colours and with alpha."""

_COVARIANCES = tuple((i, j) for i in range(3) for j in range(4))
"""Three rows: of a colour with each colour, then with alpha."""


class Refit(nn.Module):
    """Fits alpha = A . I + B in windows of 80 pixels. It has no parameters."""

    def __init__(self) -> None:
        super().__init__()
        basis, centre, raw = torch.tensor(_BASIS), torch.tensor(_CENTRE), torch.eye(4)
        # Products of pairs, then red, green, blue and alpha themselves, times 1.
        first, second = (list(side) for side in zip(*_PAIRS, strict=True))
        self.left = Matrix(torch.cat([basis[first], raw]), torch.cat([centre[first], torch.zeros(4)]))
        self.right = Matrix(torch.cat([basis[second], 0.0 * raw]), torch.cat([centre[second], torch.ones(4)]))

        self.products = Matrix(*_products())
        first, second = (list(side) for side in zip(*_COVARIANCES, strict=True))
        kept = torch.tensor([_SQUARES_KEPT if i == j else 1.0 for i, j in _COVARIANCES])
        self.first = Matrix(kept[:, None] * basis[first], kept * centre[first])
        self.second = Matrix(basis[second], centre[second])

        self.colours = Matrix(6.0 * basis[:3, :3].T / basis[3, 3])
        self.colour_means, self.alpha6_mean = pick(range(3), of=4), pick([3], of=4, scale=6.0)
        self.along = total(3)
        # alpha where the image has 1
        self.alpha = Matrix(raw[:, 3:] / 6.0, -raw[3])
        self.solver = Solver()

    def forward(self, alpha6_lr: Tensor, image_lr: Tensor) -> Tensor:
        """Fit.

        Args:
            alpha6_lr: (B,1,h,w) 6 times block means of a matte, [0,6]: see `primitives.sixth`.
            image_lr: (B,4,h,w) block means of the guidance, [0,1], then 1; h and w divisible by 2.

        Returns:
            (B,4,h,w) 6 times A, then B, bilinear between cells.
        """
        products, means = torch.split(self._moments(alpha6_lr, image_lr), [len(_PAIRS), 4], dim=1)
        slope = self.colours(self.solver(self._systems(products, means)))
        offset = self.alpha6_mean(means) - self.along(slope * self.colour_means(means))
        return upsample(torch.cat([slope, offset], dim=1), _CELL)

    def _moments(self, alpha6_lr: Tensor, image_lr: Tensor) -> Tensor:
        """(B,13,h/2,w/2): means over windows of the pairs' products, of red, green, blue and of alpha."""
        both = image_lr + self.alpha(alpha6_lr)
        grid = F.avg_pool2d(self.left(both) * self.right(both), _CELL)
        reach = _WINDOW // 2
        down = F.avg_pool2d(grid, (_WINDOW, 1), stride=1, padding=(reach, 0), count_include_pad=False)
        return F.avg_pool2d(down, (1, _WINDOW), stride=1, padding=(0, reach), count_include_pad=False)

    def _systems(self, products: Tensor, means: Tensor) -> Tensor:
        """(B,12,h/2,w/2): `_COVARIANCES`, with the ridge."""
        systems: Tensor = self.products(products) - self.first(means) * self.second(means)
        return systems


def _products() -> tuple[Tensor, Tensor]:
    """Which product's mean belongs to each covariance, and the ridge that is added."""
    rows = torch.zeros(len(_COVARIANCES), len(_PAIRS))
    for row, (i, j) in enumerate(_COVARIANCES):
        rows[row, _PAIRS.index((min(i, j), max(i, j)))] = 1.0
    return rows, torch.tensor([_RIDGE[i] if i == j else 0.0 for i, j in _COVARIANCES])


class Solver(nn.Module):
    """Gauss-Jordan elimination in each pixel, without exchange of rows: the matrix is a covariance and the ridge."""

    def __init__(self) -> None:
        super().__init__()
        for k in range(3):
            self.register_buffer(f"unit_{k}", torch.eye(3)[k][:, None, None].clone(), persistent=False)

    def forward(self, systems: Tensor) -> Tensor:
        """Three rows of a matrix and the right side (B,12,h,w) -> solutions (B,3,h,w)."""
        batch, _, height, width = systems.shape
        rows = systems.flatten(2).reshape(batch, 3, 4, -1)
        if not self.training:
            return self._eliminated(rows).reshape(batch, 3, height, width)
        # What follows has a bounded gradient with the larger ridge, which flat windows need.
        smooth = _solved(rows, _TRAINING_RIDGE)
        with torch.no_grad():
            rest = self._eliminated(rows) - smooth
        return (smooth + rest).reshape(batch, 3, height, width)

    def _eliminated(self, rows: Tensor) -> Tensor:
        """(B,3,4,N) -> (B,3,1,N)."""
        for k in range(3):
            row = rows[:, k : k + 1]
            # In exact arithmetic no pivot is less; in float16 a window of two colours may have nothing left.
            row = row / row[:, :, k : k + 1].clamp(min=_RIDGE[k])
            # Of its own, one is kept.
            rows = rows - (rows[:, :, k : k + 1] - self.get_buffer(f"unit_{k}")) * row
        return rows[:, :, 3:]


def _solved(rows: Tensor, ridge: float) -> Tensor:
    """Solutions (B,3,1,N) of the systems (B,3,4,N), with a ridge added."""
    matrices, targets = torch.split(rows.permute(0, 3, 1, 2), [3, 1], dim=3)
    solution: Tensor = torch.linalg.solve(
        matrices + ridge * torch.eye(3, dtype=rows.dtype, device=rows.device), targets
    )
    return solution.permute(0, 2, 3, 1)
