"""A run as tables for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from igf_mobile.bench.operators import Profile
from igf_mobile.bench.ratios import Comparison, ratios_to
from igf_mobile.bench.record import BenchRun, Row
from igf_mobile.bench.scaling import Point
from igf_mobile.bench.toolchain import Step
from igf_mobile.latency import percentile

_COLUMNS = ("load", "first", "median", "p90", "p99", "min", "x limit", "MB peak", "(base)")


def latency_table(run: BenchRun) -> Table:
    """A row per side and thread count; milliseconds and megabytes."""
    table = Table(title=f"milliseconds, {run.settings.size[1]} x {run.settings.size[0]} pixels")
    for column in ("Side", "Threads", *_COLUMNS, "n"):
        table.add_column(column, justify="left" if column == "Side" else "right", no_wrap=True)
    table.add_column("Ran on")
    for row in run.rows:
        table.add_row(row.name, str(row.threads), *_numbers(row, run.multiple(row)), row.ran_on)
    return table


def _numbers(row: Row, multiple: float | None) -> list[str]:
    summary = row.summary
    if summary is None or row.load_ms is None or row.first_ms is None:
        return [""] * (len(_COLUMNS) + 1)
    times = (row.load_ms, row.first_ms, summary.median_ms, summary.p90_ms, summary.p99_ms, summary.minimum_ms)
    memory = ["", ""]
    if row.memory:
        memory = [f"{row.memory.peak_bytes / 1e6:.0f}", f"{row.memory.base_bytes / 1e6:.0f}"]
    limit = f"{multiple:.1f}" if multiple is not None else ""
    return [*(f"{value:.2f}" for value in times), limit, *memory, str(summary.iterations)]


REFERENCE = "litert-fp32"
"""What the other sides are divided by."""


def ratio_table(run: BenchRun) -> Table:
    """Milliseconds a frame, pixels a second, and each side's time over that of `REFERENCE`."""
    threads = run.settings.threads[0]
    table = Table(title=f"{threads} thread{'s' * (threads > 1)}; ratio: its time / that of {REFERENCE}")
    table.add_column("Side", no_wrap=True)
    for column in ("ms per frame", "Mpixel", "Mpixel/s", "ratio, 95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Ran on")
    ratios = ratios_to(run, REFERENCE, threads)
    for row in run.rows:
        if row.threads != threads:
            continue
        summary, numbers = row.summary, [""] * 4
        if summary is not None and row.pixels is not None:
            numbers = [
                f"{summary.median_ms:.2f}",
                f"{row.pixels / 1e6:.3f}",
                f"{row.pixels / summary.median_ms / 1e3:.1f}",
                ratios.get(row.name, "-"),
            ]
        table.add_row(row.name, *numbers, row.ran_on)
    return table


def stage_table(run: BenchRun) -> Table:
    """Medians of the stages of whole frames, and of their sum."""
    rows = [row for row in run.rows if row.stages]
    table = Table("Side", title=f"a whole frame, {run.settings.frame}; median ms by stage")
    for stage in (*(rows[0].stages or () if rows else ()), "frame"):
        table.add_column(stage, justify="right")
    for row in rows:
        stages = row.stages or {}
        frames = [sum(parts) for parts in zip(*stages.values(), strict=True)]
        medians = [percentile(samples, 50) for samples in (*stages.values(), frames)]
        table.add_row(row.name, *(f"{median:.2f}" for median in medians))
    return table


