"""The order of measuring: sides take turns in short blocks, so that a noisy machine hits all alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from igf_mobile.errors import IgfError

_BLOCK_MS = 500.0
"""A side whose calls are slow makes fewer of them in a block, at least one."""


class SideFailed(IgfError):
    """A side cannot go on."""

    def __init__(self, reason: str, unavailable: bool) -> None:
        super().__init__(reason)
        self.unavailable = unavailable
        """This machine cannot run it; otherwise something is broken."""


@dataclass(frozen=True)
class Loaded:
    """What a side says of itself once it is loaded."""

    ran_on: str
    pixels: int
    load_ms: float
    first_ms: float


class Side(Protocol):
    """Something that can be timed."""

    def load(self) -> Loaded:
        """Load, call once and check the outputs. Raises SideFailed."""
        ...

    def time(self, calls: int) -> list[float]:
        """Milliseconds of each of `calls` calls in a row. Raises SideFailed."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...


@dataclass(frozen=True)
class Measured:
    """One side's samples, or why there are none."""

    loaded: Loaded | None
    samples_ms: tuple[float, ...]
    """In the order measured."""
    failure: SideFailed | None
    duration_s: float | None
    """From before the first turn to after the last, the others' turns included."""


def measure_in_turns(
    sides: Sequence[Side],
    warm_up: int,
    iterations: int,
    block: int,
    progress: Callable[[int, int], None],
    clock: Callable[[], float] = time.perf_counter,
    keep: Callable[[list[Measured]], None] = lambda so_far: None,
) -> list[Measured]:
    """Load every side, then let them take turns.

    Args:
        sides: not loaded yet.
        warm_up: calls of each before its first sample.
        iterations: samples of each; a side with calls slower than `_BLOCK_MS / block` gets fewer, one per block at
            least.
        block: calls in a row.
        progress: told (blocks done, blocks to do).
        clock: seconds, monotonic.
        keep: given what there is after each round but the last, should nothing come after it.
    """
    loaded: list[Loaded | None] = []
    failures: list[SideFailed | None] = [None] * len(sides)
    pace = [block] * len(sides)
    for index, side in enumerate(sides):
        try:
            loaded.append(side.load())
            warm = side.time(max(1, min(3, warm_up)))
            pace[index] = max(1, min(block, int(_BLOCK_MS / max(min(warm), 1e-3))))
            if pace[index] == block and warm_up > len(warm):
                side.time(warm_up - len(warm))
        except SideFailed as failure:
            failures[index] = failure
            if len(loaded) == index:
                loaded.append(None)
    blocks = -(-iterations // block)
    samples: list[list[float]] = [[] for _ in sides]
    start = clock()
    for number in range(blocks):
        progress(number, blocks)
        left = iterations - number * block
        # Turned around every second time: no side is always the one after the slowest.
        order = range(len(sides)) if number % 2 == 0 else reversed(range(len(sides)))
        for index in order:
            if failures[index] is not None:
                continue
            try:
                samples[index] += sides[index].time(min(pace[index], left))
            except SideFailed as failure:
                failures[index] = failure
        if number + 1 < blocks:
            keep(_measured(loaded, samples, failures, clock() - start))
    return _measured(loaded, samples, failures, clock() - start)


def _measured(
    loaded: Sequence[Loaded | None],
    samples: Sequence[Sequence[float]],
    failures: Sequence[SideFailed | None],
    duration_s: float,
) -> list[Measured]:
    return [
        Measured(has, tuple(found), None, duration_s) if failure is None else Measured(has, (), failure, None)
        for has, found, failure in zip(loaded, samples, failures, strict=True)
    ]
