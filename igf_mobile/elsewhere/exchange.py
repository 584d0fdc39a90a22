"""Tensors to and from a guest, a program in another machine or environment: one .npy each, as the artifact has them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from igf_mobile.backends.base import INPUTS, FloatArray, with_alpha

Pairs = Sequence[tuple[FloatArray, FloatArray]]


def write_inputs(folder: Path, samples: Pairs) -> None:
    """`guidance-<i>.npy` and `weak_mask-<i>.npy` of each sample, which is NCHW."""
    for index, sample in enumerate(samples):
        for name, values in zip(INPUTS, sample, strict=True):
            np.save(folder / f"{name}-{index}.npy", np.ascontiguousarray(values))


def read_outputs(folder: Path, samples: Pairs, names: Sequence[str]) -> Pairs:
    """(alpha, coefficients), NCHW, of each sample; alpha is applied here where the artifact has none.

    Args:
        folder: where the guest wrote `<name>-<i>.npy`.
        samples: what `write_inputs` gave it.
        names: of the artifact's outputs.
    """

    def read(name: str, index: int) -> FloatArray:
        stored: FloatArray = np.load(folder / f"{name}-{index}.npy")
        return stored

    return [
        with_alpha({name: read(name, index) for name in names}, guidance)
        for index, (guidance, _) in enumerate(samples)
    ]
