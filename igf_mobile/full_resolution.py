"""alpha = A * I + B at the photograph's own resolution, as fast as its pixels can be read.

The coefficients are 128 x 128; the photograph may have twelve megapixels. Each of its rows lies between two rows of
coefficients; between two coefficients across lies a segment, 30 pixels of a 4K frame. Bytes are computed in 16-bit
fixed point (`byte_rows.py`), floats in float32 (`float_rows.py`).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from igf_mobile.byte_rows import LANES, byte_rows
from igf_mobile.float_rows import FloatArray, Positions, float_rows

_LEAST_PIXELS = 1 << 18
"""For each thread: fewer take no longer than a thread to start."""
_PIECES = 4
"""Of the rows, for each thread: one that is held up leaves work to the others."""


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
    given = np.array(coefficients, np.float32, order="C")
    _share(
        lambda first, last: compute(given, pixels, rows, columns, first, last, alpha),
        height,
        min(threads, max(1, height * width // _LEAST_PIXELS)),
    )
    return alpha


@lru_cache(maxsize=2)
def _compiled(pixels: np.dtype[Any]) -> Any:
    """The function for rows of uint8 or float32, called once on another thread.

    Where numba compiles, it keeps the frame of the call and so, for good, what all callers hold; and LiteRT does not
    run while its output is held.
    """
    compute: Any = byte_rows if pixels == np.uint8 else float_rows
    one = _positions(1, 1)
    coefficients, guidance = np.zeros((1, 1, 4), np.float32), np.zeros((1, 3), pixels)
    alpha = np.empty((1, 1), pixels)
    _helpers().submit(compute, coefficients, guidance, one, one, 0, 1, alpha).result()
    return compute


def _share(compute: Callable[[int, int], None], rows: int, threads: int) -> None:
    """compute(first, last) for all rows, on this thread and on others."""
    pieces = min(_PIECES * threads, rows) if threads > 1 else 1
    left = [(piece * rows // pieces, (piece + 1) * rows // pieces) for piece in range(pieces)]

    def work() -> None:
        while left:
            try:
                piece = left.pop()
            except IndexError:  # another thread was faster
                return
            compute(*piece)

    others = [_helpers().submit(work) for _ in range(threads - 1)]
    work()
    for other in others:
        other.result()


@lru_cache(maxsize=1)
def _helpers() -> ThreadPoolExecutor:
    """Threads that sleep between frames.

    Those of a runtime spin while they wait for the next frame, and so do OpenMP's: with both on two processors, the
    90th percentile of a 4K frame was 7 ms and not 4.3. New threads for each frame take 0.13 ms of 0.96 (Zen 5).
    """
    return ThreadPoolExecutor(thread_name_prefix="igf_mobile")


# A child of a fork has none of them.
os.register_at_fork(after_in_child=_helpers.cache_clear)


@lru_cache(maxsize=16)
def _positions(small: int, large: int) -> Positions:
    centres = ((np.arange(large) + 0.5) * (small / large) - 0.5).clip(0.0, small - 1.0)
    before = centres.astype(np.int64)
    weight = centres - before
    fixed = np.zeros(large + LANES, np.int16)
    fixed[:large] = np.rint((weight - 0.5) * 65536.0).clip(-32768, 32767)
    starts = np.searchsorted(before, np.arange(small + 1)).astype(np.int64)
    return Positions(before, starts, np.asarray(weight, np.float32), fixed)
