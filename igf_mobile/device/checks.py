"""Whether a device report can be true, and whether it is of this build: one sentence per contradiction.

A report passes the schema first (`reader.load_report`). What is found here is of two kinds: the report
contradicts itself or physics (`check_report`), or its artifacts are not those of a build (`check_build`).
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from igf_mobile.device.report import DeviceReport, Run, Stage, Summary, summarise
from igf_mobile.manifest import Manifest

FRAME_BUDGETS_MS = (16.7, 33.3)
ENDS = {False: "alpha", True: "the coefficients"}
"""`coefficients_only` -> where artifacts end."""

_ROUNDING_MS = 1e-3
"""Samples and summaries may be written with three decimals each."""
_ROUNDING_SHARE = 5e-4
_EARLIEST = datetime(2026, 1, 1, tzinfo=timezone.utc)
"""No app that writes this schema is older; clocks that were never set say 1970 or a factory date."""
_AHEAD = timedelta(days=1)
_LATE_S = 5.0
"""A thermal sample may be taken this long after the last inference sample."""
_PIXELS = 512 * 512


@dataclass(frozen=True)
class Limit:
    """The range that a quantity can be in."""

    least: float
    most: float
    unit: str
    why: str


LIMITS = {
    "inference sample": Limit(
        0.05, 60_000, "ms", "512 x 512 reads over 4 MB: 0.05 ms would be 80 GB/s; a minute is a hung phone"
    ),
    "other stage's sample": Limit(0, 60_000, "ms", "a minute is a hung phone"),
    "load": Limit(
        0.001, 600_000, "ms", "a file was read; ten minutes are past every compilation on a device"
    ),
    "first call": Limit(0.05, 600_000, "ms", "it computes what every call does"),
    "steady part": Limit(0, 86_400, "s", "a day"),
    "sustained run": Limit(0, 86_400, "s", "a day"),
    "device memory": Limit(2**28, 2**42, "bytes", "256 MB to 4 TB"),
    "parity limit of the mean": Limit(
        0, 0.05, "", "alpha is 0 to 1: a larger limit lets a wrong matte through"
    ),
}
"""Absurd beyond these; wide, because a slow phone is not a broken report. Reasons in `why`."""

_COARSE_FROM = 20
"""So many samples that are all whole milliseconds are no accident: 1 in 1000 ** 20 with a microsecond clock."""


def check_report(
    report: DeviceReport, now: datetime | None = None, size: tuple[int, int] = (512, 512)
) -> list[str]:
    """Contradictions inside a report.

    A fixture may hold what no device can measure (the apps' tests run on a clock of their own), so only its
    summaries, shares, durations and parity are checked.

    Args:
        report: one that passed the schema.
        now: the time to hold `created_at` to; the present by default.
        size: (H, W) of the artifacts' images, for the limits.

    Returns:
        Sentences; empty when nothing contradicts.
    """
    measured = report.kind == "device"
    problems: list[str] = []
    if measured:
        problems += _creation(report, now or datetime.now(timezone.utc))
        if report.device.memory_bytes is not None:
            problems += _outside("device.memory_bytes", report.device.memory_bytes, "device memory")
    for index, run in enumerate(report.runs):
        where = f"runs[{index}] ({run.name})"
        checks = [_summaries(run), _sustained(run), _durations(run), _parity(run)]
        checks += [_absurd(run, size)] if measured else []
        problems += [f"{where}: {problem}" for check in checks for problem in check]
    return problems


def check_end(report: DeviceReport, manifest: Manifest) -> str | None:
    """Why no run of the report can be of the build: one has alpha in its artifacts, the other has not. Or None."""
    measured, built = report.build.coefficients_only, manifest.coefficients_only
    if measured == built:
        return None
    build = f"{manifest.name} {manifest.version}"
    return f"the report's artifacts end at {ENDS[measured]}, those of {build} at {ENDS[built]}"


def check_build(report: DeviceReport, manifest: Manifest) -> dict[int, str]:
    """Run's index -> why its artifact is not one of the build."""
    if why := check_end(report, manifest):
        return dict.fromkeys(range(len(report.runs)), why)
    problems = {}
    for index, run in enumerate(report.runs):
        artifact = run.artifact
        record = manifest.find(artifact.backend, artifact.scheme)
        if record is None:
            problems[index] = (
                f"{manifest.name} {manifest.version} has no {artifact.backend}-{artifact.scheme}"
            )
        elif record.sha256 != artifact.sha256:
            hashes = f"sha256 {artifact.sha256[:12]}, this build has {record.sha256[:12]}"
            problems[index] = f"{artifact.file} is of another build: {hashes}"
        elif (record.file, record.bytes) != (artifact.file, artifact.bytes):
            problems[index] = (
                f"{artifact.file} with {artifact.bytes} bytes has the sha256 of {record.file} with {record.bytes} bytes"
            )
    return problems


def share_within(samples: Sequence[float], budget_ms: float) -> float:
    """Share of the samples that are at most `budget_ms`."""
    return sum(sample <= budget_ms for sample in samples) / len(samples)


def _creation(report: DeviceReport, now: datetime) -> Iterator[str]:
    try:
        created = datetime.strptime(report.created_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        yield f"created_at {report.created_at} is no date"
        return
    if created < _EARLIEST:
        yield f"created_at {report.created_at}: the device's clock was not set"
    if created > now + _AHEAD:
        yield f"created_at {report.created_at} is in the future (now {now:%Y-%m-%dT%H:%M:%SZ}): a clock is wrong"


def _stages(run: Run) -> dict[Stage, Sequence[float]]:
    """The stages that have samples."""
    stages = run.stages
    every: dict[Stage, Sequence[float]] = {
        "inference": stages.inference,
        "convert": stages.convert,
        "apply": stages.apply,
        "composite": stages.composite,
    }
    return {name: samples for name, samples in every.items() if samples}


def _summaries(run: Run) -> Iterator[str]:
    stages = _stages(run)
    for name in sorted(set(run.summary) - set(stages)):
        yield f"summary.{name} has no samples in stages.{name}"
    for name, samples in stages.items():
        if name not in run.summary:
            yield f"stages.{name} has {len(samples)} samples and no summary"
            continue
        written, found = run.summary[name], summarise(samples)
        for field in Summary.__dataclass_fields__:
            value, wanted = getattr(written, field), getattr(found, field)
            if abs(value - wanted) > (0 if field == "iterations" else _ROUNDING_MS):
                yield f"summary.{name}.{field} is {value:g}, its samples give {wanted:g}"


def _sustained(run: Run) -> Iterator[str]:
    if run.sustained is None:
        return
    written = (run.sustained.share_within_16_7_ms, run.sustained.share_within_33_3_ms)
    for budget, share in zip(FRAME_BUDGETS_MS, written, strict=True):
        found = share_within(run.sustained.samples_ms, budget)
        if abs(share - found) > _ROUNDING_SHARE:
            yield f"sustained share within {budget} ms is {share:g}, its samples give {found:g}"
    times = [sample.at_s for sample in run.sustained.thermal]
    for index, (before, after) in enumerate(itertools.pairwise(times)):
        if after < before:
            yield f"sustained.thermal[{index + 1}] is at {after:g} s after {before:g} s: the clock ran backwards"
            break
    if times and times[-1] > run.sustained.duration_s + _LATE_S:
        yield f"sustained.thermal ends at {times[-1]:g} s of a run of {run.sustained.duration_s:g} s"


def _durations(run: Run) -> Iterator[str]:
    """Samples cannot take longer than the time they were taken in, unless the clock went backwards meanwhile."""
    parts = [("steady part", run.duration_s, sum(map(math.fsum, _stages(run).values())) / 1e3)]
    if run.sustained:
        parts.append(("sustained run", run.sustained.duration_s, math.fsum(run.sustained.samples_ms) / 1e3))
    for what, duration_s, samples_s in parts:
        if duration_s is None:
            if samples_s > 0:
                yield f"the {what} has samples and no duration"
            continue
        if samples_s > duration_s * 1.001 + 0.001:
            yield f"the samples of the {what} sum to {samples_s:.3f} s in {duration_s:g} s: the clock ran backwards"


def _absurd(run: Run, size: tuple[int, int]) -> Iterator[str]:
    scale = size[0] * size[1] / _PIXELS
    if run.load_ms is not None:
        yield from _outside("load_ms", run.load_ms, "load")
    if run.duration_s is not None:
        yield from _outside("the steady part", run.duration_s, "steady part")
    if run.sustained:
        yield from _outside("the sustained run", run.sustained.duration_s, "sustained run")
    if run.first_ms is not None:
        yield from _outside("first_ms", run.first_ms, "first call", scale)
    parts = [(f"stages.{name}", samples, name) for name, samples in _stages(run).items()]
    if run.sustained:
        parts.append(("sustained.samples_ms", run.sustained.samples_ms, "inference"))
    for where, samples, stage in parts:
        quantity = "inference sample" if stage == "inference" else "other stage's sample"
        for index in {samples.index(min(samples)), samples.index(max(samples))}:
            yield from _outside(f"{where}[{index}]", samples[index], quantity, scale)
        if stage == "inference" and len(samples) >= _COARSE_FROM and all(s == int(s) for s in samples):
            yield f"{where}: all {len(samples)} samples are whole milliseconds: the clock is too coarse, or no clock"


def _parity(run: Run) -> Iterator[str]:
    parity = run.parity
    if parity is None:
        return
    largest, mean = parity.alpha_max_abs, parity.alpha_mean_abs
    within = False
    if largest is not None and mean is not None:
        within = largest <= parity.limit_max_abs and mean <= parity.limit_mean_abs
        if mean > largest:
            yield f"parity: the mean error {mean:g} is above the largest {largest:g}"
    elif parity.finite:
        yield "parity: the output is finite and has no distance"
    if parity.passed != (parity.finite and not parity.constant and within):
        yield f"parity says {'passed' if parity.passed else 'failed'}, its numbers say otherwise"
    yield from _outside("parity.limit_mean_abs", parity.limit_mean_abs, "parity limit of the mean")


def _outside(where: str, value: float, quantity: str, scale: float = 1.0) -> Iterator[str]:
    """`scale`: of the lower limit, for images of another size."""
    limit = LIMITS[quantity]
    least = limit.least * scale
    if not least <= value <= limit.most:
        shown = f"{value:g} {limit.unit}".strip()
        yield f"{where} is {shown}, not {least:g} to {limit.most:g} ({limit.why})"
