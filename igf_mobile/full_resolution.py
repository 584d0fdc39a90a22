"""alpha = A * I + B at the photograph's own resolution, as fast as its pixels can be read.

The coefficients are 128 x 128; the photograph may have twelve megapixels. One pass over its pixels reads them and
writes alpha. Rows between the same two rows of coefficients, about 17 of a 4K frame, share those two, widened to the
photograph's columns: in tiles that stay in the first cache, four rows at once, so that each widened coefficient is read
once for all four. The inner loop is straight arithmetic on neighbours, which the compiler vectorises.
"""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

_MOST_THREADS: int = numba.get_num_threads()

_TILE = 512
"""Columns of a tile: eight rows of it in float32 are 16 KB."""
_PIECES = 4
"""Of the rows, for each thread: one that is held up leaves work to the others."""

# Where a tile's coefficients lie in its buffer: of the row above, then what the row below adds.
_GREEN, _BLUE, _OFFSET = _TILE, 2 * _TILE, 3 * _TILE
_D_RED, _D_GREEN, _D_BLUE, _D_OFFSET = 4 * _TILE, 5 * _TILE, 6 * _TILE, 7 * _TILE


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
    row_weight, rows = _positions(coefficients.shape[0], height)
    column_weight, columns = _positions(coefficients.shape[1], width)
    threads = min(threads or _MOST_THREADS, _MOST_THREADS)
    numba.set_num_threads(threads)
    high, rounding = (255.0, 0.5) if guidance.dtype == np.uint8 else (1.0, 0.0)
    _kernel(
        # B in units of the guidance, so that no pixel has to be scaled.
        np.ascontiguousarray(coefficients * np.array([1.0, 1.0, 1.0, high]), np.float32),
        np.ascontiguousarray(guidance).reshape(height, -1),
        rows,
        row_weight,
        columns,
        column_weight,
        np.float32(high),
        np.float32(rounding),
        min(_PIECES * threads, len(coefficients)),
        alpha,
    )
    return alpha


@lru_cache(maxsize=16)
def _positions(small: int, large: int) -> tuple[FloatArray, NDArray[np.int64]]:
    """For each of `large` pixels the weight of the coefficient after its centre; and for each coefficient, and one
    more, the first pixel after its centre."""
    centres = ((np.arange(large) + 0.5) * (small / large) - 0.5).clip(0.0, small - 1.0)
    before = centres.astype(np.int64)
    starts = np.searchsorted(before, np.arange(small + 1)).astype(np.int64)
    return np.asarray(centres - before, np.float32), starts


@numba.njit(parallel=True, fastmath=True, cache=True, nogil=True)
def _kernel(
    coefficients: FloatArray,
    guidance: NDArray[Any],
    rows: NDArray[np.int64],
    row_weight: FloatArray,
    columns: NDArray[np.int64],
    column_weight: FloatArray,
    high: np.float32,
    rounding: np.float32,
    pieces: int,
    alpha: NDArray[Any],
) -> None:
    """`rows[j]:rows[j + 1]` are the pixels between coefficients j and j + 1, `columns` alike."""
    h, width = len(coefficients), alpha.shape[1]
    for piece in numba.prange(pieces):
        first, last = piece * h // pieces, (piece + 1) * h // pieces
        above, below = np.empty((4, width), np.float32), np.empty((4, width), np.float32)
        tile = np.empty(8 * _TILE, np.float32)
        _widen(coefficients[first], columns, column_weight, below)
        for j in range(first, last):
            above, below = below, above
            _widen(coefficients[min(j + 1, h - 1)], columns, column_weight, below)
            for left in range(0, width, _TILE):
                right = min(left + _TILE, width)
                for channel in range(4):
                    first_row, second_row = above[channel, left:right], below[channel, left:right]
                    _load(first_row, second_row, tile[channel * _TILE :], tile[(channel + 4) * _TILE :])
                top, bottom = rows[j], rows[j + 1]
                for y in range(top, bottom - 3, 4):
                    _four_rows(
                        tile,
                        (row_weight[y], row_weight[y + 1], row_weight[y + 2], row_weight[y + 3]),
                        (
                            guidance[y, 3 * left : 3 * right],
                            guidance[y + 1, 3 * left : 3 * right],
                            guidance[y + 2, 3 * left : 3 * right],
                            guidance[y + 3, 3 * left : 3 * right],
                        ),
                        high,
                        rounding,
                        (
                            alpha[y, left:right],
                            alpha[y + 1, left:right],
                            alpha[y + 2, left:right],
                            alpha[y + 3, left:right],
                        ),
                    )
                for y in range(bottom - (bottom - top) % 4, bottom):
                    pixels, out = guidance[y, 3 * left : 3 * right], alpha[y, left:right]
                    _row(tile, row_weight[y], pixels, high, rounding, out)


