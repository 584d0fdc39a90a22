"""Differences are seen and noise is not; the noise has the memory that a phone's has."""

import math

import numpy as np
import pytest

from igf_mobile.compare import compare, verdict
from igf_mobile.latency import percentile


def noisy(seed: int, middle_ms: float, count: int = 400, memory: float = 0.7) -> list[float]:
    """A first-order autoregressive series around `middle_ms`, 5 % wide."""
    random = np.random.default_rng(seed)
    value, samples = 0.0, []
    for _ in range(count):
        value = memory * value + math.sqrt(1 - memory**2) * random.standard_normal()
        samples.append(middle_ms * math.exp(0.05 * value))
    return samples


def false_alarms(block: int | None) -> float:
    pairs = 60
    found = [compare(noisy(2 * i, 10), noisy(2 * i + 1, 10), block=block).verdict for i in range(pairs)]
    return sum(word != "no difference" for word in found) / pairs


def test_the_same_phone_twice_is_no_difference() -> None:
    """95 % intervals should be wrong in 5 %; drawing single samples, as if they were independent, is not."""
    assert false_alarms(None) <= 0.15
    assert false_alarms(1) >= 0.25


def test_differences_are_seen() -> None:
    found = compare(noisy(1, 11), noisy(2, 10))
    assert found.verdict == "worse" and found.low < 1.1 < found.high
    found = compare(noisy(1, 10), noisy(2, 11))
    assert found.verdict == "better" and found.low < 1 / 1.1 < found.high


def test_the_ratio_is_of_the_nearest_rank_percentiles() -> None:
    new, old = noisy(1, 30, 37), noisy(2, 10, 58)
    for percent in (50, 90, 99):
        assert compare(new, old, percent).ratio == percentile(new, percent) / percentile(old, percent)


def test_the_same_seed_gives_the_same_interval() -> None:
    new, old = noisy(1, 10), noisy(2, 10)
    assert compare(new, old) == compare(new, old)
    assert compare(new, old) != compare(new, old, seed=1)


def test_a_margin_hides_what_is_small() -> None:
    new, old = noisy(1, 10.3, 4000), noisy(2, 10, 4000)
    assert compare(new, old).verdict == "worse"
    assert compare(new, old, margin=0.05).verdict == "no difference"


@pytest.mark.parametrize(
    ("low", "high", "margin", "word"),
    [
        (0.9, 1.1, 0, "no difference"),
        (1.0, 1.1, 0, "no difference"),
        (1.001, 1.1, 0, "worse"),
        (0.8, 0.999, 0, "better"),
        (1.02, 1.1, 0.03, "no difference"),
        (1.031, 1.1, 0.03, "worse"),
        (0.9, 0.98, 0.03, "no difference"),
        (0.9, 0.97, 0.03, "better"),
    ],
)
def test_verdicts(low: float, high: float, margin: float, word: str) -> None:
    assert verdict(low, high, margin) == word


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([1.0] * 19, "19 samples are too few to compare; 20 are needed"),
        ([1.0] * 30 + [0.0], "positive and finite"),
        ([1.0] * 30 + [math.nan], "positive and finite"),
    ],
)
def test_what_cannot_be_compared(samples: list[float], message: str) -> None:
    for pair in ((samples, [1.0] * 30), ([1.0] * 30, samples)):
        with pytest.raises(ValueError, match=message):
            compare(*pair)


def test_printed() -> None:
    assert str(compare([2.0] * 20, [1.0] * 20)) == "2.00 [2.00, 2.00]"
