"""The fast guided filter straight from its definition: float64, one pixel and one window at a time.

Written from He, Sun and Tang 2013 (equations 14 to 16) and He and Sun 2015, sharing no code with the
package, so that both would have to make the same mistake.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def area_weights(side: int, side_lr: int) -> Array:
    """(side_lr, side): the share of each pixel in each block of side / side_lr pixels."""
    block = side / side_lr
    weights = np.zeros((side_lr, side))
    for i in range(side_lr):
        for j in range(side):
            overlap = min((i + 1) * block, j + 1) - max(i * block, j)
            weights[i, j] = max(0.0, overlap) / block
    return weights


def bilinear_weights(side_lr: int, side: int) -> Array:
    """(side, side_lr): pixel centres at half a pixel, the edge repeated outside."""
    weights = np.zeros((side, side_lr))
    for i in range(side):
        position = (i + 0.5) * side_lr / side - 0.5
        left = int(np.floor(position))
        for j, weight in ((left, left + 1 - position), (left + 1, position - left)):
            weights[i, min(max(j, 0), side_lr - 1)] += weight
    return weights


def window(image: Array, row: int, column: int, radius: int) -> Array:
    """The pixels of `image` at most `radius` away from (row, column), inside the image."""
    top, left = max(0, row - radius), max(0, column - radius)
    return image[top : row + radius + 1, left : column + radius + 1]


def window_means(image: Array, radius: int) -> Array:
    means = np.zeros_like(image)
    for row, column in np.ndindex(image.shape[:2]):
        means[row, column] = window(image, row, column, radius).mean(axis=(0, 1))
    return means


def fit(image: Array, target: Array, radius: int, eps: float) -> tuple[Array, Array]:
    """Ridge regression of target on colour in the window around every pixel (equations 14, 15)."""
    a, b = np.zeros((*target.shape, 3)), np.zeros(target.shape)
    for row, column in np.ndindex(target.shape):
        colours = window(image, row, column, radius).reshape(-1, 3)
        values = window(target, row, column, radius).reshape(-1)
        centred = colours - colours.mean(axis=0)
        variance = centred.T @ centred / len(values)
        covariance = centred.T @ (values - values.mean()) / len(values)
        a[row, column] = np.linalg.solve(variance + eps * np.eye(3), covariance)
        b[row, column] = values.mean() - a[row, column] @ colours.mean(axis=0)
    return a, b


def coefficients(
    guidance: Array, mask: Array, radius: int, eps: float, subsample: int
) -> tuple[Array, Array]:
    height, width = mask.shape
    rows = area_weights(height, max(1, round(height / subsample)))
    columns = area_weights(width, max(1, round(width / subsample)))
    image = np.einsum("ih,hwc,jw->ijc", rows, guidance.astype(np.float64), columns)
    target = np.einsum("ih,hw,jw->ij", rows, mask.astype(np.float64), columns)
    radius_lr = max(1, int(np.floor(radius / subsample + 0.5)))
    a, b = fit(image, target, radius_lr, eps)
    return window_means(a, radius_lr), window_means(b, radius_lr)


def fast_guided_filter(guidance: Array, mask: Array, radius: int, eps: float, subsample: int) -> Array:
    a, b = coefficients(guidance, mask, radius, eps, subsample)
    rows = bilinear_weights(b.shape[0], mask.shape[0])
    columns = bilinear_weights(b.shape[1], mask.shape[1])
    a_hr = np.einsum("hi,ijc,wj->hwc", rows, a, columns)
    b_hr = np.einsum("hi,ij,wj->hw", rows, b, columns)
    alpha = np.sum(a_hr * guidance, axis=-1) + b_hr
    return np.asarray(np.clip(alpha, 0.0, 1.0))
