"""Percentiles by hand, and which calls a latency is made of; the clock is a fake."""

import math
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from igf_mobile.latency import measure, percentile, time_calls


@pytest.mark.parametrize(
    ("samples", "percent", "wanted"),
    [
        ([15, 20, 35, 40, 50], 5, 15),
        ([15, 20, 35, 40, 50], 30, 20),
        ([15, 20, 35, 40, 50], 40, 20),
        ([15, 20, 35, 40, 50], 50, 35),
        ([15, 20, 35, 40, 50], 100, 50),
        ([3, 1, 2, 4], 50, 2),
        ([7], 0.001, 7),
        ([7], 99, 7),
        (list(range(1, 101)), 90, 90),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 101)), 99.1, 100),
    ],
)
def test_nearest_rank_by_hand(samples: list[float], percent: float, wanted: float) -> None:
    assert percentile(samples, percent) == wanted


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0.01, 100.0))
def test_nearest_rank_by_its_definition(samples: list[float], percent: float) -> None:
    found = percentile(samples, percent)
    enough = [v for v in samples if sum(s <= v for s in samples) >= percent / 100.0 * len(samples)]
    assert found == min(enough)


@pytest.mark.parametrize(
    ("samples", "percent", "message"),
    [
        ([], 50, "no samples"),
        ([1.0], 0, r"percent 0 is not in \(0, 100\]"),
        ([1.0], 100.5, "percent 100.5"),
        ([1.0], math.nan, "percent nan"),
        ([1.0, math.nan, 2.0], 50, "NaN"),
    ],
)
def test_percentile_refuses(samples: list[float], percent: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        percentile(samples, percent)


class _Clock:
    """Seconds that pass only where the fake work says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def work(self, durations_ms: Iterator[float]) -> Callable[[], None]:
        def call() -> None:
            self.now += next(durations_ms) / 1e3

        return call


def test_time_calls_in_milliseconds() -> None:
    clock = _Clock()
    assert time_calls(clock.work(iter([1.0, 250.0])), 2, clock) == pytest.approx([1.0, 250.0])


def test_first_call_and_warm_up_are_no_part_of_the_steady_times() -> None:
    clock = _Clock()
    steady = [float(ms) for ms in range(1, 11)]
    durations = iter([500.0, 90.0, 80.0, *steady])

    def load() -> Callable[[], None]:
        clock.now += 2.0
        return clock.work(durations)

    found = measure(load, warm_up=2, iterations=10, threads=3, clock=clock)
    assert found.load_ms == pytest.approx(2000.0)
    assert found.first_ms == pytest.approx(500.0)
    assert found.median_ms == pytest.approx(5.0)
    assert found.p90_ms == pytest.approx(9.0)
    assert found.p99_ms == pytest.approx(10.0)
    assert found.minimum_ms == pytest.approx(1.0)
    assert (found.warm_up, found.iterations, found.threads) == (2, 10, 3)
    assert next(durations, None) is None  # every call was made, none twice
