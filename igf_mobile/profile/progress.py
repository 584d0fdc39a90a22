"""What an app says while it measures: the same words on Android and iOS."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """A step began."""

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


Tell = Callable[[Progress], None]


def parse(text: str) -> Progress | Done | Failed | None:
    """`progress 3/16 litert-w8 on gpu`, `done`, `failed <why>`; None for anything else."""
    if match := re.fullmatch(r"progress (\d+)/(\d+) (.+)", text):
        return Progress(match[3], int(match[1]), int(match[2]))
    if match := re.fullmatch(r"failed (.+)", text):
        return Failed(match[1])
    return Done() if text == "done" else None
