"""4-bit weights for Core ML: a convolution's weights are numbers of a palette of 16 values, found by k-means."""

from typing import Any

BITS = 4
GROUP_SIZE = 8
"""Output channels that share a palette; 0: all of a convolution."""
TARGET = "iOS18"
"""The first system with palettes for groups; one palette for all runs on iOS 17."""


def palettize(model: Any) -> Any:
    """The coremltools model with palettes in place of every convolution's weights."""
    from coremltools.optimize.coreml import OpPalettizerConfig, OptimizationConfig, palettize_weights

    groups = {"granularity": "per_grouped_channel", "group_size": GROUP_SIZE} if GROUP_SIZE else {}
    config = OpPalettizerConfig(mode="kmeans", nbits=BITS, weight_threshold=0, **groups)
    return palettize_weights(model, OptimizationConfig(op_type_configs={"conv": config}))
