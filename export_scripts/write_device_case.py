"""Write `device_case/` into a build folder that was exported without one; `igf export` does it by itself.

python export_scripts/write_device_case.py build
"""

from pathlib import Path
from typing import Annotated

import typer

from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.device_case import write_device_case
from igf_mobile.manifest import load_manifest


def write(
    build: Annotated[Path, typer.Argument(help="The build folder.")] = Path("build"),
    checkpoint: Annotated[Path, typer.Option(help="Weights.")] = DEFAULT_CHECKPOINT,
) -> None:
    """Write the case and say where."""
    model, _ = load_checkpoint(checkpoint)
    print(write_device_case(model, load_manifest(build), build))


if __name__ == "__main__":
    typer.run(write)
