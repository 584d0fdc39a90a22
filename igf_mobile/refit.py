"""The refit: the linear model of colour that explains a predicted matte best, window by window.

The guided filter's regression (He, Sun, Tang 2013, eq. 5), with the network's own matte at a quarter of the
resolution in place of the weak mask: in each window,

    A = Cov(I, I)^-1 Cov(I, alpha),   B = mean(alpha) - A . mean(I).

A network that predicts A directly sees four bytes of evidence a block for what a window of hundreds of pixels
decides; on 14 real photographs this A takes a third off the squared error and the gradient error of the same matte.

Means are over a grid of cells of 16 pixels and windows of 5 x 5 cells, products are of means of 8 x 8 pixels. The
3 x 3 system is solved by two steps of conjugate gradients, in a luma-chroma basis in which they are nearly exact:
no division by a determinant, which float16 could not hold.

Sums and copies of channels are products with constant matrices, 1x1 convolutions: in all three runtimes one such
operator takes the place of ten that slice, add and concatenate. Their entries are exact in float16.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from igf_mobile.two_colour import channel_sum, from_planes, planes, upsample

_PIXEL = 2
"""Blocks of 4 pixels per side of what products are taken of."""

_CELL = 2
"""Of those per side of a cell of the grid."""

_WINDOW = 5
"""Cells per side of a window: 80 pixels, twice the reach of a bad mask."""

_BASIS = ((1.0, 2.0, 1.0, 0.0), (8.0, -8.0, 0.0, 0.0), (4.0, 4.0, -8.0, 0.0), (0.0, 0.0, 0.0, 4.0))
"""Of red, green, blue and alpha: luma, red against green, both against blue, alpha.

Chroma varies a quarter as much as luma, and all are scaled to fill float16."""

_CENTRE = (-2.0, 0.0, 0.0, -2.0)
"""Added to them: a grey and an alpha of 1/2 are 0, and their squares small."""

_RIDGE = (0.006, 0.016, 0.016)
"""Added to the variances of the basis's colours: pixels' noise, which means of 8 x 8 do not show, has about as much."""

_TRAINING_RIDGE = 0.3
"""Added once more where the gradient is taken."""

_SQUARES_KEPT = 1.0 - 2.0**-10
"""Of a mean's square, taken from the mean of squares: what is left exceeds float16's error in their difference."""

_LEAST_CURVATURE = 0.004
"""Another ridge, along the directions taken: in float16 a flat window's curvature may come out as nothing or less."""

_TINY = 1e-4
"""A normal number in float16."""

_PAIRS = tuple((i, j) for i in range(3) for j in range(i, 4))
"""Of the basis, whose products' means are needed: colours with colours and with alpha."""


