"""Write `shared_vectors/` again, after the checkpoint or a definition changed.

python export_scripts/write_vectors.py
"""

from pathlib import Path
from typing import Annotated

import typer

from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
from igf_mobile.vectors import write_vectors


def write(
    checkpoint: Annotated[Path, typer.Option(help="Weights.")] = DEFAULT_CHECKPOINT,
    folder: Annotated[Path, typer.Option(help="Where the cases go.")] = Path("shared_vectors"),
) -> None:
    """Write the golden cases."""
    write_vectors(checkpoint, folder)


if __name__ == "__main__":
    typer.run(write)
