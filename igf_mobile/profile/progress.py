"""What an app says while it measures, and who is told."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A step."""

    what: str
    done: int = 0
    """Runs that are finished and in the report."""
    total: int | None = None


@dataclass(frozen=True)
class Done:
    """The report is whole."""


@dataclass(frozen=True)
class Failed:
    """The app gave up."""

    why: str


Event = Progress | Done | Failed
Tell = Callable[[Progress], None]