# Indices that start at 0 are known not to be negative; others keep LLVM from vectorising.


@numba.njit(fastmath=True, cache=True, nogil=True)
def _widen(row: FloatArray, columns: NDArray[np.int64], weight: FloatArray, wide: FloatArray) -> None:
    """A row of coefficients (w,4) -> (4,W), bilinear across."""
    w = len(row)
    for channel in range(4):
        plane = wide[channel]
        for j in range(w):
            value = row[j, channel]
            step = row[min(j + 1, w - 1), channel] - value
            out, u = plane[columns[j] : columns[j + 1]], weight[columns[j] : columns[j + 1]]
            for i in range(len(out)):
                out[i] = value + u[i] * step


@numba.njit(fastmath=True, cache=True, nogil=True)
def _load(above: FloatArray, below: FloatArray, value: FloatArray, step: FloatArray) -> None:
    """A channel of two widened rows (n) into a tile's buffer: the one above, and what the one below adds."""
    for i in range(len(above)):
        value[i] = above[i]
        step[i] = below[i] - above[i]


@numba.njit(inline="always")
def _alpha(tile: FloatArray, i: int, v: np.float32, pixels: NDArray[Any], high: np.float32) -> Any:
    """A * I + B of the i-th pixel of a tile's row, the share v of the way down between its rows of coefficients."""
    value = tile[_OFFSET + i] + v * tile[_D_OFFSET + i]
    value += (tile[i] + v * tile[_D_RED + i]) * np.float32(pixels[3 * i])
    value += (tile[_GREEN + i] + v * tile[_D_GREEN + i]) * np.float32(pixels[3 * i + 1])
    value += (tile[_BLUE + i] + v * tile[_D_BLUE + i]) * np.float32(pixels[3 * i + 2])
    return min(max(value, np.float32(0.0)), high)


@numba.njit(fastmath=True, cache=True, nogil=True)
def _row(
    tile: FloatArray,
    v: np.float32,
    pixels: NDArray[Any],
    high: np.float32,
    rounding: np.float32,
    out: NDArray[Any],
) -> None:
    """A row of pixels (3n)."""
    for i in range(len(out)):
        out[i] = _alpha(tile, i, v, pixels, high) + rounding


@numba.njit(fastmath=True, cache=True, nogil=True)
def _four_rows(
    tile: FloatArray, v: Any, pixels: Any, high: np.float32, rounding: np.float32, out: Any
) -> None:
    """Four rows of pixels at once: tuples of four."""
    v0, v1, v2, v3 = v
    pixels0, pixels1, pixels2, pixels3 = pixels
    out0, out1, out2, out3 = out
    for i in range(len(out0)):
        out0[i] = _alpha(tile, i, v0, pixels0, high) + rounding
        out1[i] = _alpha(tile, i, v1, pixels1, high) + rounding
        out2[i] = _alpha(tile, i, v2, pixels2, high) + rounding
        out3[i] = _alpha(tile, i, v3, pixels3, high) + rounding
