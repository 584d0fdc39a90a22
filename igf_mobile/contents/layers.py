"""A convolution as an artifact's file has it, whatever the format."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Grid:
    """The int8 numbers of a tensor: value = scale * (code - zero_point), code in [low, high]."""

    scale: float
    zero_point: int
    low: int = -128
    high: int = 127

    @property
    def minimum(self) -> float:
        """The least value it has."""
        return self.scale * (self.low - self.zero_point)

    @property
    def maximum(self) -> float:
        """The greatest value it has."""
        return self.scale * (self.high - self.zero_point)

    @property
    def symmetric(self) -> bool:
        """Whether zero is in the middle."""
        return abs(self.low + self.high - 2 * self.zero_point) <= 1

    def rounded(self, values: Array) -> Array:
        """`values` as the grid gives them back."""
        codes = np.clip(np.rint(values / self.scale) + self.zero_point, self.low, self.high)
        return np.asarray(self.scale * (codes - self.zero_point))


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution."""

    label: str
    """Where in the file, for messages."""
    weights: Array
    """(O,I/groups,kh,kw), as the runtime will read them: scales and zero points applied."""
    number: str
    """How they are stored, as in `schemes`: float32, float16, int8 or palette4."""
    source: Grid | None = None
    """Of the input, where that is static int8."""
    result: Grid | None = None
    """Of the output, where that is static int8."""
    bias_step: float | None = None
    """Largest relative difference of the bias's scales from input scale times weight scale."""


def bias_step(
    bias_scale: npt.NDArray[np.floating], source: Grid, weight_scale: npt.NDArray[np.floating]
) -> float:
    """How far an int32 bias is from the products that it is added to, as a share; see `Layer.bias_step`."""
    expected = source.scale * np.asarray(weight_scale, np.float64)
    return float(np.abs(np.asarray(bias_scale, np.float64) / expected - 1.0).max())
