"""Export a checkpoint to ExecuTorch (.pte) in every scheme the backend has, or in those asked for.

    python export_scripts/export_executorch.py --scheme w8a8 --build build

The same functions as `igf export --backend executorch`, for those who want a script to start from.
"""

from pathlib import Path
from typing import Annotated

import typer

from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
from igf_mobile.pipeline.export import export_build
from igf_mobile.pipeline.jobs import wanted_jobs


def export(
    checkpoint: Annotated[Path, typer.Option(help="Weights.")] = DEFAULT_CHECKPOINT,
    build: Annotated[Path, typer.Option(help="The build folder.")] = Path("build"),
    scheme: Annotated[list[str] | None, typer.Option(help="Repeat for several; all by default.")] = None,
) -> None:
    """Export to ExecuTorch (.pte)."""
    export_build(checkpoint, build, wanted_jobs(["executorch"], scheme))


if __name__ == "__main__":
    typer.run(export)
