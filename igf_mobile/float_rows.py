"""Rows of alpha = A * I + B in float32, compiled."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Int16Array = NDArray[np.int16]
_Function = TypeVar("_Function", bound=Callable[..., object])

_CENTRE, _HIGH, _ROUNDING = np.float32(0.0), np.float32(1.0), np.float32(0.0)
"""Of float pixels, as `between` and `float_row` take them."""


def without_counting(fastmath: bool = False) -> Callable[[_Function], _Function]:
    """Compile a function that allocates nothing: numba then does not count who holds its arrays, 60 times a row."""
    options: dict[str, Any] = {"cache": True, "nogil": True, "fastmath": fastmath, "_nrt": False}
    compiled: Callable[[_Function], _Function] = numba.njit(**options)
    return compiled


class Positions(NamedTuple):
    """Where the pixels of one axis lie between coefficients, half-pixel centres."""

    before: NDArray[np.int64]
    """(n,) the coefficient before each pixel's centre."""
    starts: NDArray[np.int64]
    """(small + 1,) pixels starts[j] to starts[j + 1] lie between coefficients j and j + 1."""
    weight: FloatArray
    """(n,) of the coefficient after it, in [0,1)."""
    fixed: Int16Array
    """(n,) the same as `pixels_of_segment` takes it, and some more that no pixel belongs to."""


@numba.njit(cache=True, nogil=True)
def float_rows(
    coefficients: FloatArray,
    pixels: FloatArray,
    rows: Positions,
    columns: Positions,
    first: int,
    last: int,
    alpha: FloatArray,
) -> None:
    """Rows `first` to `last` of alpha (H,W), of coefficients (h,w,4) and pixels (H,3W)."""
    line = np.empty((4, coefficients.shape[1] + 1), np.float32)
    for y in range(first, last):
        j = rows.before[y]
        above, below = coefficients[j], coefficients[min(j + 1, len(coefficients) - 1)]
        between(above, below, rows.weight[y], _CENTRE, _HIGH, line)
        float_row(line, columns, pixels[y], _CENTRE, _HIGH, _ROUNDING, alpha[y])


@without_counting(fastmath=True)
def between(
    above: FloatArray,
    below: FloatArray,
    v: np.float32,
    centre: np.float32,
    high: np.float32,
    line: FloatArray,
) -> None:
    """The line of coefficients (4,w+1), the share v of the way from the row above (w,4) to the row below.

    Of alpha * high = A * (I - centre) + offset, for alpha in [0,high]; the last is there twice.
    """
    count = len(above)
    for channel in range(4):
        for i in range(count):
            line[channel, i] = above[i, channel] + v * (below[i, channel] - above[i, channel])
    for i in range(count):
        line[3, i] = high * line[3, i] + centre * (line[0, i] + line[1, i] + line[2, i])
    for channel in range(4):
        line[channel, count] = line[channel, count - 1]


@without_counting(fastmath=True)
def float_row(
    line: FloatArray,
    columns: Positions,
    pixels: NDArray[Any],
    centre: np.float32,
    high: np.float32,
    rounding: np.float32,
    alpha: NDArray[Any],
) -> None:
    """A row of alpha in [0,high] (W,), of the line that `between` made and pixels (3W,); `rounding` is added to it."""
    for j in range(line.shape[1] - 1):
        start, end = columns.starts[j], columns.starts[j + 1]
        red, green, blue, offset = line[0, j], line[1, j], line[2, j], line[3, j]
        d_red, d_green, d_blue = line[0, j + 1] - red, line[1, j + 1] - green, line[2, j + 1] - blue
        d_offset = line[3, j + 1] - offset
        # Views, because indices that start at 0 are known not to be negative; others keep LLVM from vectorising.
        u, colours, out = columns.weight[start:end], pixels[3 * start : 3 * end], alpha[start:end]
        for i in range(len(out)):
            value = offset + u[i] * d_offset
            value += (red + u[i] * d_red) * (np.float32(colours[3 * i]) - centre)
            value += (green + u[i] * d_green) * (np.float32(colours[3 * i + 1]) - centre)
            value += (blue + u[i] * d_blue) * (np.float32(colours[3 * i + 2]) - centre)
            out[i] = min(max(value, np.float32(0.0)), high) + rounding
