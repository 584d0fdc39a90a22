"""alpha = A * I + B at the photograph's own resolution, as fast as its pixels can be read.

The coefficients are 128 x 128; the photograph may have twelve megapixels. Each of its rows lies between two rows of
coefficients, which become one line of them; between two coefficients of a line lies a segment, 30 pixels of a 4K frame.
Bytes are computed in 16-bit fixed point (`fixed_point.py`), floats in float32, and so are bytes in rows whose
coefficients are too steep for 16 bits.
"""

from collections.abc import Callable
from functools import lru_cache
from threading import Thread
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from igf_mobile.fixed_point import CENTRE, TRUNCATION, pixels_of_segment

FloatArray = NDArray[np.float32]
Int16Array = NDArray[np.int16]

_LEAST_PIXELS = 1 << 18
"""For each thread: fewer take no longer than a thread to start."""
_PIECES = 4
"""Of the rows, for each thread: one that is held up leaves work to the others."""

_LANES, _FEW_LANES = 32, 16
"""Pixels at once, and where no more than half of them are left of a segment."""
_LARGEST = 32690.0
"""Of a 16-bit number, with room for what rounding adds: half a step, 64 with the most bits, and 5."""
_FEWEST_BITS, _MOST_BITS = 3, 7
"""After the point of alpha in 0..255. Seven errors of half a unit and less stay below 0.6 of a step with three bits."""

_OF_FLOATS = (np.float32(0.0), np.float32(1.0), np.float32(0.0))
"""What is subtracted from a pixel, the highest alpha, and what is added to it before it is cut off."""
_OF_BYTES = (np.float32(CENTRE), np.float32(255.0), np.float32(0.5))


class _Positions(NamedTuple):
    """Where the pixels of one axis lie between coefficients, half-pixel centres."""

    before: NDArray[np.int64]
    """(n,) the coefficient before each pixel's centre."""
    starts: NDArray[np.int64]
    """(small + 1,) pixels starts[j] to starts[j + 1] lie between coefficients j and j + 1."""
    weight: FloatArray
    """(n,) of the coefficient after it, in [0,1)."""
    fixed: Int16Array
    """(n,) the same as `pixels_of_segment` takes it, and some more that no pixel belongs to."""


