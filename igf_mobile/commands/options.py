"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Build = Annotated[Path, typer.Option("--build", "-b", help="The build folder.")]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", "-c", help="Weights; the shipped ones by default.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Tolerances = Annotated[
    Path | None, typer.Option(help="Gates as JSON; the shipped ones, of the shipped checkpoint, by default.")
]
