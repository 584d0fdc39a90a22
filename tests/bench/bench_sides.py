"""Sides whose time is a number, not a measurement."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field

from igf_mobile.bench import record
from igf_mobile.bench.record import BenchRun, Machine, Row, Settings
from igf_mobile.bench.rounds import Loaded, SideFailed


@dataclass
class FakeSide:
    """Each call takes `ms`; `log` gets (name, calls) in the order of the turns."""

    name: str
    ms: float
    log: list[tuple[str, int]] = field(default_factory=list)
    breaks_at: int | None = None
    """The turn that fails; 0 is loading."""
    turns: int = 0

    def _turn(self) -> None:
        if self.turns == self.breaks_at:
            raise SideFailed(f"{self.name} broke", unavailable=False)
        self.turns += 1

    def load(self) -> Loaded:
        self._turn()
        return Loaded(f"fake {self.name}", 100, 5.0, 3 * self.ms)

    def time(self, calls: int) -> list[float]:
        self._turn()
        self.log.append((self.name, calls))
        return [self.ms] * calls

    def close(self) -> None:
        pass


def make_row(name: str, samples: Sequence[float], **changes: object) -> Row:
    row = Row(name, "artifact", 1, "fake runtime", 512 * 512, 5.0, 9.0, tuple(samples), None)
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def make_run(*rows: Row) -> BenchRun:
    machine = Machine("fake processor", 2, 8_000_000_000, "Linux", "6.1", "3.11")
    settings = Settings("build", (512, 512), (1,), 20, 200, 10, None, (0.1, 0.2))
    return BenchRun(
        record.SCHEMA_VERSION, "2026-11-22T22:00:00Z", machine, {"numpy": "1.0"}, settings, tuple(rows)
    )