def sustained_table(run: BenchRun) -> Table:
    """Whether it slows down: the medians of the first and the last tenth, and the shares inside a frame's time."""
    table = Table("Side", title="sustained, alone")
    for column in ("s", "calls", "first tenth ms", "last tenth ms", "within 16.7 ms", "within 33.3 ms"):
        table.add_column(column, justify="right")
    for row in run.rows:
        if row.sustained is None:
            continue
        samples = row.sustained.samples_ms
        tenth = max(1, len(samples) // 10)
        ends = [percentile(part, 50) for part in (samples[:tenth], samples[-tenth:])]
        shares = [sum(ms <= budget for ms in samples) / len(samples) for budget in (16.7, 33.3)]
        table.add_row(
            row.name,
            f"{row.sustained.duration_s:.0f}",
            str(len(samples)),
            *(f"{ms:.2f}" for ms in ends),
            *(f"{share:.1%}" for share in shares),
        )
    return table


def profile_table(profile: Profile) -> Table:
    """Operators by kind and output shape, the costliest first."""
    table = Table("Operator", title=f"{profile.artifact}: {profile.total_ms:.2f} ms; {profile.how}")
    for column in ("output", "count", "ms", "share"):
        table.add_column(column, justify="right", no_wrap=True)
    for group in profile.groups():
        share = group.ms / profile.total_ms
        table.add_row(group.kind, group.output, str(group.count), f"{group.ms:.3f}", f"{share:.1%}")
    return table


def scaling_table(points: Sequence[Point], threads: int) -> Table:
    """Time by size and by batch; growth above 1 is more than the pixels."""
    table = Table("Side", title=f"time by pixels, {threads} thread{'s' * (threads > 1)}")
    for column in ("pixels", "median ms", "ns per pixel", "growth per pixel"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Ran on")
    for point in points:
        side = f"{point.side_px} x {point.side_px}" + f" x {point.batch}" * (point.batch > 1)
        times = ["", ""]
        if point.median_ms is not None:
            times = [f"{point.median_ms:.2f}", f"{point.median_ms * 1e6 / point.pixels:.1f}"]
        growth = f"{point.growth:.2f}{' superlinear' * point.superlinear}" if point.growth else ""
        table.add_row(point.name, side, *times, growth, point.ran_on)
    return table


def toolchain_table(steps: Sequence[Step]) -> Table:
    """Seconds of each step."""
    table = Table("igf", "step", title="what the toolchain takes")
    table.add_column("seconds", justify="right")
    for step in steps:
        table.add_row(step.command, step.what, f"{step.seconds:.2f}")
    return table


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """A row per side of the newer run."""
    table = Table("Side", title="median, new / old; below 1 is faster")
    for column in ("old ms", "new ms", "ratio, 95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Verdict")
    for found in comparisons:
        times = [f"{ms:.2f}" if ms is not None else "-" for ms in (found.old_ms, found.new_ms)]
        verdict = f"{found.verdict}; {found.note}" if found.note else found.verdict
        table.add_row(found.side, *times, str(found.ratio) if found.ratio else "-", verdict)
    return table


def limits(run: BenchRun) -> str:
    """The machine's limit, and what it follows from; empty where it was not probed."""
    if run.roofline is None:
        return ""
    roofline, probe, frame = run.roofline, run.roofline.probe, run.roofline.frame
    moved = (frame.input_bytes + frame.output_bytes) / 1e6
    int8 = f"{probe.int8_gop_s:.0f} GOP/s" if probe.int8_gop_s is not None else ""
    lines = [
        f"limit on one core: {roofline.limit_ms('fp32', 1):.2f} ms; "
        f"traffic {roofline.traffic_ms('fp32'):.2f} ms ({moved:.2f} MB in and out), "
        f"arithmetic {roofline.arithmetic_ms('fp32', 1):.2f} ms ({frame.convolution_macs / 1e6:.1f} M multiply-adds; "
        f"int8 {roofline.arithmetic_ms('w8a8', 1):.2f} ms)",
        f"one core: copied {probe.copy_gb_s:.1f} GB/s ({probe.copied}); float32 {probe.float32_gflop_s:.0f} GFLOP/s "
        f"({probe.float32_by}); int8 {int8} ({probe.int8_by})",
    ]
    return "\n".join(lines)


def how(run: BenchRun) -> str:
    """The conditions, in two lines."""
    machine, settings = run.machine, run.settings
    before, after = settings.load_average
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
    return (
        f"{machine.processor}, {machine.cores} cores, {machine.system} {machine.system_version}, "
        f"Python {machine.python}; load average {before:.1f} before, {after:.1f} after\n"
        f"{'' if run.finished else 'stopped early; '}{settings.warm_up} warm-up calls, {settings.iterations} timed in "
        f"turns of {settings.block}, a process each; "
        f"one call: inputs in place, outputs readable\n{versions}"
    )
