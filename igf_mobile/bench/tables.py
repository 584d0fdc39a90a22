"""A run as tables for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from igf_mobile.bench.ratios import Comparison, ratios_to
from igf_mobile.bench.record import BenchRun, Row

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
        memory = [f"{row.memory['peak_bytes'] / 1e6:.0f}", f"{row.memory['base_bytes'] / 1e6:.0f}"]
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


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """A row per side of the newer run."""
    table = Table("Side", title="median, new / old; below 1 is faster")
    for column in ("old ms", "new ms", "ratio, 95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("Verdict")
    for found in comparisons:
        times = [f"{ms:.2f}" if ms is not None else "-" for ms in (found.old_ms, found.new_ms)]
        table.add_row(found.side, *times, str(found.ratio) if found.ratio else "-", found.verdict)
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
        f"{settings.warm_up} warm-up calls, {settings.iterations} timed in turns of {settings.block}, a process each; "
        f"one call: inputs in place, outputs readable\n{versions}"
    )
