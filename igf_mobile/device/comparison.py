"""What the reports of devices say together: rows to show, ratios with intervals, changes against older reports."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from igf_mobile.compare import LEAST_SAMPLES, Ratio, compare
from igf_mobile.device.checks import ENDS, check_build
from igf_mobile.device.reader import load_reports
from igf_mobile.device.report import DeviceReport, Run, Sustained
from igf_mobile.latency import percentile
from igf_mobile.manifest import Manifest

MARGIN = 0.03
"""How far a ratio to an older report must be from 1, interval included. Two runs of one phone differ by what no sample
of either shows: the governor, the room, what else runs."""
MINUTES = (1, 10, 30)


@dataclass(frozen=True)
class PaperFigure:
    """A latency that the paper quotes."""

    device: str
    ms: float


PAPER = (PaperFigure("iPhone Xs", 15.7), PaperFigure("iPhone X", 22.3), PaperFigure("iPhone SE (2016)", 25.9))
PAPER_SOURCE = "Li et al. 2019, Inductive Guided Filter (arXiv 1905.06747), table 4: 512 x 512, Core ML"


@dataclass(frozen=True)
class RunRow:
    """One run as the report shows it."""

    run: Run
    why_not: tuple[str, ...]
    """Why its numbers may not be quoted; empty: they may."""
    ratio: Ratio | None
    """Median over that of `baseline`."""
    baseline: str
    """The run that it is compared with, or why there is none."""

    @property
    def shown(self) -> bool:
        """Its numbers count."""
        return not self.why_not


@dataclass(frozen=True)
class DeviceView:
    """One report."""

    report: DeviceReport
    rows: tuple[RunRow, ...]

    @property
    def name(self) -> str:
        """`Google Pixel 8`."""
        device = self.report.device
        same = device.model.lower().startswith(device.manufacturer.lower())
        return device.model if same else f"{device.manufacturer} {device.model}"

    @property
    def is_fixture(self) -> bool:
        """Made for tests, not measured."""
        return self.report.kind == "fixture"


@dataclass(frozen=True)
class Change:
    """One quantity of a run against the same of an older report."""

    device: str
    run: str
    quantity: str
    ratio: Ratio
    older: str
    """When the older report was made."""

    @property
    def sentence(self) -> str:
        """`Pixel 8, litert-w8 on gpu: median 1.12 [1.10, 1.14] times that of 2026-10-01T...`."""
        return f"{self.device}, {self.run}: {self.quantity} {self.ratio} times that of {self.older}"


@dataclass(frozen=True)
class Comparison:
    """Reports against older ones."""

    changes: tuple[Change, ...]
    unmatched: tuple[str, ...]
    """Why something was not compared, a sentence each."""

    @property
    def regressions(self) -> list[str]:
        """What became worse."""
        return [change.sentence for change in self.changes if change.ratio.verdict == "worse"]


def view(report: DeviceReport, manifest: Manifest) -> DeviceView:
    """A report's runs with the reasons not to quote them and their ratios to fp32 on the CPU.

    A fixture's artifacts are of no build and are not compared with one.
    """
    foreign = {} if report.kind == "fixture" else check_build(report, manifest)
    why_not = [
        tuple(filter(None, (*run.invalid_reasons, foreign.get(index))))
        for index, run in enumerate(report.runs)
    ]
    good = [run for run, why in zip(report.runs, why_not, strict=True) if not why]
    rows = []
    for run, why in zip(report.runs, why_not, strict=True):
        base = _baseline(run, good)
        if why or base is None:
            missing = f"no valid {run.artifact.backend}-fp32 on cpu to compare with"
            rows.append(RunRow(run, why, None, "not quoted" if why else missing))
        elif base is run:
            rows.append(RunRow(run, why, None, "what the others are compared with"))
        else:
            rows.append(RunRow(run, why, compare(run.stages.inference, base.stages.inference), base.name))
    return DeviceView(report, tuple(rows))


def against(new: Sequence[DeviceReport], old: Sequence[DeviceReport]) -> Comparison:
    """The valid runs of each device against its newest older report with the same end, in the order of `new`."""
    changes: list[Change] = []
    unmatched: list[str] = []
    for report in new:
        device = (report.device.manufacturer, report.device.model)
        known = [
            r for r in old if (r.device.manufacturer, r.device.model) == device and r.kind == report.kind
        ]
        end = report.build.coefficients_only
        before = [r for r in known if r.build.coefficients_only == end]
        if not before:
            ends = f"its artifacts end at {ENDS[end]}, those of older reports at {ENDS[not end]}"
            why = f"{ends}, so the times are of different work" if known else "no older report of this device"
            unmatched.append(f"{report.device.model}: {why}")
            continue
        older = max(before, key=lambda r: r.created_at)
        if older.device.os_version != report.device.os_version:
            versions = f"{older.device.os_version} to {report.device.os_version}"
            unmatched.append(
                f"{report.device.model}: its system changed from {versions}, which alone can move a time"
            )
        runs = {_key(run): run for run in older.runs if run.valid}
        for run in (run for run in report.runs if run.valid):
            if past := runs.get(_key(run)):
                changes += _changes(report.device.model, run, past, older.created_at)
            else:
                unmatched.append(f"{report.device.model}, {run.name}: no valid older run")
    return Comparison(tuple(changes), tuple(unmatched))


def compare_files(new: Sequence[Path], old: Sequence[Path]) -> Comparison:
    """`against`, of files.

    Raises:
        DamagedFile: one breaks the schema or contradicts itself.
    """
    return against(load_reports(new), load_reports(old))


def share_at_minutes(sustained: Sustained, budget_ms: float) -> dict[int, float]:
    """Minute -> share of the samples of that minute within the budget, for minutes 1, 10 and 30 where there are any."""
    shares = {}
    times = times_s(sustained)
    for minute in MINUTES:
        within = [
            sample <= budget_ms
            for at, sample in zip(times, sustained.samples_ms, strict=True)
            if 60 * (minute - 1) < at <= 60 * minute
        ]
        if within and sustained.duration_s >= 60 * minute - 1:
            shares[minute] = sum(within) / len(within)
    return shares


def times_s(sustained: Sustained) -> list[float]:
    """When each sample ended, in s: they are back to back, and what is between them is spread evenly."""
    sums = list(accumulate(sustained.samples_ms))
    scale = sustained.duration_s / sums[-1] if sums[-1] else 0.0
    return [at * scale for at in sums]


def _key(run: Run) -> tuple[str, str, str, int | None]:
    return run.artifact.backend, run.artifact.scheme, run.compute_unit_requested, run.threads


def _baseline(run: Run, good: Sequence[Run]) -> Run | None:
    """fp32 on the CPU by the same runtime, with the same threads where there is such a run."""
    candidates = [
        base
        for base in good
        if base.artifact.backend == run.artifact.backend
        and (base.artifact.scheme, base.compute_unit_requested) == ("fp32", "cpu")
    ]
    return next((base for base in candidates if base.threads == run.threads), next(iter(candidates), None))


def _changes(device: str, run: Run, past: Run, older: str) -> Iterator[Change]:
    pairs = [("median", 50, run.stages.inference, past.stages.inference)]
    pairs.append(("p90", 90, run.stages.inference, past.stages.inference))
    if run.sustained and past.sustained:
        pairs.append(("sustained median", 50, run.sustained.samples_ms, past.sustained.samples_ms))
    for quantity, percent, new, old in pairs:
        if min(len(new), len(old)) >= LEAST_SAMPLES:
            yield Change(device, run.name, quantity, compare(new, old, percent, MARGIN), older)


def binned(times: Sequence[float], values: Sequence[float], bins: int = 200) -> list[tuple[float, float]]:
    """Medians of at most `bins` stretches of a series, for plots: (middle of the stretch, median)."""
    length = max(1, math.ceil(len(values) / bins))
    starts = range(0, len(values), length)
    return [
        (times[(s + min(s + length, len(values)) - 1) // 2], percentile(values[s : s + length], 50))
        for s in starts
    ]
