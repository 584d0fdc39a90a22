"""A run as Markdown, for README.md."""

from igf_mobile.bench.ratios import ratios_to
from igf_mobile.bench.record import BenchRun, Row
from igf_mobile.bench.tables import REFERENCE

_HEADER = ("", "ms per frame", "p90", "Mpixel/s", "x LiteRT fp32, 95 %", "x limit", "MB")


def table(run: BenchRun) -> str:
    """A row per side on the first number of threads; of others, what is applied to a frame and what it is held to."""
    first, *others = run.settings.threads
    lines = [f"| {' | '.join(_HEADER)} |", "|---|" + "---:|" * (len(_HEADER) - 1)]
    ratios = ratios_to(run, REFERENCE, first)
    lines += [_line(run, row, row.name, ratios) for row in run.rows if row.threads == first]
    for threads in others if any(row.kind == "applied" for row in run.rows) else ():
        ratios = ratios_to(run, REFERENCE, threads)
        lines += [
            _line(run, row, f"{row.name}, {threads} threads", ratios)
            for row in run.rows
            if row.threads == threads and (row.kind == "applied" or row.name == REFERENCE)
        ]
    return "\n".join(lines)


def _line(run: BenchRun, row: Row, name: str, ratios: dict[str, str]) -> str:
    summary = row.summary
    if summary is None or row.pixels is None:
        return f"| {name} | {' '.join(row.ran_on.split())} |{' |' * (len(_HEADER) - 2)}"
    multiple = run.multiple(row)
    grown = row.memory.peak_bytes - row.memory.base_bytes if row.memory else None
    cells = (
        name,
        f"{summary.median_ms:.2f}",
        f"{summary.p90_ms:.2f}",
        f"{row.pixels / summary.median_ms / 1e3:.1f}",
        ratios.get(row.name, "-"),
        f"{multiple:.1f}" if multiple is not None else "-",
        f"{grown / 1e6:.0f}" if grown is not None else "-",
    )
    return f"| {' | '.join(cells)} |"


def conditions(run: BenchRun) -> str:
    """Where and how, in one paragraph."""
    machine, settings = run.machine, run.settings
    height, width = settings.size
    threads = settings.threads[0]
    limit = "" if run.finished else " Stopped before all calls were made."
    if run.roofline is not None:
        limit += (
            f" The limit, {run.roofline.limit_ms('fp32', threads):.2f} ms for fp32, is the larger of moving inputs, "
            f"outputs and weights once ({run.roofline.traffic_ms('fp32'):.2f} ms) and the convolutions' arithmetic "
            f"({run.roofline.arithmetic_ms('fp32', threads):.2f} ms)."
        )
    return (
        f"{width} x {height}, {threads} thread{'s' * (threads > 1)} of {machine.processor} ({machine.cores} cores, "
        f"load average {settings.load_average[0]:.1f} before), {run.created_at[:10]}: median of "
        f"{settings.iterations} calls after {settings.warm_up}, in turns of {settings.block}; MB is what loading and "
        f"running add.{limit} Pixels are those a network computes on: MediaPipe's and u2netp's are fewer."
    )
