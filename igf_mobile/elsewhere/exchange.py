"""Tensors to and from a guest, a program in another machine or environment: one .npy each, in the artifact's layout."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from igf_mobile.backends.base import INPUTS, FloatArray, channels_first, channels_last, with_alpha

Pairs = Sequence[tuple[FloatArray, FloatArray]]


def write_inputs(folder: Path, samples: Pairs, layout: str) -> None:
    """`guidance-<i>.npy` and `weak_mask-<i>.npy` of each sample, which is NCHW."""
    for index, sample in enumerate(samples):
        for name, values in zip(INPUTS, sample, strict=True):
            stored = channels_last(values) if layout == "NHWC" else np.ascontiguousarray(values)
            np.save(folder / f"{name}-{index}.npy", stored)


def read_outputs(folder: Path, samples: Pairs, layout: str, names: Sequence[str]) -> Pairs:
    """(alpha, coefficients), NCHW, of each sample; alpha is applied here where the artifact has none.

    Args:
        folder: where the guest wrote `<name>-<i>.npy`.
        samples: what `write_inputs` gave it.
        layout: of the artifact's tensors.
        names: of the artifact's outputs.
    """

    def read(name: str, index: int) -> FloatArray:
        stored: FloatArray = np.load(folder / f"{name}-{index}.npy")
        return channels_first(stored) if layout == "NHWC" else stored

    return [
        with_alpha({name: read(name, index) for name in names}, guidance)
        for index, (guidance, _) in enumerate(samples)
    ]
