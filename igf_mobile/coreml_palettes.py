"""4-bit weights for Core ML: a convolution's weights are numbers of a palette of 16 values, found by k-means.

One palette for each convolution, which iOS 17 has. Palettes for groups of its channels need iOS 18 and did
not pay: SAD on the proof set was 1.021 of the float network's with one, and 1.011, 1.000, 1.020, 1.034 and
1.014 with groups of 16, 8, 4, 2 and 1 (checkpoint 0.2.0, the same k-means in PyTorch), which is no trend.
"""

from typing import Any

BITS = 4


def palettize(model: Any) -> Any:
    """The coremltools model with palettes in place of every convolution's weights."""
    from coremltools.optimize.coreml import OpPalettizerConfig, OptimizationConfig, palettize_weights

    config = OpPalettizerConfig(mode="kmeans", nbits=BITS, weight_threshold=0)
    return palettize_weights(model, OptimizationConfig(op_type_configs={"conv": config}))
