"""Two runs of a `w8a8` artifact, compared in steps of the network's int8 outputs.

The heads end in int8 and are added in float: one step is the sum of their scales, the most that a correction changes
when each head changes by one code. A run's corrections follow from its coefficients alone. With m the mean of
a block of the guidance, its alpha is b = A . m + B and its slope A = 4 b (1 - b) (start + SLOPE_UNIT correction)
(`model.Generator.corrected`), and the start is the same float arithmetic in both runs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from igf_mobile import ranges
from igf_mobile.hourglass import SLOPE_UNIT
from igf_mobile.manifest import Manifest
from igf_mobile.ranges import Ranges, grid
from igf_mobile.two_colour import COEFFICIENT_STRIDE

FloatArray = NDArray[np.float32]

_HEADS = re.compile(r"head\.parts\.\d+:conv2d")
"""Their sites."""
_LEAST_GATE = 0.01
"""Below it a block is all foreground or background and its slope next to nothing; what it was made from is lost."""
_CHANGED = 0.05
"""Of a step; float arithmetic leaves 0.003 (measured)."""


@dataclass(frozen=True)
class Limit:
    """How far apart two runs may be."""

    steps: float = 1.01
    """One step; the hundredth is for float arithmetic."""
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
        """How far one step of a slope moves a pixel's alpha, where one channel has all the contrast there is."""
        return SLOPE_UNIT * self.step


@dataclass(frozen=True)
class Apart:
    """The difference of two runs."""

    steps: float
    """The largest of any correction of any block."""
    changed: float
    """Share of the blocks that are not the same code in all four corrections."""

    def failures(self, limit: Limit) -> list[str]:
        """A clause for each part of the limit that does not hold; NaN holds nothing."""
        found = []
        if not self.steps <= limit.steps:
            found.append(
                f"a correction is {self.steps:.2f} steps of the int8 heads off, {limit.steps:g} is allowed"
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
    differences = [
        _steps(a, b, guidance, heads.step)
        for a, b, guidance in zip(here, there, heads.guidances, strict=True)
    ]
    everything = np.stack(differences)
    return Apart(float(everything.max()), float((everything > _CHANGED).mean()))


def _steps(here: FloatArray, there: FloatArray, guidance: FloatArray, step: float) -> NDArray[np.float64]:
    """(h,w): the largest difference of a block's four corrections, in steps."""
    (alpha, gate, slope), (other_alpha, other_gate, other_slope) = (
        _parts(x, guidance) for x in (here, there)
    )
    least = np.minimum(gate, other_gate)
    slopes = (slope / gate.clip(_LEAST_GATE) - other_slope / other_gate.clip(_LEAST_GATE)) / SLOPE_UNIT
    slopes = np.where(least < _LEAST_GATE, 0.0, np.abs(slopes).max(axis=0))
    return np.asarray(np.maximum(np.abs(alpha - other_alpha), slopes) / step)


def _parts(
    coefficients: FloatArray, guidance: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Alpha (h,w), gate (h,w) and slope (3,h,w) of the blocks."""
    _, channels, height, width = guidance.shape
    side = COEFFICIENT_STRIDE
    rows = guidance[0].reshape(channels, height // side, side, width // side, side).astype(np.float64)
    slope, offset = coefficients[0, :3].astype(np.float64), coefficients[0, 3].astype(np.float64)
    alpha = offset + (slope * rows.mean(axis=(2, 4))).sum(axis=0)
    return alpha, 4.0 * alpha * (1.0 - alpha), slope
