"""4-bit weights for Core ML: each output channel's weights are numbers of a palette of 16 values, found by k-means.

A palette for each channel needs iOS 18. One for a whole convolution, which iOS 17 has, saves a few KB and loses the
matte: SAD of the artifact on the proof set was 1.13 of the float network's (checkpoint 0.3.0, measured).
"""

from typing import Any

NETWORK = "_hourglass_"
"""In the weights' names of the network's convolutions; the others are constant matrices (`matrix.py`)."""

KEPT = {"encode_8_parts_1": 1, "shortcut_16": 1, "head": 2}
"""Parts of the network that keep float16 weights, with so many convolutions each: a channel's palette takes 32 bytes,
which saves nothing below 22 weights."""

BITS = 4
TARGET = "iOS18"
"""The first system with palettes for channels."""


def is_kept(name: str) -> bool:
    """Whether a convolution's weights, by their name in the program, have no palette."""
    return NETWORK not in name or any(f"_{part}_" in name for part in KEPT)


def palettize(model: Any) -> Any:
    """The coremltools model with palettes in place of the network's weights, but for `KEPT`."""
    from coremltools.optimize.coreml import (
        OpPalettizerConfig,
        OptimizationConfig,
        get_weights_metadata,
        palettize_weights,
    )
    from threadpoolctl import threadpool_limits

    config = OpPalettizerConfig(
        mode="kmeans", nbits=BITS, weight_threshold=0, granularity="per_grouped_channel", group_size=1
    )
    # Constant matrices are exact as they are.
    left = [name for name in get_weights_metadata(model, weight_threshold=0) if is_kept(name)]
    settings = OptimizationConfig(op_type_configs={"conv": config}, op_name_configs=dict.fromkeys(left))
    # k-means adds up in another order on each number of threads, and the palettes with it.
    with threadpool_limits(1):
        return palettize_weights(model, settings)
