"""`igf eval`: which suite, what to run, how to print it."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igf_mobile.errors import GateFailed, IgfError
from igf_mobile.terminal import stdout

if TYPE_CHECKING:
    from igf_mobile.evaluate import EvalCase
    from igf_mobile.proof.cache import Cache
    from igf_mobile.proof.run import Proof

REAL = "real"
REAL_VARIABLE = "IGF_REAL_SUITE"
REAL_FOLDER = Path("../shared/eval/alphamatting_lowres_odd")


def suite_folder(name: str) -> Path:
    """The folder of `real`, or the folder that is named.

    Raises:
        IgfError: `real` is asked for and there is none.
    """
    if name != REAL:
        return Path(name)
    if chosen := os.environ.get(REAL_VARIABLE):
        return Path(chosen)
    if REAL_FOLDER.is_dir():
        return REAL_FOLDER
    raise IgfError(
        f"no suite 'real': {REAL_FOLDER} does not exist; set {REAL_VARIABLE} to, or give --suite, a folder with input/ "
        "and gt/ as alphamatting.com's training set has them"
    )


def evaluate(
    suite: Annotated[
        str, typer.Option(help="A folder with input/ and gt/ (alphamatting.com layout), or 'real'.")
    ] = REAL,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Weights; the shipped ones by default.")
    ] = None,
    peers: Annotated[
        bool, typer.Option(help="Also closed-form and KNN matting, MediaPipe's selfie mask, u2netp.")
    ] = True,
    studies: Annotated[bool, typer.Option(help="Also error against mask damage, and flicker.")] = True,
    runtime: Annotated[str, typer.Option(help="float, or a backend of the build folder.")] = "float",
    scheme: Annotated[str, typer.Option(help="Of the artifact; not for float.")] = "fp32",
    artifacts: Annotated[
        bool,
        typer.Option("--artifacts", help="Every artifact of the build beside the float model, nothing else."),
    ] = False,
    build: Annotated[Path, typer.Option("--build", "-b", help="The build folder.")] = Path("build"),
    cache: Annotated[
        Path | None, typer.Option(help="Folder of results and models; the user's cache by default.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write tables, plots and pictures to this file.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Matting errors on photographs with true alpha, ours beside its peers (paper, section 4).

    Results are cached by content: a new checkpoint runs its own rows alone. Exit code 1: the checkpoint hardly uses
    its image.

    Examples: `igf eval --suite real --html proof.html` · `igf eval --suite DIR --no-peers --no-studies` ·
    `igf eval --artifacts --build build`
    """
    from rich.console import Console

    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
    from igf_mobile.evaluate import load_suite
    from igf_mobile.pipeline.runners import open_runner
    from igf_mobile.proof.bars import Bars
    from igf_mobile.proof.cache import Cache, default_folder
    from igf_mobile.proof.page import write_page
    from igf_mobile.proof.run import checkpoint_name, prove

    folder = suite_folder(suite)
    cases = load_suite(folder)
    weights = checkpoint or DEFAULT_CHECKPOINT
    if artifacts:
        _evaluate_artifacts(build, weights, cases, Cache(cache or default_folder()), json_)
        return
    runner, _ = open_runner(runtime, scheme, build, weights)
    ran_on = (
        "float" if runtime == "float" else f"{runtime} {scheme} {_artifact_digest(build, runtime, scheme)}"
    )
    name = checkpoint_name(weights, ran_on)
    results = Cache(cache or default_folder())
    screen = Console(stderr=True)
    with Bars(screen, len(cases)) as bars:
        # an artifact has one size, and panned frames another
        proof = prove(cases, runner, name, results, peers, studies and runtime == "float", bars.advance)
    if studies and runtime != "float":
        screen.print(
            "mask damage and flicker: not run: they are measured on the float model", highlight=False
        )
    if html is not None:
        write_page(html, proof, cases, results)
    if json_:
        print(json.dumps(proof.as_dict(), indent=1))
    else:
        _print(proof, len(cases))
    if html is not None and not json_:
        print(html)
    if proof.guidance_failures:
        raise GateFailed("; ".join(proof.guidance_failures))


def _evaluate_artifacts(
    build: Path, weights: Path, cases: "list[EvalCase]", cache: "Cache", json_: bool
) -> None:
    from rich.console import Console
    from rich.table import Table

    from igf_mobile.budget import load_budget, spend
    from igf_mobile.manifest import load_manifest
    from igf_mobile.proof.artifacts import measure_artifacts, table_rows
    from igf_mobile.proof.bars import Bars

    screen = Console(stderr=True)
    with Bars(screen, len(cases)) as bars:
        result = measure_artifacts(build, weights, cases, cache, bars.advance)
    if json_:
        print(json.dumps(result, indent=1))
    else:
        header, *rows = table_rows(result)
        table = Table(*header, title=f"{len(cases)} photographs")
        for row in rows:
            table.add_row(*row)
        stdout().print(table)
    spendings = spend(load_manifest(build), build, load_budget())
    if failures := [s.failure for s in spendings if s.failure and s.bound.on_photographs]:
        raise GateFailed.of(failures)


def _artifact_digest(build: Path, runtime: str, scheme: str) -> str:
    from igf_mobile.manifest import load_manifest

    record = load_manifest(build).find(runtime, scheme)
    return record.sha256[:12] if record else ""


def _print(proof: "Proof", images: int) -> None:
    from rich.table import Table

    from igf_mobile.proof.tables import difference_rows, error_rows, flicker_rows, study_rows

    console = stdout()
    tables = [(f"{images} photographs, mean [95 % interval]", error_rows(proof))]
    tables.append(("other minus ours, above 0 ours is better", difference_rows(proof)))
    if proof.damage:
        tables.append(("SAD (MSE) against the largest kernel that damaged the mask", study_rows(proof)))
        tables.append(("flicker of a panned photograph, thousandths of alpha", flicker_rows(proof)))
    for title, rows in tables:
        table = Table(*rows[0], title=title)
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
    use = proof.guidance
    console.print(
        f"uses its image: blurring it changes {use.blur_change:.0%} of what the network repairs, "
        f"{use.detail_share:.0%} of the matte's gradient energy comes from A * I, mean |A| {use.mean_slope:.3f}",
        highlight=False,
    )
