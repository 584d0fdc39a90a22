"""Rows of alpha = A * I + B from and to bytes, in 16-bit fixed point, compiled.

Rows whose coefficients are too steep for 16 bits are computed in float32.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from igf_mobile.fixed_point import CENTRE, TRUNCATION, pixels_of_segment
from igf_mobile.float_rows import FloatArray, Int16Array, Positions, between, float_row, without_counting

LANES, _FEW_LANES = 32, 16
"""Pixels at once, and where no more than half of them are left of a segment."""
_LARGEST = 32690.0
"""Of a 16-bit number, with room for what rounding adds: half a step, 64 with the most bits, and 5."""
_FEWEST_BITS, _MOST_BITS = 3, 7
"""After the point of alpha in 0..255. Seven errors of half a unit and less stay below 0.6 of a step with three bits."""
_CENTRE, _HIGH, _ROUNDING = np.float32(CENTRE), np.float32(255.0), np.float32(0.5)
"""Of bytes, as `float_rows.between` and `float_row` take them."""


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
    before, bits = -1, 0
    for y in range(first, last):
        j = rows.before[y]
        above, below = coefficients[j], coefficients[min(j + 1, len(coefficients) - 1)]
        if j != before:
            before, bits = j, min(_bits(above), _bits(below))
            _scale(above, bits, scaled[0])
            _scale(below, bits, scaled[1])
        if bits < _FEWEST_BITS:
            between(above, below, rows.weight[y], _CENTRE, _HIGH, line)
            float_row(line, columns, pixels[y], _CENTRE, _HIGH, _ROUNDING, alpha[y])
        else:
            _fix(scaled[0].reshape(-1), scaled[1].reshape(-1), rows.weight[y], fixed)
            _fixed_row(fixed, columns, pixels[y], bits, spare, alpha[y])


@without_counting(fastmath=True)
def _offset(coefficients: FloatArray) -> np.float32:
    """Of 255 alpha = A * (I - CENTRE) + offset, I in 0..255, for one block's coefficients (4,)."""
    red, green, blue, offset = coefficients
    scaled: np.float32 = _HIGH * offset + _CENTRE * (red + green + blue)
    return scaled


@without_counting(fastmath=True)
def _bits(row: FloatArray) -> int:
    """After the point, for everything that is computed of a row of coefficients (w,4) to fit 16 bits."""
    most = np.float32(1.0)
    for i in range(len(row)):
        here, after = row[i], row[min(i + 1, len(row) - 1)]
        reach = abs(_offset(here))
        for channel in range(3):
            most = max(most, np.float32(256.0) * max(abs(here[channel]), abs(after[channel] - here[channel])))
            reach += _CENTRE * abs(here[channel])
        most = max(most, reach, abs(_offset(after) - _offset(here)))
    return min(int(np.floor(np.log2(_LARGEST / most))), _MOST_BITS)


@without_counting(fastmath=True)
def _scale(row: FloatArray, bits: int, scaled: FloatArray) -> None:
    """A row of coefficients (w,4) -> (w,8), as `pixels_of_segment` takes them, but for what `_fix` cuts off."""
    step = np.float32(1 << bits)
    for i in range(len(row)):
        here, after = row[i], row[min(i + 1, len(row) - 1)]
        for channel in range(4):
            # To the nearest, and what the products cut off: its own of a slope; of alpha its own, three colours' and,
            # for it is rounded, half a step.
            if channel < 3:
                unit = np.float32(256.0) * step
                first, second, more = (
                    unit * here[channel],
                    unit * after[channel],
                    np.float32(0.5 + TRUNCATION),
                )
            else:
                first, second = step * _offset(here), step * _offset(after)
                more = np.float32(0.5 + 4.0 * TRUNCATION) + np.float32(0.5) * step
            scaled[i, channel] = np.float32(0.5) * (first + second) + more
            scaled[i, channel + 4] = second - first + np.float32(0.5)


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
