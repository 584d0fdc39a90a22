"""Rows of alpha = A * I + B from and to bytes, in 16-bit fixed point, compiled.

Rows whose coefficients are too steep for 16 bits are computed in float32.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from igf_mobile.fixed_point import CENTRE, TRUNCATION, pixels_of_segment
from igf_mobile.float_rows import FloatArray, Int16Array, Positions, between, float_row, without_counting

COMPILED_IN = "b332ce639263"
"""Of the sha256 of `fixed_point.py` and `float_rows.py`, which are compiled into what is here: numba keeps that until
this file changes, so this changes with them (a test says to what)."""

LANES, _FEW_LANES = 32, 16
"""Pixels at once, and where no more than half of them are left of a segment."""
_LARGEST = 32690.0
"""Of a 16-bit number, with room for what rounding adds: half a step, 64 with the most bits, and 5."""
_FEWEST_BITS, _MOST_BITS = 3, 7
"""After the point of alpha in 0..255. Seven errors of half a unit and less stay below 0.6 of a step with three bits."""
_CENTRE, _HIGH, _ROUNDING = np.float32(CENTRE), np.float32(255.0), np.float32(0.5)
"""Of bytes, as `float_rows.between` and `float_row` take them."""
_SLOPE = np.float32(256.0)
"""What `pixels_of_segment` wants a slope times."""


@numba.njit(cache=True, nogil=True)
def byte_rows(
    coefficients: FloatArray,
    pixels: NDArray[np.uint8],
    rows: Positions,
    columns: Positions,
    first: int,
    last: int,
    alpha: NDArray[np.uint8],
) -> None:
    """As `float_rows`."""
    width = coefficients.shape[1]
    line, scaled = np.empty((4, width + 1), np.float32), np.empty((2, width, 8), np.float32)
    fixed, spare = np.empty(8 * width, np.int16), np.empty(4 * LANES, np.uint8)
    _byte_rows_in(line, scaled, fixed, spare, coefficients, pixels, rows, columns, first, last, alpha)


@without_counting()
def _byte_rows_in(
    line: FloatArray,
    scaled: FloatArray,
    fixed: Int16Array,
    spare: NDArray[np.uint8],
    coefficients: FloatArray,
    pixels: NDArray[np.uint8],
    rows: Positions,
    columns: Positions,
    first: int,
    last: int,
    alpha: NDArray[np.uint8],
) -> None:
    """As `byte_rows`, in memory that is given."""
    before, bits, bits_below = -1, 0, 0
    for y in range(first, last):
        j = rows.before[y]
        above, below = coefficients[j], coefficients[min(j + 1, len(coefficients) - 1)]
        if j != before:
            bits_above = bits_below if before >= 0 and j == before + 1 else _bits(above)
            bits_below = _bits(below)
            before, bits = j, min(bits_above, bits_below)
            if bits >= _FEWEST_BITS:
                _scale(above, bits, scaled[0])
                _scale(below, bits, scaled[1])
        if bits < _FEWEST_BITS:
            between(above, below, rows.weight[y], _CENTRE, _HIGH, line)
            float_row(line, columns, pixels[y], _CENTRE, _HIGH, _ROUNDING, alpha[y])
        else:
            _fix(scaled[0].reshape(-1), scaled[1].reshape(-1), rows.weight[y], fixed)
            _fixed_row(fixed, columns, pixels[y], bits, spare, alpha[y])


@without_counting(fastmath=True)
def _offset(row: FloatArray, i: int) -> np.float32:
    """Of 255 alpha = A * (I - CENTRE) + offset, I in 0..255, for one of a row of coefficients (w,4)."""
    offset: np.float32 = _HIGH * row[i, 3] + _CENTRE * (row[i, 0] + row[i, 1] + row[i, 2])
    return offset


@without_counting(fastmath=True)
def _bits(row: FloatArray) -> int:
    """After the point, for everything that is computed of a row of coefficients (w,4) to fit 16 bits."""
    most = np.float32(1.0)
    for i in range(len(row)):
        red, green, blue = abs(row[i, 0]), abs(row[i, 1]), abs(row[i, 2])
        reach = abs(_offset(row, i)) + _CENTRE * (red + green + blue)
        most = max(most, reach, _SLOPE * max(red, green, blue))
    for i in range(len(row) - 1):
        most = max(most, abs(_offset(row, i + 1) - _offset(row, i)))
        for channel in range(3):
            most = max(most, _SLOPE * abs(row[i + 1, channel] - row[i, channel]))
    return min(int(np.floor(np.log2(_LARGEST / most))), _MOST_BITS)


@without_counting(fastmath=True)
def _scale(row: FloatArray, bits: int, scaled: FloatArray) -> None:
    """A row of coefficients (w,4) -> (w,8), as `pixels_of_segment` takes them, but for what `_fix` cuts off."""
    # To the nearest, and what the products cut off: its own of a slope; of alpha its own, three colours' and, for it is
    # rounded, half a step.
    step, nearest = np.float32(1 << bits), np.float32(0.5)
    of_slope, of_alpha = (
        nearest + np.float32(TRUNCATION),
        nearest + np.float32(4.0 * TRUNCATION) + nearest * step,
    )
    for i in range(len(row)):
        after = min(i + 1, len(row) - 1)
        for channel in range(3):
            first, second = step * _SLOPE * row[i, channel], step * _SLOPE * row[after, channel]
            scaled[i, channel] = nearest * (first + second) + of_slope
            scaled[i, channel + 4] = second - first + nearest
        first, second = step * _offset(row, i), step * _offset(row, after)
        scaled[i, 3] = nearest * (first + second) + of_alpha
        scaled[i, 7] = second - first + nearest


@without_counting(fastmath=True)
def _fix(above: FloatArray, below: FloatArray, v: np.float32, fixed: Int16Array) -> None:
    """What lies the share v of the way from one row to the next, `_scale`d and flat, as 16-bit numbers."""
    for i in range(len(fixed)):
        fixed[i] = np.int16(np.floor(above[i] + v * (below[i] - above[i])))


@without_counting()
def _fixed_row(
    line: Int16Array,
    columns: Positions,
    pixels: NDArray[np.uint8],
    bits: int,
    spare: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
) -> None:
    """Segments from left to right: what one writes too much, the next writes again.

    At the end of the row there is no next; what is left of it goes through `spare`, (4 LANES,): pixels, then alpha.
    """
    width, weight, shift = len(alpha), columns.fixed, np.int16(bits)
    for j in range(len(columns.starts) - 1):
        i, end = columns.starts[j], columns.starts[j + 1]
        # Nearly all segments of a 4K frame; in the loop below they take 4 % longer.
        if _FEW_LANES < end - i <= LANES <= width - i:
            pixels_of_segment(LANES, line, j, weight, pixels, i, shift, alpha, i)
            continue
        while i < end:
            if i + LANES > width:
                for k in range(3 * (end - i)):
                    spare[k] = pixels[3 * i + k]
                pixels_of_segment(LANES, line, j, weight[i:], spare, 0, shift, spare, 3 * LANES)
                for k in range(end - i):
                    alpha[i + k] = spare[3 * LANES + k]
                i = end
            elif end - i > _FEW_LANES:
                pixels_of_segment(LANES, line, j, weight, pixels, i, shift, alpha, i)
                i += LANES
            else:
                pixels_of_segment(_FEW_LANES, line, j, weight, pixels, i, shift, alpha, i)
                i += _FEW_LANES
