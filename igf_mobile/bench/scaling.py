"""How a frame's time grows with its size, and what exporting took."""

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
_WARM_UP, _ITERATIONS, _BLOCK = 2, 10, 2
_SUPERLINEAR = 1.3
"""Time per pixel that grows by more than this from one size to the next is called superlinear; a picture that leaves
the caches costs some."""


@dataclass(frozen=True)
class Point:
    """One side at one size."""

    name: str
    side_px: int
    median_ms: float | None
    ran_on: str
    """Or "not run: reason"."""
    growth: float | None
    """Time per pixel over that of the next smaller size; 1 is linear."""

    @property
    def superlinear(self) -> bool:
        """Whether it grew faster than its pixels."""
        return self.growth is not None and self.growth > _SUPERLINEAR


def measure_scaling(
    base: Spec, builds: Sequence[Path], log: Path, tell: Callable[[str], None]
) -> list[Point]:
    """Eager torch at each of `SIDES_PX`, and LiteRT fp32 of each build (`igf export --size`), taking turns."""
    specs = [dataclasses.replace(base, kind="torch", what="eager", size=(side, side)) for side in SIDES_PX]
    for build in builds:
        height, width = load_manifest(build).size
        changes = {"kind": "artifact", "what": "litert-fp32", "size": (height, width), "build": str(build)}
        specs.append(dataclasses.replace(base, **changes))  # type: ignore[arg-type]
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
    return points([(spec.name, spec.size[0]) for spec in specs], times, ran_on)


def points(
    sides: Sequence[tuple[str, int]], medians_ms: Sequence[float | None], ran_on: Sequence[str]
) -> list[Point]:
    """(name, side in px) and medians -> points by name and size, each with its growth over the size below."""
    rows = sorted(zip(sides, medians_ms, ran_on, strict=True), key=lambda row: row[0])
    found: list[Point] = []
    for (name, side), median, where in rows:
        below = next((p for p in reversed(found) if p.name == name and p.median_ms), None)
        growth = None
        if below is not None and below.median_ms is not None and median is not None:
            growth = (median / side**2) / (below.median_ms / below.side_px**2)
        found.append(Point(name, side, median, where, growth))
    return found
