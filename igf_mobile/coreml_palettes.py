"""4-bit weights for Core ML: each group of channels of a convolution has a palette of 16 values.

coremltools finds the values by k-means. What the choices cost and weigh is in `GROUP_SIZE`.
"""

from typing import Any

BITS = 4
GROUP_SIZE = 8


def palettize(model: Any) -> Any:
    """The coremltools model with palettes in place of every convolution's weights."""
    from coremltools.optimize.coreml import OpPalettizerConfig, OptimizationConfig, palettize_weights

    config = OpPalettizerConfig(
        mode="kmeans", nbits=BITS, granularity="per_grouped_channel", group_size=GROUP_SIZE, weight_threshold=0
    )
    return palettize_weights(model, OptimizationConfig(op_type_configs={"conv": config}))
