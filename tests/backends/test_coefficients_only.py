"""Artifacts that end at A and B: no alpha in the file, and the same matte once they are applied."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from igf_mobile import backends
from igf_mobile.backends.base import FloatArray, with_alpha
from igf_mobile.model import Generator

Pairs = list[tuple[FloatArray, FloatArray]]
SIZE = (64, 64)


@pytest.mark.parametrize("name", ["coreml", "executorch", "litert"])
def test_the_matte_is_that_of_the_float_model(
    name: str, trained_like: Generator, photographs: Callable[..., Pairs], tmp_path: Path
) -> None:
    backend = backends.get(name)
    path = tmp_path / f"coefficients{backend.suffix}"
    artifact = backend.export(trained_like, "fp32", [], path, {}, SIZE, coefficients_only=True)
    assert [spec.name for spec in artifact.outputs] == ["coefficients"]
    assert not artifact.fallback
    guidance, mask = photographs(SIZE)[0]
    found = backend.load(path)(guidance, mask)
    with torch.no_grad():
        wanted = trained_like(torch.from_numpy(guidance), torch.from_numpy(mask))
    # Measured, the largest of the three: 6.3e-5 and 1.1e-4. A pixel shifted or red and blue swapped gives 0.1.
    for a, b, limit in zip(wanted, found, (2e-4, 3e-4), strict=True):
        assert b.shape == tuple(a.shape)
        assert np.abs(a.numpy() - b).max() <= limit
    assert np.ptp(found[0]) > 0.5


def test_alpha_is_taken_where_it_is_and_applied_where_it_is_not() -> None:
    guidance = np.linspace(0, 1, 3 * 8 * 8, dtype=np.float32).reshape(1, 3, 8, 8)
    coefficients = np.zeros((1, 4, 2, 2), np.float32)
    coefficients[0, 1], coefficients[0, 3] = 1.0, -0.25
    alpha = np.ones((1, 1, 8, 8), np.float32)
    assert with_alpha({"alpha": alpha, "coefficients": coefficients}, guidance)[0] is alpha
    applied, same = with_alpha({"coefficients": coefficients}, guidance)
    assert same is coefficients
    np.testing.assert_allclose(applied[0, 0], np.clip(guidance[0, 1] - 0.25, 0, 1), atol=1e-6)