class Refit(nn.Module):
    """Fits alpha = A . I + B in windows of 80 pixels. No parameters; its constants are in no checkpoint."""

    left: Tensor
    left_bias: Tensor
    right: Tensor
    right_bias: Tensor
    products: Tensor
    ridge: Tensor
    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor
    spread: Tensor
    gather: Tensor
    sum: Tensor
    sums: Tensor
    tiny: Tensor
    colours: Tensor
    colour_means: Tensor
    alpha_mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Here even where parameters are made without values, to be loaded (`checkpoint.load_checkpoint`).
        with torch.device("cpu"):
            self._make_constants()

    def _make_constants(self) -> None:
        basis, centre, same = torch.tensor(_BASIS), torch.tensor(_CENTRE), len(_PAIRS)
        raw = torch.eye(4)

        # Moments: products of pairs, then red, green, blue and alpha themselves (times 1).
        firsts, seconds = (list(side) for side in zip(*_PAIRS, strict=True))
        self._matrix("left", torch.cat([basis[firsts], raw]), torch.cat([centre[firsts], torch.zeros(4)]))
        self._matrix(
            "right", torch.cat([basis[seconds], 0.0 * raw]), torch.cat([centre[seconds], torch.ones(4)])
        )

        # Covariances of colours i and j, three rows of three, then those of colour i with alpha.
        wanted = [(i, j) for i in range(3) for j in range(3)] + [(i, 3) for i in range(3)]
        products = torch.zeros(len(wanted), same + 4)
        for row, (i, j) in enumerate(wanted):
            products[row, _PAIRS.index((min(i, j), max(i, j)))] = 1.0
        self._matrix("products", products)
        self._constant("ridge", torch.tensor([_RIDGE[i] if i == j else 0.0 for i, j in wanted]))
        means = torch.cat([torch.zeros(4, same), basis], dim=1)
        firsts, seconds = (list(side) for side in zip(*wanted, strict=True))
        kept = torch.tensor([_SQUARES_KEPT if i == j else 1.0 for i, j in wanted])
        self._matrix("first", kept[:, None] * means[firsts], kept * centre[firsts])
        self._matrix("second", means[seconds], centre[seconds])

        three = torch.eye(3)
        self._matrix("spread", three.repeat(3, 1))
        self._matrix("gather", three.repeat_interleave(3, dim=1))
        self._matrix("sum", torch.ones(1, 3))
        self._matrix("sums", torch.ones(3, 3))
        self._constant("tiny", torch.full((3,), _TINY))
        self._matrix("colours", basis[:3, :3].T / basis[3, 3])
        select = torch.cat([torch.zeros(4, same), raw], dim=1)
        self._matrix("colour_means", select[:3])
        self._matrix("alpha_mean", select[3:])

    def _matrix(self, name: str, weight: Tensor, bias: Tensor | None = None) -> None:
        self._constant(name, weight[:, :, None, None].contiguous())
        if bias is not None:
            self._constant(f"{name}_bias", bias)

    def _constant(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def forward(self, alpha_lr: Tensor, image_lr: Tensor) -> tuple[Tensor, Tensor]:
        """Fit.

        Args:
            alpha_lr: (B,1,h*w) block means of a matte, [0,1].
            image_lr: (B,3,h,w) block means of the guidance, [0,1], h and w divisible by 8.

        Returns:
            A (B,3,h*w), bilinear between cells, and the fitted alpha A . I + B (B,1,h*w), not clamped.
        """
        moments = self._moments(from_planes(alpha_lr, image_lr.shape[2:]), image_lr)
        slope = F.conv2d(self._solution(moments), self.colours)
        along = F.conv2d(slope * F.conv2d(moments, self.colour_means), self.sum)
        offset = F.conv2d(moments, self.alpha_mean) - along
        grid = torch.cat([slope, offset], dim=1)
        slope, offset = torch.split(planes(upsample(grid, _PIXEL * _CELL)), [3, 1], dim=1)
        return slope, channel_sum(slope * planes(image_lr)) + offset

    def _moments(self, alpha_lr: Tensor, image_lr: Tensor) -> Tensor:
        """(B,13,h/4,w/4): means over windows of the pairs' products, of red, green, blue and of alpha."""
        both = torch.cat([F.avg_pool2d(image_lr, _PIXEL), F.avg_pool2d(alpha_lr, _PIXEL)], dim=1)
        left = F.conv2d(both, self.left, self.left_bias)
        grid = F.avg_pool2d(left * F.conv2d(both, self.right, self.right_bias), _CELL)
        reach = _WINDOW // 2
        return F.avg_pool2d(grid, _WINDOW, stride=1, padding=reach, count_include_pad=False)

    def _solution(self, moments: Tensor) -> Tensor:
        """(B,3,h/4,w/4): slope of alpha in the basis."""
        first = F.conv2d(moments, self.first, self.first_bias)
        second = F.conv2d(moments, self.second, self.second_bias)
        covariances = F.conv2d(moments, self.products, self.ridge) - first * second
        square, target = torch.split(covariances, [9, 3], dim=1)
        if not self.training:
            return self._conjugate_gradients(square, target)
        # The exact solution is linear in the target. The gradient of the steps, along unit vectors, has no bound, and
        # that of flat windows drowns all others.
        smooth = _solved(square, target, _TRAINING_RIDGE)
        with torch.no_grad():
            rest = self._conjugate_gradients(square, target) - smooth
        return smooth + rest

    def _conjugate_gradients(self, square: Tensor, target: Tensor) -> Tensor:
        """Two steps from 0 towards the solutions (B,3,h,w) of symmetric systems (B,9,h,w)."""
        direction = self._unit(target)
        image = self._applied(square, direction)
        curvature = self._curvature(direction, image)
        length = self._dot(direction, target) / curvature
        solution = length * direction

        residual = target - length * image
        # Conjugate to the first direction.
        direction = self._unit(residual - self._dot(residual, image) / curvature * direction)
        curvature = self._curvature(direction, self._applied(square, direction))
        return solution + self._dot(direction, residual) / curvature * direction

    def _applied(self, square: Tensor, x: Tensor) -> Tensor:
        """The symmetric matrices (B,9,h,w) times vectors (B,3,h,w)."""
        return F.conv2d(square * F.conv2d(x, self.spread), self.gather)

    def _curvature(self, direction: Tensor, image: Tensor) -> Tensor:
        return F.relu(self._dot(direction, image)) + _LEAST_CURVATURE

    def _dot(self, x: Tensor, y: Tensor, plus: Tensor | None = None) -> Tensor:
        """Products of vectors (B,3,h,w), in each of three channels."""
        return F.conv2d(x * y, self.sums, plus)

    def _unit(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(self._dot(x, x, self.tiny))


def _solved(square: Tensor, target: Tensor, ridge: float) -> Tensor:
    """Solutions (B,3,h,w) of the systems (B,9,h,w) + ridge for (B,3,h,w)."""
    batch, _, height, width = square.shape
    matrices = square.permute(0, 2, 3, 1).reshape(batch, height, width, 3, 3)
    matrices = matrices + ridge * torch.eye(3, dtype=square.dtype, device=square.device)
    solution: Tensor = torch.linalg.solve(matrices, target.permute(0, 2, 3, 1)[..., None])
    return solution[..., 0].permute(0, 3, 1, 2)
