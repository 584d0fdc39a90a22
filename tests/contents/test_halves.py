"""float16's ends: a value past 65504 and a divisor that becomes 0 are named, wherever they are computed."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from igf_mobile.contents.halves import LARGEST, HalfRange, check_halves, measure, summary
from igf_mobile.contents.stress import stress_pairs
from igf_mobile.graph import fold_batch_norms
from igf_mobile.model import Generator

SIZE = (64, 64)


def sentences(model: Callable[[Tensor, Tensor], Any]) -> list[str]:
    return check_halves(measure(model, stress_pairs(SIZE).values()))


def test_the_network_fits(trained_like: Generator, photographs: Callable[..., Any]) -> None:
    pairs = [*photographs(SIZE), *stress_pairs(SIZE).values()]
    ranges = measure(fold_batch_norms(trained_like), pairs)
    assert check_halves(ranges) == []
    assert len(ranges) > 100
    names = {r.name.split(":")[0].split(".")[0] for r in ranges}
    assert {"colour_regression", "refit", "hourglass"} <= names
    assert any(r.divisor is not None for r in ranges)
    assert all(math.isfinite(r.largest) for r in ranges)
    assert "times below its end" in summary(ranges)


def overflows(guidance: Tensor, mask: Tensor) -> Tensor:
    return (guidance * 300.0).square().sum()  # 90,000 a pixel


def divides(guidance: Tensor, mask: Tensor) -> Tensor:
    return guidance / (mask + 1e-9)


def roots(guidance: Tensor, mask: Tensor) -> Tensor:
    return torch.rsqrt(mask * guidance[:, :1] + 1e-8)


def logarithm(guidance: Tensor, mask: Tensor) -> Tensor:
    return guidance.log()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (overflows, "pow: reaches 9e+04, float16 ends at 65504"),
        (divides, "div: 1e-09, a divisor or a constant, is below 6e-08 and becomes 0"),
        (divides, "add: 1e-09, a divisor or a constant, is below 6e-08 and becomes 0"),
        (roots, "rsqrt: 1e-08, a divisor or a constant, is below 6e-08 and becomes 0"),
        (logarithm, "log: reaches inf, float16 ends at 65504"),
    ],
)
def test_a_mutant_is_named(model: Callable[..., Any], said: str) -> None:
    assert any(s.startswith("float16: ") and s.endswith(said) for s in sentences(model)), sentences(model)


def test_a_nan_is_past_the_end_and_stays() -> None:
    def wrong(guidance: Tensor, mask: Tensor) -> Tensor:
        return (guidance - 0.5).sqrt()

    (found,) = [s for s in sentences(wrong) if "sqrt" in s]
    assert "reaches nan" in found


def test_an_eps_that_is_large_enough_passes() -> None:
    assert sentences(lambda guidance, mask: guidance / (mask + 1e-4)) == []


def test_headroom() -> None:
    assert HalfRange("x", LARGEST).headroom == 1.0
    assert HalfRange("x", 0.0).headroom == math.inf
    assert check_halves([HalfRange("x", float(np.nextafter(LARGEST, np.inf)))]) != []
