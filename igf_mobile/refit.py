"""The refit: the linear model of colour that explains a predicted matte best, window by window.

The guided filter's regression (He, Sun, Tang 2013, eq. 5), with the network's own matte at an eighth of the
resolution in place of the weak mask: in each window,

    A = Cov(I, I)^-1 Cov(I, alpha),   B = mean(alpha) - A . mean(I).

The colours of a whole window decide A, and a network of this size hardly carries them to each block. On 14 real
photographs this A, and the fit of alpha, take a quarter off the squared error and a third off the gradient error of
checkpoint 0.3.0, which drew A itself, without any training (the model card has both after training).

Means are over a grid of cells of 16 pixels and windows of 5 x 5 cells, products are of the drawn blocks of 8 x 8. The
3 x 3 system is solved by two steps of conjugate gradients, in a luma-chroma basis in which they are nearly exact:
no division by a determinant, which float16 could not hold.
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

_LEAST_CURVATURE = 0.004
"""Another ridge, along the directions taken: in float16 a flat window's curvature may come out as nothing or less."""

_TINY = 1e-4
"""A normal number in float16."""

_PAIRS = tuple((i, j) for i in range(3) for j in range(i, 4))
"""Of the basis, whose products' means are needed: colours with colours and with alpha."""

_COVARIANCES = (*((i, j) for i in range(3) for j in range(3)), *((i, 3) for i in range(3)))
"""Of colours, three rows of three, then of each with alpha."""


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

        self.colours = Matrix(basis[:3, :3].T / basis[3, 3])
        self.colour_means, self.alpha_mean = pick(range(3), of=4), pick([3], of=4)
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
            (B,4,h,w) A, then B, bilinear between cells.
        """
        products, means = torch.split(self._moments(alpha6_lr, image_lr), [len(_PAIRS), 4], dim=1)
        slope = self.colours(self.solver(*self._covariances(products, means)))
        offset = self.alpha_mean(means) - self.along(slope * self.colour_means(means))
        return upsample(torch.cat([slope, offset], dim=1), _CELL)

    def _moments(self, alpha6_lr: Tensor, image_lr: Tensor) -> Tensor:
        """(B,13,h/2,w/2): means over windows of the pairs' products, of red, green, blue and of alpha."""
        both = image_lr + self.alpha(alpha6_lr)
        grid = F.avg_pool2d(self.left(both) * self.right(both), _CELL)
        reach = _WINDOW // 2
        return F.avg_pool2d(grid, _WINDOW, stride=1, padding=reach, count_include_pad=False)

    def _covariances(self, products: Tensor, means: Tensor) -> tuple[Tensor, Tensor]:
        """Of the basis's colours (B,9,h/2,w/2), row by row, and of each with alpha (B,3,h/2,w/2)."""
        covariances = self.products(products) - self.first(means) * self.second(means)
        square, target = torch.split(covariances, [9, 3], dim=1)
        return square, target


def _products() -> tuple[Tensor, Tensor]:
    """Which product's mean belongs to each covariance, and the ridge that is added."""
    rows = torch.zeros(len(_COVARIANCES), len(_PAIRS))
    for row, (i, j) in enumerate(_COVARIANCES):
        rows[row, _PAIRS.index((min(i, j), max(i, j)))] = 1.0
    return rows, torch.tensor([_RIDGE[i] if i == j else 0.0 for i, j in _COVARIANCES])


class Step(nn.Module):
    """The line search of one step of conjugate gradients. Sums over channels come out in each of three."""

    def __init__(self) -> None:
        super().__init__()
        self.unit = total(3, 3, plus=_TINY)
        self.spread = Matrix(torch.eye(3).repeat(3, 1))
        self.gather = Matrix(torch.eye(3).repeat_interleave(3, dim=1))
        self.curvature, self.length = total(3, 3), total(3, 3)

    def forward(
        self, square: Tensor, direction: Tensor, residual: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Matrices (B,9,h,w), vectors (B,3,h,w) -> the unit direction, its image, its curvature, how far to go."""
        direction = direction * torch.rsqrt(self.unit(direction * direction))
        image = self.gather(square * self.spread(direction))
        curvature = F.relu(self.curvature(direction * image)) + _LEAST_CURVATURE
        return direction, image, curvature, self.length(direction * residual) / curvature


class Solver(nn.Module):
    """Two steps of conjugate gradients, from 0, for a symmetric system in each pixel."""

    def __init__(self) -> None:
        super().__init__()
        # Constants of its own for each: what runs in a file is compared with what is here one by one.
        self.first, self.second = Step(), Step()
        self.conjugate = total(3, 3)

    def forward(self, square: Tensor, target: Tensor) -> Tensor:
        """Matrices (B,9,h,w), vectors (B,3,h,w) -> (B,3,h,w)."""
        if not self.training:
            return self._steps(square, target)
        # The exact solution is linear in the target and its gradient bounded; that of the steps, along unit vectors,
        # is not.
        smooth = _solved(square, target, _TRAINING_RIDGE)
        with torch.no_grad():
            rest = self._steps(square, target) - smooth
        return smooth + rest

    def _steps(self, square: Tensor, target: Tensor) -> Tensor:
        direction, image, curvature, length = self.first(square, target, target)
        solution: Tensor = length * direction
        residual = target - length * image
        conjugate = residual - self.conjugate(residual * image) / curvature * direction
        direction, _, _, length = self.second(square, conjugate, residual)
        solution = solution + length * direction
        return solution


def _solved(square: Tensor, target: Tensor, ridge: float) -> Tensor:
    """Solutions (B,3,h,w) of the systems (B,9,h,w) + ridge for (B,3,h,w)."""
    batch, _, height, width = square.shape
    matrices = square.permute(0, 2, 3, 1).reshape(batch, height, width, 3, 3)
    matrices = matrices + ridge * torch.eye(3, dtype=square.dtype, device=square.device)
    solution: Tensor = torch.linalg.solve(matrices, target.permute(0, 2, 3, 1)[..., None])
    return solution[..., 0].permute(0, 3, 1, 2)
