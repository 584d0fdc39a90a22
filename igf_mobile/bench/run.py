"""One run: every side in turns, memory in a pass of its own, what did not run with its reason."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from igf_mobile.bench import record
from igf_mobile.bench.memory import Memory
from igf_mobile.bench.peers import PEERS
from igf_mobile.bench.process import Worker
from igf_mobile.bench.record import BenchRun, Row, Settings, Sustained
from igf_mobile.bench.roofline import measure_apart
from igf_mobile.bench.rounds import Measured, SideFailed, measure_in_turns
from igf_mobile.bench.sides import Spec
from igf_mobile.bench.site import opencv_contrib
from igf_mobile.device_report import DeviceParity

if TYPE_CHECKING:
    from igf_mobile.bench.frame import Format

_PEAK_CALLS = 5
_FRAMES = 50

Tell = Callable[[str], None]


class FrameSpec(NamedTuple):
    """Whole frames."""

    pixels: "Format"
    size: tuple[int, int]
    """(H, W)."""

    def __str__(self) -> str:
        return f"{self.pixels} {self.size[1]}x{self.size[0]}"


class Plan(NamedTuple):
    """What to run, and how."""

    specs: Sequence[Spec]
    """Once per side and thread count."""
    warm_up: int
    iterations: int
    block: int
    memory: bool
    """Whether to measure peak memory too."""
    roofline: bool
    """Whether to probe the machine too."""
    sustained_s: float = 0.0
    """Seconds that each artifact runs alone; 0: it does not."""
    frame: FrameSpec | None = None
    """Whole frames to time with each artifact."""
    parity: bool = False
    """Whether to hold each artifact's alpha to the build's golden case."""


def run_bench(plan: Plan, build: Path, size: tuple[int, int], log: Path, tell: Tell) -> BenchRun:
    """Measure everything of a plan. A side that cannot run has its reason in its row."""
    before = os.getloadavg()[0]
    measured, extras = _time(plan, log, tell)
    rows = []
    for spec, result, extra in zip(plan.specs, measured, extras, strict=True):
        memory = None
        if plan.memory and result.samples_ms and spec.threads == plan.specs[0].threads:
            memory = _memory(spec, log, tell)
        rows.append(_row(spec, result, memory, extra))
    settings = Settings(
        build=str(build),
        size=size,
        threads=tuple(dict.fromkeys(spec.threads for spec in plan.specs)),
        warm_up=plan.warm_up,
        iterations=plan.iterations,
        block=plan.block,
        frame=str(plan.frame) if plan.frame else None,
        load_average=(before, os.getloadavg()[0]),
    )
    limit = None
    if plan.roofline:
        tell("probing the machine")
        limit = measure_apart(size, Path(chosen) if (chosen := plan.specs[0].checkpoint) else None)
    return BenchRun(
        schema_version=record.SCHEMA_VERSION,
        created_at=record.now(),
        machine=record.machine(),
        versions=record.versions(),
        settings=settings,
        rows=tuple(rows),
        roofline=limit,
    )


class _Extras(NamedTuple):
    """What one artifact was measured by beside its turns."""

    parity: DeviceParity | None = None
    stages: dict[str, tuple[float, ...]] | None = None
    sustained: Sustained | None = None


def _time(plan: Plan, log: Path, tell: Tell) -> tuple[list[Measured], list[_Extras]]:
    sides = [_side(spec, log, tell) for spec in plan.specs]

    def progress(done: int, of: int) -> None:
        if done == 0:
            tell(f"{len(sides)} sides loaded, {of} rounds of {plan.block} calls each")
        elif done % max(1, of // 4) == 0:
            tell(f"round {done} of {of}")

    tell(f"loading {len(sides)} sides")
    try:
        measured = measure_in_turns(sides, plan.warm_up, plan.iterations, plan.block, progress)
        extras = [_extras(plan, side, result, tell) for side, result in zip(sides, measured, strict=True)]
        return measured, extras
    finally:
        for side in sides:
            side.close()


def _extras(plan: Plan, side: Worker, measured: Measured, tell: Tell) -> _Extras:
    """Of an artifact that was timed; frames and the sustained run on the first number of threads alone."""
    if side.spec.kind != "artifact" or not measured.samples_ms:
        return _Extras()
    first = side.spec.threads == plan.specs[0].threads
    stages, sustained = None, None
    if plan.frame and first:
        tell(f"whole frames with {side.spec.name}")
        stages = side.frames(plan.frame.pixels, plan.frame.size, min(plan.iterations, _FRAMES))
    if plan.sustained_s and first:
        tell(f"{plan.sustained_s:g} s of {side.spec.name} alone")
        found = side.sustain(plan.sustained_s)
        sustained = Sustained(found["duration_s"], tuple(found["samples_ms"]))
    return _Extras(side.parity() if plan.parity else None, stages, sustained)


def _side(spec: Spec, log: Path, tell: Tell) -> Worker:
    """Its process; that of a peer may take packages of its own."""
    if spec.kind == "peer" and PEERS[spec.what].needs_contrib:
        return Worker(spec, log, lambda: opencv_contrib(Path(spec.cache), tell))
    return Worker(spec, log)


def _memory(spec: Spec, log: Path, tell: Tell) -> Memory | None:
    tell(f"memory of {spec.name}")
    side = _side(spec, log, tell)
    try:
        return side.peak(_PEAK_CALLS)
    except SideFailed as reason:
        tell(f"memory of {spec.name}: not run: {reason}")
        return None
    finally:
        side.close()


def _row(spec: Spec, measured: Measured, memory: Memory | None, extras: _Extras) -> Row:
    loaded, failure = measured.loaded, measured.failure
    return Row(
        name=spec.name,
        kind=spec.kind,
        threads=spec.threads,
        ran_on=f"not run: {failure}" if failure else loaded.ran_on if loaded else "not run",
        pixels=loaded.pixels if loaded else None,
        load_ms=loaded.load_ms if loaded else None,
        first_ms=loaded.first_ms if loaded else None,
        samples_ms=measured.samples_ms,
        memory=memory,
        duration_s=measured.duration_s,
        stages=extras.stages,
        sustained=extras.sustained,
        parity=extras.parity,
    )
