"""How a frame's time grows with its size, and a batch's with its frames."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.bench.process import Worker
from igf_mobile.bench.rounds import measure_in_turns
from igf_mobile.bench.sides import Spec
from igf_mobile.latency import percentile
from igf_mobile.manifest import load_manifest

SIDES_PX = (256, 512, 1024, 2048)
BATCHES = (1, 2, 4, 8)
_BATCHED_PX = 512
_WARM_UP, _ITERATIONS, _BLOCK = 2, 10, 2
_SUPERLINEAR = 1.3
"""Time per pixel that grows by more than this from one size to the next is called superlinear; a picture that leaves
the caches costs some."""


@dataclass(frozen=True)
class Point:
    """One side at one size."""

    name: str
    side_px: int
    batch: int
    """Frames of a call."""
    median_ms: float | None
    ran_on: str
    """Or "not run: reason"."""
    growth: float | None
    """Time per pixel over that of the next fewer pixels; 1 is linear."""

    @property
    def pixels(self) -> int:
        """Of a call."""
        return self.batch * self.side_px**2

    @property
    def superlinear(self) -> bool:
        """Whether it grew faster than its pixels."""
        return self.growth is not None and self.growth > _SUPERLINEAR


def measure_scaling(
    base: Spec, builds: Sequence[Path], log: Path, tell: Callable[[str], None]
) -> list[Point]:
    """In turns: eager torch by size and by batch, LiteRT fp32 of each build (`igf export --size`)."""
    eager = dataclasses.replace(base, kind="torch", what="eager")
    named = [("torch eager", dataclasses.replace(eager, size=(side, side))) for side in SIDES_PX]
    batched = dataclasses.replace(eager, size=(_BATCHED_PX, _BATCHED_PX))
    named += [("torch eager, batches", dataclasses.replace(batched, batch=batch)) for batch in BATCHES]
    for build in builds:
        height, width = load_manifest(build).size
        changes = {"kind": "artifact", "what": "litert-fp32", "size": (height, width), "build": str(build)}
        named.append(("litert-fp32", dataclasses.replace(base, **changes)))  # type: ignore[arg-type]
    specs = [spec for _, spec in named]
    sides = [Worker(spec, log) for spec in specs]
    tell(f"loading {len(sides)} sides")
    try:
        found = measure_in_turns(sides, _WARM_UP, _ITERATIONS, _BLOCK, lambda done, of: None)
    finally:
        for side in sides:
            side.close()
    times = [percentile(result.samples_ms, 50) if result.samples_ms else None for result in found]
    ran_on = [
        f"not run: {result.failure}"
        if result.failure
        else result.loaded.ran_on
        if result.loaded
        else "not run"
        for result in found
    ]
    return points([(name, spec.size[0], spec.batch) for name, spec in named], times, ran_on)


def points(
    sides: Sequence[tuple[str, int, int]], medians_ms: Sequence[float | None], ran_on: Sequence[str]
) -> list[Point]:
    """(name, side in px, batch) and medians -> points by name and pixels, each with its growth over the one below."""
    found: list[Point] = []
    for (name, side, batch), median, where in sorted(
        zip(sides, medians_ms, ran_on, strict=True), key=lambda row: row[0]
    ):
        point = Point(name, side, batch, median, where, None)
        below = next((p for p in reversed(found) if p.name == name and p.median_ms), None)
        if below is not None and below.median_ms is not None and median is not None:
            growth = (median / point.pixels) / (below.median_ms / below.pixels)
            point = dataclasses.replace(point, growth=growth)
        found.append(point)
    return found
