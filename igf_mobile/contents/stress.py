"""Inputs at the edges of what a network may be given: nothing of them may be NaN, infinite or outside [0, 1]."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def stress_pairs(size: tuple[int, int]) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Name -> (guidance (1,3,H,W), weak_mask (1,1,H,W)).

    An empty and a full mask leave one side without a colour; a picture of one colour leaves no contrast
    to divide by; a checkerboard has the most contrast there is, and none at a quarter of the resolution.
    """
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    board = ((rows + columns) % 2).astype(np.float32)[None, None]
    slope = np.broadcast_to(columns / max(width - 1, 1), size).astype(np.float32)[None, None]
    half = (columns >= width // 2).astype(np.float32)[None, None]

    def picture(plane: FloatArray) -> FloatArray:
        return np.repeat(plane, 3, axis=1)

    zeros, ones = np.zeros_like(half), np.ones_like(half)
    return {
        "black picture, half a mask": (picture(zeros), half),
        "white picture, half a mask": (picture(ones), half),
        "ramp, empty mask": (picture(slope), zeros),
        "ramp, full mask": (picture(slope), ones),
        "checkerboard, half a mask": (picture(board), half),
        "checkerboard as its own mask": (picture(board), board),
    }
