"""Ratios with intervals: of the sides of one run, and of two runs."""

from dataclasses import dataclass

from igf_mobile.bench.record import BenchRun, Row
from igf_mobile.compare import LEAST_SAMPLES, Ratio, compare

_WORDS = {"better": "faster", "worse": "slower", "no difference": "no difference"}
_ENDS = {False: "alpha", True: "the coefficients"}
"""`coefficients_only` -> where an artifact ends."""


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
    note: str | None = None
    """What the records leave open of two that were compared all the same."""


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
    """Every side of either run, the newer run's first; only what did the same work is compared.

    An artifact that ends at the coefficients does less than its namesake that ends at alpha, and one whose coefficients
    are applied to a frame does more. Between runs the machine's state may differ, and no sample shows it: sides that
    both runs share and that did not change (eager torch, the peers) are the control.
    """
    sides: dict[tuple[str, str, int], Row] = {}
    for row in (*new.rows, *old.rows):
        sides.setdefault((row.kind, row.name, row.threads), row)
    return [_compared(side, new, old) for side in sides.values()]


def _compared(side: Row, new: BenchRun, old: BenchRun) -> Comparison:
    after, before = _counterpart(side, new), _counterpart(side, old)
    label = f"{side.name}, {side.threads} thread{'s' * (side.threads > 1)}"
    times = [row.summary.median_ms if row and row.summary else None for row in (before, after)]
    if after is None or before is None:
        why = _absent(side, new if before else old, "new" if before else "old")
        return Comparison(label, times[0], times[1], None, f"not compared: {why}")
    processors = old.machine.processor, new.machine.processor
    unlike = _unlike(before, after) if len(set(processors)) == 1 else f"processor {' and '.join(processors)}"
    if unlike:
        return Comparison(label, times[0], times[1], None, f"not compared: {unlike}")
    ratio = compare(after.samples_ms, before.samples_ms)
    return Comparison(label, times[0], times[1], ratio, _WORDS[ratio.verdict], _unsaid(before, after))


def _counterpart(side: Row, run: BenchRun) -> Row | None:
    """The row of the same kind that has samples."""
    found = run.find(side.name, side.threads)
    return found if found and found.kind == side.kind else None


def _absent(side: Row, run: BenchRun, which: str) -> str:
    """That a run lacks a side, and what it measured of the same artifact."""
    others = [
        row.name
        for row in run.rows
        if row.samples_ms and row.threads == side.threads and row.artifact and row.artifact == side.artifact
    ]
    there = f", which has {', '.join(others)}" if others else ""
    return f"not measured in the {which} run{there}"


def _unlike(before: Row, after: Row) -> str | None:
    """Why the times of two rows of one name are of different work, or too few."""
    if before.pixels != after.pixels:
        return f"pixels {before.pixels} and {after.pixels}"
    if before.size and after.size and before.size != after.size:
        given = [f"{width}x{height}" for height, width in (before.size, after.size)]
        return f"the artifact is given {given[0]} in the old run, {given[1]} in the new"
    then, now = before.coefficients_only, after.coefficients_only
    if then is not None and now is not None and then != now:
        return f"the artifact ends at {_ENDS[then]} in the old run, at {_ENDS[now]} in the new"
    # Of the rows that do not say it, almost all end at alpha; those applied to a frame may end at either.
    if then != now and (after.kind == "applied" or then or now):
        return _unsaid(before, after)
    fewest = min(len(row.samples_ms) for row in (after, before))
    return f"{fewest} samples, {LEAST_SAMPLES} are needed" if fewest < LEAST_SAMPLES else None


def _unsaid(before: Row, after: Row) -> str | None:
    """What records from before `coefficients_only` leave open."""
    pair = (("old", before), ("new", after))
    silent = [which for which, row in pair if row.artifact and row.coefficients_only is None]
    if not silent:
        return None
    who = "neither run says" if len(silent) == 2 else f"the {silent[0]} run does not say"
    return f"{who} whether the artifact ends at {_ENDS[False]} or at {_ENDS[True]}"
