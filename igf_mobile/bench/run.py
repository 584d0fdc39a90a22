"""One run: every side in turns, memory in a pass of its own, what did not run with its reason."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from igf_mobile.bench import record
from igf_mobile.bench.memory import Memory
from igf_mobile.bench.peers import PEERS
from igf_mobile.bench.process import Worker
from igf_mobile.bench.record import BenchRun, Row, Settings, Sustained
from igf_mobile.bench.roofline import Roofline, measure_apart
from igf_mobile.bench.rounds import Measured, SideFailed, measure_in_turns
from igf_mobile.bench.sides import Spec
from igf_mobile.bench.site import opencv_contrib
from igf_mobile.device.report import DeviceParity
from igf_mobile.errors import IgfError

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


def run_bench(
    plan: Plan,
    build: Path,
    size: tuple[int, int],
    log: Path,
    tell: Tell,
    keep: Callable[[BenchRun], None] = lambda so_far: None,
) -> BenchRun:
    """Measure everything of a plan. A side that cannot run has its reason in its row.

    Args:
        plan: what to measure.
        build: the build folder, for the record.
        size: (H, W) of the photograph.
        log: where sides print.
        tell: told each step.
        keep: given the run as it stands, not `finished`, after each round and step, should it be stopped.
    """
    before = os.getloadavg()[0]
    limit = _limit(plan, size, tell)

    def run(rows: Sequence[Row], finished: bool) -> BenchRun:
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
        return BenchRun(
            schema_version=record.SCHEMA_VERSION,
            created_at=record.now(),
            machine=record.machine(),
            versions=record.versions(),
            settings=settings,
            rows=tuple(rows),
            roofline=limit,
            finished=finished,
        )

    rows = _time(plan, log, tell, lambda so_far: keep(run(so_far, False)))
    for index, (spec, row) in enumerate(zip(plan.specs, rows, strict=True)):
        if plan.memory and row.samples_ms and spec.threads == plan.specs[0].threads:
            rows[index] = dataclasses.replace(row, memory=_memory(spec, log, tell))
            keep(run(rows, False))
    return run(rows, True)


def _limit(plan: Plan, size: tuple[int, int], tell: Tell) -> Roofline | None:
    """What the machine could do; a probe that breaks costs the multiples alone."""
    if not plan.roofline:
        return None
    tell("probing the machine")
    try:
        return measure_apart(size, Path(chosen) if (chosen := plan.specs[0].checkpoint) else None)
    except IgfError as reason:
        tell(f"no limit: {reason}")
        return None


class _Extras(NamedTuple):
    """What one artifact was measured by beside its turns."""

    parity: DeviceParity | None = None
    stages: dict[str, tuple[float, ...]] | None = None
    sustained: Sustained | None = None


def _time(plan: Plan, log: Path, tell: Tell, keep: Callable[[Sequence[Row]], None]) -> list[Row]:
    sides = [_side(spec, log, tell) for spec in plan.specs]

    def progress(done: int, of: int) -> None:
        if done == 0:
            tell(f"{len(sides)} sides loaded, {of} rounds of {plan.block} calls each")
        elif done % max(1, of // 4) == 0:
            tell(f"round {done} of {of}")

    def rows(measured: Sequence[Measured]) -> list[Row]:
        return [
            _row(spec, result, None, _Extras()) for spec, result in zip(plan.specs, measured, strict=True)
        ]

    tell(f"loading {len(sides)} sides")
    try:
        measured = measure_in_turns(
            sides, plan.warm_up, plan.iterations, plan.block, progress, keep=lambda so_far: keep(rows(so_far))
        )
        found = rows(measured)
        keep(found)
        for index, (side, result) in enumerate(zip(sides, measured, strict=True)):
            found[index] = _row(side.spec, result, None, _extras(plan, side, result, tell))
            if found[index].stages or found[index].sustained:
                keep(found)
        return found
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
        size=spec.size,
        coefficients_only=spec.coefficients_only,
    )
