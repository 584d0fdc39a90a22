"""alpha = A * I + B at the photograph's own resolution, as fast as its pixels can be read.

The coefficients are 128 x 128; the photograph may have twelve megapixels. One pass over its pixels
reads them and writes alpha: nothing is upsampled into memory. Between two neighbouring coefficients the
bilinear weights are linear in x, so the inner loop is straight arithmetic, which the compiler vectorises.
"""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_MOST_THREADS: int = numba.get_num_threads()


def apply_coefficients(
    coefficients: FloatArray, guidance: NDArray[Any], threads: int | None = None
) -> NDArray[Any]:
    """alpha in [0,1]: bilinear coefficients, half-pixel centres, as `model.apply_coefficients`.

    Args:
        coefficients: (h,w,4), A for red, green, blue, then B.
        guidance: (H,W,3), float32 in [0,1] or uint8 in 0..255, any size.
        threads: None for as many as the processor has.

    Returns:
        (H,W) of the guidance's type: float32 in [0,1], or uint8 rounded to 0..255.

    Raises:
        ValueError: other shapes or types.
    """
    if coefficients.ndim != 3 or coefficients.shape[2] != 4 or min(coefficients.shape) < 1:
        raise ValueError(f"coefficients have shape {coefficients.shape}, not (h, w, 4)")
    if guidance.ndim != 3 or guidance.shape[2] != 3:
        raise ValueError(f"guidance has shape {guidance.shape}, not (H, W, 3)")
    if guidance.dtype not in (np.float32, np.uint8):
        raise ValueError(f"guidance is {guidance.dtype}, not float32 or uint8")
    height, width = guidance.shape[:2]
    alpha = np.empty((height, width), guidance.dtype)
    above, row_weight, _ = _positions(coefficients.shape[0], height)
    _, column_weight, starts = _positions(coefficients.shape[1], width)
    numba.set_num_threads(min(threads or _MOST_THREADS, _MOST_THREADS))
    high, rounding = (255.0, 0.5) if guidance.dtype == np.uint8 else (1.0, 0.0)
    _kernel(
        # B in units of the guidance, so that no pixel has to be scaled.
        np.ascontiguousarray(coefficients * np.array([1.0, 1.0, 1.0, high]), np.float32),
        np.ascontiguousarray(guidance).reshape(height, -1),
        above,
        row_weight,
        starts,
        column_weight,
        np.float32(high),
        np.float32(rounding),
        alpha,
    )
    return alpha


@lru_cache(maxsize=16)
def _positions(small: int, large: int) -> tuple[NDArray[np.int64], FloatArray, NDArray[np.int64]]:
    """For each of `large` pixels the coefficient before its centre and the weight of the one after; and for
    each coefficient, and one more, the first pixel after its centre."""
    centres = ((np.arange(large) + 0.5) * (small / large) - 0.5).clip(0.0, small - 1.0)
    before = centres.astype(np.int64)
    starts = np.searchsorted(before, np.arange(small + 1)).astype(np.int64)
    return before, np.asarray(centres - before, np.float32), starts


@numba.njit(parallel=True, fastmath=True, cache=True, nogil=True)
def _kernel(
    coefficients: FloatArray,
    guidance: NDArray[Any],
    above: NDArray[np.int64],
    row_weight: FloatArray,
    starts: NDArray[np.int64],
    column_weight: FloatArray,
    high: np.float32,
    rounding: np.float32,
    alpha: NDArray[Any],
) -> None:
    """`starts[j]:starts[j + 1]` are the pixels between coefficients j and j + 1."""
    h, w = coefficients.shape[:2]
    zero = np.float32(0.0)
    for y in numba.prange(alpha.shape[0]):
        top = above[y]
        low = min(top + 1, h - 1)
        v = row_weight[y]
        row, pixels = coefficients[top], guidance[y]
        row = row + v * (coefficients[low] - row)
        for j in range(w):
            k = min(j + 1, w - 1)
            red, green, blue, offset = row[j, 0], row[j, 1], row[j, 2], row[j, 3]
            d_red, d_green, d_blue = row[k, 0] - red, row[k, 1] - green, row[k, 2] - blue
            d_offset = row[k, 3] - offset
            # Indices that start at 0 are known not to be negative; others keep LLVM from vectorising.
            first, last = starts[j], starts[j + 1]
            weight, piece, out = column_weight[first:last], pixels[3 * first : 3 * last], alpha[y, first:last]
            for i in range(len(out)):
                u = weight[i]
                value = offset + u * d_offset
                value += (red + u * d_red) * np.float32(piece[3 * i])
                value += (green + u * d_green) * np.float32(piece[3 * i + 1])
                value += (blue + u * d_blue) * np.float32(piece[3 * i + 2])
                out[i] = min(max(value, zero), high) + rounding
