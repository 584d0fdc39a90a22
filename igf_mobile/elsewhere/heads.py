"""Two runs of a `w8a8` artifact, compared in steps of the network's int8 outputs.

The heads end in int8 and are added in float: one step is the sum of their scales, the most that a correction changes
when each head changes by one code. All that follows is the same float arithmetic in both runs, so codes that differ
show in the alpha of their block, A . m + B with m the mean of the guidance, or in the length of A, which the gain's
correction decides (`model.RefitCorrection`). Coefficients are upsampled from the drawn blocks; those are found first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from igf_mobile import ranges
from igf_mobile.manifest import Manifest
from igf_mobile.model import STEEPNESS
from igf_mobile.primitives import COEFFICIENT_STRIDE, DRAWN_STRIDE
from igf_mobile.ranges import Ranges, grid

FloatArray = NDArray[np.float32]

_HEADS = re.compile(r"head\.parts\.\d+:conv2d")
"""Their sites."""
_CHANGED = 0.1
"""Of a step; float arithmetic leaves less."""

_LEAST_SLOPE = 0.5
"""Of an A whose length is compared: that of a smaller one is next to nothing, and its float arithmetic shows."""


@dataclass(frozen=True)
class Limit:
    """How far apart two runs may be."""

    steps: float = STEEPNESS + 0.01
    """What one step of the first correction, which is steepened, does; the hundredth is for float arithmetic."""
    changed: float = 1e-3
    """Share of the blocks. Measured: 5.3e-5 over the 8 proof samples, in one of them 4.3e-4; with ranges that put means
    of 8-bit pixels half-way between two codes it was 0.1."""


@dataclass(frozen=True)
class Heads:
    """What both runs saw, and how coarse the heads are."""

    step: float
    guidances: Sequence[FloatArray]
    """(1,3,H,W) each."""

    @property
    def alpha(self) -> float:
        """How far a step of all corrections together moves a pixel's alpha where image and fit span [0,1]."""
        return (3.0 * STEEPNESS + 1.0) * self.step


@dataclass(frozen=True)
class Apart:
    """The difference of two runs."""

    steps: float
    """The largest of any block's alpha, or of its slope's gain."""
    changed: float
    """Share of the blocks that differ by more than float arithmetic does."""

    def failures(self, limit: Limit) -> list[str]:
        """A clause for each part of the limit that does not hold; NaN holds nothing."""
        found = []
        if not self.steps <= limit.steps:
            found.append(
                f"a block is {self.steps:.2f} steps of the int8 heads off, {limit.steps:g} is allowed"
            )
        if not self.changed <= limit.changed:
            found.append(f"{self.changed:.2%} of the blocks have another code, {limit.changed:.2%} may")
        return found


def head_step(ranges: Ranges) -> float:
    """One step of the corrections: the sum of the heads' int8 scales."""
    return sum(grid(*limits)[0] for site, limits in ranges.table.items() if _HEADS.fullmatch(site))


def of_build(manifest: Manifest, folder: Path, guidances: Sequence[FloatArray]) -> Heads | None:
    """Of a build; None where it has no table of ranges.

    Raises:
        DamagedFile: the table cannot be read.
    """
    if manifest.ranges is None:
        return None
    return Heads(head_step(ranges.load(folder / manifest.ranges.file.file)), guidances)


def apart(here: Sequence[FloatArray], there: Sequence[FloatArray], heads: Heads) -> Apart:
    """Compare coefficients (1,4,h,w) of two runs, one of each for a guidance.

    Raises:
        ValueError: the counts differ.
    """
    pairs = zip(here, there, heads.guidances, strict=True)
    steps = np.stack([_differences(a, b, guidance) / heads.step for a, b, guidance in pairs])
    return Apart(float(steps.max()), float((steps > _CHANGED).mean()))


def _differences(first: FloatArray, second: FloatArray, guidance: FloatArray) -> NDArray[np.float64]:
    """(h/2,w/2): of the drawn blocks' alpha, or of the slope's length as a share of it."""
    here, there = _drawn(first), _drawn(second)
    alpha = np.abs(_alpha(here, guidance) - _alpha(there, guidance))
    slope, other = here[0, :3], there[0, :3]
    length = np.maximum(np.abs(slope).max(axis=0), _LEAST_SLOPE)
    return np.asarray(np.maximum(alpha, np.abs(slope - other).max(axis=0) / length))


def _drawn(coefficients: FloatArray) -> NDArray[np.float64]:
    """What (1,4,h,w) was upsampled from, (1,4,h/2,w/2)."""
    rows, columns = (_back(side) for side in coefficients.shape[2:])
    return np.asarray(rows @ coefficients.astype(np.float64) @ columns.T)


@lru_cache(maxsize=8)
def _back(side: int) -> NDArray[np.float64]:
    """(side/2,side): the pseudoinverse of bilinear upsampling along one axis."""
    blocks = torch.eye(side * COEFFICIENT_STRIDE // DRAWN_STRIDE, dtype=torch.float64)[None]
    upsampled = torch.nn.functional.interpolate(blocks, size=side, mode="linear", align_corners=False)
    return np.asarray(np.linalg.pinv(upsampled[0].T.numpy()))


def _alpha(coefficients: NDArray[np.float64], guidance: FloatArray) -> NDArray[np.float64]:
    """(h,w): alpha of the blocks, A . m + B."""
    _, channels, height, width = guidance.shape
    side = DRAWN_STRIDE
    rows = guidance[0].reshape(channels, height // side, side, width // side, side).astype(np.float64)
    alpha = coefficients[0, 3] + (coefficients[0, :3] * rows.mean(axis=(2, 4))).sum(axis=0)
    return np.asarray(alpha, np.float64)
