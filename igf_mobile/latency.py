"""Timing: one definition of a percentile, and what every latency number here is made of."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Steady latency of one call, in milliseconds."""

    median_ms: float
    p90_ms: float
    p99_ms: float
    minimum_ms: float
    first_ms: float
    """The first call after loading; not part of the others."""
    load_ms: float
    warm_up: int
    iterations: int
    threads: int


def percentile(samples: Sequence[float], percent: float) -> float:
    """Nearest rank: the smallest sample that at least `percent` of all samples do not exceed.

    Raises:
        ValueError: no samples, a NaN, or `percent` outside (0, 100].
    """
    if not samples:
        raise ValueError("percentile of no samples")
    if not 0.0 < percent <= 100.0:
        raise ValueError(f"percent {percent} is not in (0, 100]")
    if any(math.isnan(sample) for sample in samples):
        raise ValueError("percentile of samples with NaN")
    return sorted(samples)[math.ceil(percent / 100.0 * len(samples)) - 1]


def time_calls(
    call: Callable[[], object], iterations: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Milliseconds of each of `iterations` calls."""
    samples = []
    for _ in range(iterations):
        start = clock()
        call()
        samples.append((clock() - start) * 1e3)
    return samples


def measure(
    load: Callable[[], Callable[[], object]],
    warm_up: int = 10,
    iterations: int = 50,
    threads: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Load, call once, warm up, then time steady calls.

    Args:
        load: gives the function to time; the time it takes is `load_ms`.
        warm_up: calls before the timed ones.
        iterations: timed calls.
        threads: recorded, not set.
        clock: seconds, monotonic; injected by tests.
    """
    start = clock()
    call = load()
    load_ms = (clock() - start) * 1e3
    (first_ms,) = time_calls(call, 1, clock)
    time_calls(call, warm_up, clock)
    samples = time_calls(call, iterations, clock)
    return Latency(
        median_ms=percentile(samples, 50),
        p90_ms=percentile(samples, 90),
        p99_ms=percentile(samples, 99),
        minimum_ms=min(samples),
        first_ms=first_ms,
        load_ms=load_ms,
        warm_up=warm_up,
        iterations=iterations,
        threads=threads,
    )
