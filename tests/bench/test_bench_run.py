"""A run that is stopped leaves what it had; a probe that breaks costs the multiples alone."""

from pathlib import Path

import pytest
from bench_sides import FakeSide

from igf_mobile.bench import record, run
from igf_mobile.bench.record import BenchRun
from igf_mobile.bench.run import Plan, run_bench
from igf_mobile.bench.sides import Spec
from igf_mobile.errors import IgfError

SPECS = [
    Spec("torch", "eager", 1, (64, 64), "b", None, "c"),
    Spec("peer", "u2netp", 1, (64, 64), "b", None, "c"),
]


class Side(FakeSide):
    """With a spec, as a worker has it; `stopped_at`: the call that the user interrupts."""

    def __init__(self, spec: Spec, stopped_at: int | None = None) -> None:
        super().__init__(spec.name, 2.0)
        self.spec, self.stopped_at = spec, stopped_at

    def time(self, calls: int) -> list[float]:
        if self.turns == self.stopped_at:
            raise KeyboardInterrupt
        return super().time(calls)


def plan(**changes: bool) -> Plan:
    return Plan(SPECS, 0, 50, 10, memory=False, roofline=changes.get("roofline", False))


def stopped(monkeypatch: pytest.MonkeyPatch, at: int | None) -> None:
    monkeypatch.setattr(run, "_side", lambda spec, log, tell: Side(spec, at if spec is SPECS[1] else None))


def test_what_was_measured_before_it_is_stopped_is_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stopped(monkeypatch, 5)  # loading, warming up, three rounds
    path = tmp_path / "bench.json"
    with pytest.raises(KeyboardInterrupt):
        run_bench(
            plan(), tmp_path, (64, 64), tmp_path / "log", print, lambda so_far: record.save(so_far, path)
        )
    found = record.load(path)
    assert not found.finished
    assert [len(row.samples_ms) for row in found.rows] == [30, 30]


def test_a_whole_run_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stopped(monkeypatch, None)
    kept: list[BenchRun] = []
    found = run_bench(plan(), tmp_path, (64, 64), tmp_path / "log", print, kept.append)
    assert found.finished and not any(so_far.finished for so_far in kept)
    assert [len(so_far.rows[0].samples_ms) for so_far in kept] == [10, 20, 30, 40, 50]
    assert [row.name for row in found.rows] == ["torch eager", "u2netp"]


def test_a_broken_probe_costs_the_multiples_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def breaks(size: tuple[int, int], checkpoint: Path | None) -> None:
        raise IgfError("no such machine")

    stopped(monkeypatch, None)
    monkeypatch.setattr(run, "measure_apart", breaks)
    said: list[str] = []
    found = run_bench(plan(roofline=True), tmp_path, (64, 64), tmp_path / "log", said.append)
    assert found.roofline is None and found.rows[0].samples_ms
    assert "no limit: no such machine" in said