def apply_coefficients(
    coefficients: FloatArray, guidance: NDArray[Any], threads: int | None = None
) -> NDArray[Any]:
    """alpha in [0,1]: bilinear coefficients, half-pixel centres, as `model.apply_coefficients`.

    Args:
        coefficients: (h,w,4), A for red, green, blue, then B.
        guidance: (H,W,3), float32 in [0,1] or uint8 in 0..255, any size.
        threads: at most so many; None for as many as the processor has.

    Returns:
        (H,W) of the guidance's type: float32 in [0,1], or uint8 in 0..255, at most one step from the nearest.

    Raises:
        ValueError: other shapes or types, coefficients that are not finite, less than one thread.
    """
    if coefficients.ndim != 3 or coefficients.shape[2] != 4 or min(coefficients.shape) < 1:
        raise ValueError(f"coefficients have shape {coefficients.shape}, not (h, w, 4)")
    if guidance.ndim != 3 or guidance.shape[2] != 3:
        raise ValueError(f"guidance has shape {guidance.shape}, not (H, W, 3)")
    if guidance.dtype not in (np.float32, np.uint8):
        raise ValueError(f"guidance is {guidance.dtype}, not float32 or uint8")
    if not np.isfinite(coefficients).all():
        raise ValueError(f"{np.sum(~np.isfinite(coefficients))} coefficients are not finite")
    threads = numba.config.NUMBA_NUM_THREADS if threads is None else threads  # type: ignore[attr-defined]
    if threads < 1:
        raise ValueError(f"threads is {threads}, not at least 1")
    height, width = guidance.shape[:2]
    alpha = np.empty((height, width), guidance.dtype)
    rows, columns = _positions(coefficients.shape[0], height), _positions(coefficients.shape[1], width)
    pixels = np.ascontiguousarray(guidance).reshape(height, -1)
    compute = _compiled(guidance.dtype)
    planes = _planes(coefficients, 255.0, CENTRE) if guidance.dtype == np.uint8 else _planes(coefficients)
    _share(
        lambda first, last: compute(planes, pixels, rows, columns, first, last, alpha),
        height,
        min(threads, max(1, height * width // _LEAST_PIXELS)),
    )
    return alpha


@lru_cache(maxsize=2)
def _compiled(pixels: np.dtype[Any]) -> Any:
    """The function for rows of uint8 or float32, called once on a thread of its own.

    Where numba compiles, it keeps the frame of the call and so, for good, what all callers hold; and LiteRT does not
    run while its output is held.
    """
    compute: Any = _byte_rows if pixels == np.uint8 else _float_rows
    one = _positions(1, 1)
    planes, guidance, alpha = (
        np.zeros((1, 4, 2), np.float32),
        np.zeros((1, 3), pixels),
        np.empty((1, 1), pixels),
    )
    first_call = Thread(target=compute, args=(planes, guidance, one, one, 0, 1, alpha))
    first_call.start()
    first_call.join()
    return compute


def _share(compute: Callable[[int, int], None], rows: int, threads: int) -> None:
    """compute(first, last) for all rows, on this thread and on others that end with it.

    A runtime's threads spin while they wait for the next frame, and so do OpenMP's. With both on two processors, a 4K
    frame's 90th percentile was 7 ms, with threads that end 4.3; the medians are the same, 3.3 to 3.8.
    """
    pieces = min(_PIECES * threads, rows) if threads > 1 else 1
    left = [(piece * rows // pieces, (piece + 1) * rows // pieces) for piece in range(pieces)]

    def work() -> None:
        while left:
            try:
                piece = left.pop()
            except IndexError:  # another thread was faster
                return
            compute(*piece)

    others = [Thread(target=work) for _ in range(threads - 1)]
    for other in others:
        other.start()
    work()
    for other in others:
        other.join()


def _planes(coefficients: FloatArray, high: float = 1.0, centre: float = 0.0) -> FloatArray:
    """(h,w,4) -> (h,4,w+1), those of alpha * high = A * (I - centre) + offset; the last column is there twice."""
    h, w, _ = coefficients.shape
    planes = np.empty((h, 4, w + 1), np.float32)
    planes[..., :w] = coefficients.transpose(0, 2, 1)
    planes[..., w] = planes[..., w - 1]
    planes[:, 3] *= high
    planes[:, 3] += centre * planes[:, :3].sum(1)
    return planes


@lru_cache(maxsize=16)
def _positions(small: int, large: int) -> _Positions:
    centres = ((np.arange(large) + 0.5) * (small / large) - 0.5).clip(0.0, small - 1.0)
    before = centres.astype(np.int64)
    weight = centres - before
    fixed = np.zeros(large + _LANES, np.int16)
    fixed[:large] = np.rint((weight - 0.5) * 65536.0).clip(-32768, 32767)
    starts = np.searchsorted(before, np.arange(small + 1)).astype(np.int64)
    return _Positions(before, starts, np.asarray(weight, np.float32), fixed)


@numba.njit(cache=True, nogil=True)
def _float_rows(
    planes: FloatArray,
    pixels: FloatArray,
    rows: _Positions,
    columns: _Positions,
    first: int,
    last: int,
    alpha: FloatArray,
) -> None:
    line = np.empty(planes.shape[1:], np.float32)
    for y in range(first, last):
        j = rows.before[y]
        _between(planes[j], planes[min(j + 1, len(planes) - 1)], rows.weight[y], line)
        _float_row(line, columns, pixels[y], *_OF_FLOATS, alpha[y])


@numba.njit(cache=True, nogil=True)
def _byte_rows(
    planes: FloatArray,
    pixels: NDArray[np.uint8],
    rows: _Positions,
    columns: _Positions,
    first: int,
    last: int,
    alpha: NDArray[np.uint8],
) -> None:
    line = np.empty(planes.shape[1:], np.float32)
    fixed = np.empty((8, planes.shape[2] - 1), np.int16)
    spare = np.empty(4 * _LANES, np.uint8)
    before, bits = -1, 0
    for y in range(first, last):
        j = rows.before[y]
        above, below = planes[j], planes[min(j + 1, len(planes) - 1)]
        if j != before:
            before, bits = j, min(_bits(above), _bits(below))
        _between(above, below, rows.weight[y], line)
        if bits < _FEWEST_BITS:
            _float_row(line, columns, pixels[y], *_OF_BYTES, alpha[y])
        else:
            _fix(line, bits, fixed)
            _fixed_row(fixed, columns, pixels[y], bits, spare, alpha[y])


@numba.njit(fastmath=True, cache=True, nogil=True)
def _between(above: FloatArray, below: FloatArray, v: np.float32, line: FloatArray) -> None:
    """The line of coefficients (4,w+1), the share v of the way from the row above to the row below."""
    for channel in range(4):
        first, second, out = above[channel], below[channel], line[channel]
        for i in range(len(out)):
            out[i] = first[i] + v * (second[i] - first[i])


@numba.njit(fastmath=True, cache=True, nogil=True)
def _float_row(
    line: FloatArray,
    columns: _Positions,
    pixels: NDArray[Any],
    centre: np.float32,
    high: np.float32,
    rounding: np.float32,
    alpha: NDArray[Any],
) -> None:
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


@numba.njit(fastmath=True, cache=True, nogil=True)
def _bits(row: FloatArray) -> int:
    """After the point, for everything that is computed of a row of coefficients (4,w+1) to fit 16 bits."""
    red, green, blue, offset = row
    most = np.float32(1.0)
    for slope in (red, green, blue):
        for i in range(len(slope) - 1):
            most = max(most, np.float32(256.0) * max(abs(slope[i]), abs(slope[i + 1] - slope[i])))
    for i in range(len(offset) - 1):
        reach = abs(offset[i]) + np.float32(CENTRE) * (abs(red[i]) + abs(green[i]) + abs(blue[i]))
        most = max(most, reach, abs(offset[i + 1] - offset[i]))
    return min(int(np.floor(np.log2(_LARGEST / most))), _MOST_BITS)


@numba.njit(fastmath=True, cache=True, nogil=True)
def _fix(line: FloatArray, bits: int, fixed: Int16Array) -> None:
    """A line of coefficients (4,w+1) -> (8,w), as `pixels_of_segment` takes them."""
    step = np.float32(1 << bits)
    for channel in range(4):
        # To the nearest, and what the products cut off: its own of a slope; of alpha its own, three colours' and,
        # for it is rounded, half a step.
        unit, more = step * np.float32(256.0), np.float32(0.5 + TRUNCATION)
        if channel == 3:
            unit, more = step, np.float32(0.5 + 4.0 * TRUNCATION) + np.float32(0.5) * step
        values, middle, growth = line[channel], fixed[channel], fixed[channel + 4]
        for i in range(len(middle)):
            first, second = unit * values[i], unit * values[i + 1]
            middle[i] = np.int16(np.floor(np.float32(0.5) * (first + second) + more))
            growth[i] = np.int16(np.floor(second - first + np.float32(0.5)))


@numba.njit(cache=True, nogil=True)
def _fixed_row(
    line: Int16Array,
    columns: _Positions,
    pixels: NDArray[np.uint8],
    bits: int,
    spare: NDArray[np.uint8],
    alpha: NDArray[np.uint8],
) -> None:
    """Segments from left to right: what one writes too much, the next writes again.

    At the end of the row there is no next; what is left of it goes through `spare`, (4 _LANES,): pixels, then alpha.
    """
    width, weight, shift = len(alpha), columns.fixed, np.int16(bits)
    for j in range(line.shape[1]):
        i, end = columns.starts[j], columns.starts[j + 1]
        while i < end:
            if i + _LANES > width:
                spare[: 3 * (end - i)] = pixels[3 * i : 3 * end]
                pixels_of_segment(_LANES, line, j, weight[i:], spare, 0, shift, spare, 3 * _LANES)
                alpha[i:end] = spare[3 * _LANES : 3 * _LANES + end - i]
                i = end
            elif end - i > _FEW_LANES:
                pixels_of_segment(_LANES, line, j, weight, pixels, i, shift, alpha, i)
                i += _LANES
            else:
                pixels_of_segment(_FEW_LANES, line, j, weight, pixels, i, shift, alpha, i)
                i += _FEW_LANES
