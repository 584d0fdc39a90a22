"""Standard output and standard error as all commands use them."""

import json
import os
import sys
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from rich.console import Console


def stdout(width: int = 160) -> "Console":
    """The terminal; where it is a file or a pipe, at least `width` wide, so that tables keep their columns."""
    from rich.console import Console  # Rich takes longer to import than `igf --help` may take

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, width))


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=1, sort_keys=True))


class _Screen:
    """Standard error by a descriptor of its own: progress stays visible while vendors' output goes to a log."""

    def __init__(self) -> None:
        self._descriptor = os.dup(2)

    def print(self, text: str, **options: Any) -> None:
        """As Rich's console prints."""
        self._console.print(text, **options)

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(file=os.fdopen(self._descriptor, "w"), stderr=True)


screen = _Screen()


def fail(text: str, code: int) -> NoReturn:
    """End the program with one line on the screen and an exit code."""
    screen.print(f"igf: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


class Steps:
    """Prints each step on the screen with the time since the start and how many there are."""

    def __init__(self, total: int | None) -> None:
        """None: how many there will be is not known."""
        self._total, self._done, self._start = total, 0, time.monotonic()

    def __call__(self, text: str) -> None:
        """The next step begins."""
        self._done += 1
        of = f"/{self._total}" if self._total else ""
        seconds = time.monotonic() - self._start
        screen.print(f"[dim]{seconds:6.1f} s  {self._done}{of}[/dim]  {text}", highlight=False)
