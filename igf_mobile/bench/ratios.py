"""Ratios with intervals: of the sides of one run, and of two runs."""

from dataclasses import dataclass

from igf_mobile.bench.record import BenchRun, Row
from igf_mobile.compare import LEAST_SAMPLES, Ratio, compare

_WORDS = {"better": "faster", "worse": "slower", "no difference": "no difference"}


@dataclass(frozen=True)
class Comparison:
    """One side in two runs."""

    side: str
    old_ms: float | None
    """Median; None where it was not measured."""
    new_ms: float | None
    ratio: Ratio | None
    """New over old."""
    verdict: str
    """faster, slower, no difference, or why they were not compared."""


def ratios_to(run: BenchRun, reference: str, threads: int) -> dict[str, str]:
    """Side -> its median over the reference's, with the 95 % interval where there are samples enough for one."""
    base = run.find(reference, threads)
    if base is None or base.summary is None:
        return {}
    found = {}
    for row in run.rows:
        if row.threads != threads or row.summary is None:
            continue
        plain = f"{row.summary.median_ms / base.summary.median_ms:.2f}"
        enough = min(len(row.samples_ms), len(base.samples_ms)) >= LEAST_SAMPLES
        found[row.name] = str(compare(row.samples_ms, base.samples_ms)) if enough else plain
    return found


def compare_runs(new: BenchRun, old: BenchRun) -> list[Comparison]:
    """Every side of either run, the newer run's first.

    Between runs the machine's state may differ, and no sample shows it: sides that both runs share and that did not
    change (eager torch, the peers) are the control.
    """
    sides = dict.fromkeys((row.name, row.threads) for row in (*new.rows, *old.rows))
    return [_compared(new.find(*side), old.find(*side), side, new, old) for side in sides]


def _compared(
    after: Row | None, before: Row | None, side: tuple[str, int], new: BenchRun, old: BenchRun
) -> Comparison:
    label = f"{side[0]}, {side[1]} thread{'s' * (side[1] > 1)}"
    times = [row.summary.median_ms if row and row.summary else None for row in (before, after)]
    if after is None or before is None:
        absent = "old" if before is None else "new"
        return Comparison(label, times[0], times[1], None, f"not compared: not measured in the {absent} run")
    for what, then, now in (
        ("processor", old.machine.processor, new.machine.processor),
        ("pixels", before.pixels, after.pixels),
    ):
        if then != now:
            return Comparison(label, times[0], times[1], None, f"not compared: {what} {then} and {now}")
    fewest = min(len(row.samples_ms) for row in (after, before))
    if fewest < LEAST_SAMPLES:
        reason = f"not compared: {fewest} samples, {LEAST_SAMPLES} are needed"
        return Comparison(label, times[0], times[1], None, reason)
    ratio = compare(after.samples_ms, before.samples_ms)
    return Comparison(label, times[0], times[1], ratio, _WORDS[ratio.verdict])
