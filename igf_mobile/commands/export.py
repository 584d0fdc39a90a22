"""`igf export`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from igf_mobile.commands.options import Build, Checkpoint, Json, Tolerances
from igf_mobile.commands.parity_table import parity_table
from igf_mobile.errors import GateFailed
from igf_mobile.quantize.command import export_within
from igf_mobile.terminal import Steps, print_json, stdout


def export(
    checkpoint: Checkpoint = None,
    build: Build = Path("build"),
    backend: Annotated[list[str] | None, typer.Option(help="Repeat for several; all by default.")] = None,
    scheme: Annotated[list[str] | None, typer.Option(help="Repeat for several; all by default.")] = None,
    size: Annotated[int, typer.Option(help="Side of the images, a multiple of 32.")] = 512,
    recipe: Annotated[
        Path | None, typer.Option(help="A mixed-precision recipe (JSON) to export by, beside fp32.")
    ] = None,
    budget_sad: Annotated[
        str | None,
        typer.Option(
            help="Find the recipe with the fewest float operations whose SAD grows by at most this: 1%."
        ),
    ] = None,
    coefficients_only: Annotated[
        bool,
        typer.Option(
            "--coefficients-only",
            help="End at A and B (a quarter of the size): the app applies them to the frame at its own size.",
        ),
    ] = False,
    tolerances: Tolerances = None,
    json_: Json = False,
) -> None:
    """Export a checkpoint to every runtime and scheme, measure parity, write the manifest and report.

    Nothing that is current is built again. A gate that fails ends in exit code 1; the files stay.

    Examples: `igf export` · `igf export --backend litert --scheme w8a8` · `igf export -c my.safetensors` ·
    `igf export --recipe mixed.json` · `igf export --backend litert --budget-sad 1%` ·
    `igf export --coefficients-only -b build-coefficients`
    """
    from igf_mobile import backends, gates
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
    from igf_mobile.parity import load_tolerances
    from igf_mobile.pipeline.export import export_build
    from igf_mobile.pipeline.jobs import wanted_jobs
    from igf_mobile.recipes import load_recipe
    from igf_mobile.report import write_report

    if size <= 0 or size % 32:
        raise ValueError(f"size {size} is not a positive multiple of 32")
    weights = checkpoint or DEFAULT_CHECKPOINT
    names = backend or backends.names()
    wanted = wanted_jobs(names, scheme, load_recipe(recipe) if recipe else None)
    rows = load_tolerances(tolerances or gates.DEFAULT_TOLERANCES)
    if budget_sad:
        if recipe or scheme or size != 512 or coefficients_only:
            raise ValueError(
                "--budget-sad finds the recipe itself, at 512; leave out --recipe, --scheme, --size and "
                "--coefficients-only"
            )
        manifest = export_within(weights, build, names, budget_sad, Steps(None))
    else:
        manifest = export_build(
            weights,
            build,
            wanted,
            (size, size),
            Steps(2 * len(wanted)),
            coefficients_only,
        )
    failures = [sentence for record in manifest.artifacts for sentence in gates.check_artifact(record, rows)]
    report_path = write_report(build, failures)
    if json_:
        print_json(dataclasses.asdict(manifest))
    else:
        stdout().print(parity_table(manifest))
        stdout().print(f"{build / 'manifest.json'}  {report_path}", highlight=False)
    if failures:
        raise GateFailed.of(failures)
