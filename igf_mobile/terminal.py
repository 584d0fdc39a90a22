"""Standard output as all commands use it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def stdout(width: int = 160) -> "Console":
    """The terminal; where it is a file or a pipe, at least `width` wide, so that tables keep their columns."""
    from rich.console import Console  # Rich takes longer to import than `igf --help` may take

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, width))
