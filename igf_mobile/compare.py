"""Is one latency better than another, or is it noise? Ratios of percentiles with bootstrap intervals.

Consecutive samples of a device are not independent: clocks step, heat drifts. So whole blocks of samples are drawn,
not single ones. What varies between two runs and not inside one (another governor state, another room) is in no
sample; `margin` is for that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

LEAST_SAMPLES = 20
"""Below, the interval of a median is no interval."""
RESAMPLES = 500
LEVEL = 0.95

FloatArray = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "no difference"]


@dataclass(frozen=True)
class Ratio:
    """New over old: below 1 is faster."""

    ratio: float
    low: float
    high: float
    """Bounds of the 95 % interval."""
    verdict: Verdict

    def __str__(self) -> str:
        return f"{self.ratio:.2f} [{self.low:.2f}, {self.high:.2f}]"


def compare(
    new: Sequence[float],
    old: Sequence[float],
    percent: float = 50,
    margin: float = 0.0,
    block: int | None = None,
    seed: int = 0,
) -> Ratio:
    """Ratio of a nearest-rank percentile of `new` to that of `old`.

    Args:
        new: samples in the order measured; positive.
        old: the same of what it is compared with.
        percent: which percentile, in (0, 100]; 50 is the median.
        margin: how far past 1 the interval must lie to be a difference; 0.03 calls 2 % no difference.
        block: samples that are drawn together; the square root of the count by default.
        seed: of the draws; the same samples and seed give the same interval.

    Raises:
        ValueError: fewer than 20 samples, or one that is not positive and finite.
    """
    sides = [np.asarray(samples, np.float64) for samples in (new, old)]
    for side in sides:
        if side.size < LEAST_SAMPLES:
            raise ValueError(f"{side.size} samples are too few to compare; {LEAST_SAMPLES} are needed")
        if not (np.isfinite(side).all() and (side > 0).all()):
            raise ValueError("samples to compare must be positive and finite")
    random = np.random.default_rng(seed)
    drawn = [_resampled(side, percent, block or round(math.sqrt(side.size)), random) for side in sides]
    low, high = np.quantile(drawn[0] / drawn[1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    ratio = _percentile(sides[0], percent) / _percentile(sides[1], percent)
    return Ratio(float(ratio), float(low), float(high), verdict(float(low), float(high), margin))


def verdict(low: float, high: float, margin: float = 0.0) -> Verdict:
    """An interval that reaches 1, give or take `margin`, is no difference."""
    if low > 1.0 + margin:
        return "worse"
    if high < 1.0 / (1.0 + margin):
        return "better"
    return "no difference"


def _resampled(samples: FloatArray, percent: float, block: int, random: np.random.Generator) -> FloatArray:
    """The percentile of each of `RESAMPLES` series made of blocks of `samples`, which close to a ring."""
    blocks = math.ceil(samples.size / block)
    offsets = np.arange(block)
    found = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        starts = random.integers(0, samples.size, blocks)
        places = (starts[:, None] + offsets).ravel()[: samples.size] % samples.size
        found[index] = _percentile(samples[places], percent)
    return found


def _percentile(samples: FloatArray, percent: float) -> float:
    """Nearest rank, as `latency.percentile`."""
    rank = math.ceil(percent / 100.0 * samples.size) - 1
    return float(np.partition(samples, rank)[rank])
