"""`igf sensitivity`, and `igf export --budget-sad`."""

import dataclasses
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igf_mobile.errors import NotPossible
from igf_mobile.terminal import stdout

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

    from igf_mobile.manifest import Manifest
    from igf_mobile.quantize.ranking import Sensitivity
    from igf_mobile.recipes import Recipe


def sensitivity(
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Weights; the shipped ones by default.")
    ] = None,
    build: Annotated[Path, typer.Option("--build", "-b", help="Where the ranking and its plot go.")] = Path(
        "build"
    ),
    suite: Annotated[
        str, typer.Option(help="proof: the shipped composites; or a folder with input/ and gt/.")
    ] = "proof",
    by: Annotated[str, typer.Option(help="layer or block.")] = "layer",
    precision: Annotated[str, typer.Option(help="What to quantize to: w8a8 or w8.")] = "w8a8",
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON document instead of a table.")
    ] = False,
) -> None:
    """Rank layers by what their int8 costs the matte: one at a time, the rest in float, in a simulation.

    Writes sensitivity.json and sensitivity.svg into the build folder, and its report again, which shows them. The
    simulation of all layers together is printed beside what the build's w8a8 artifacts measured.

    Examples: `igf sensitivity` · `igf sensitivity --by block --suite DIR` · `igf sensitivity --precision w8 --json`
    """

    from igf_mobile.calibration import calibrate
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
    from igf_mobile.files import sha256_of
    from igf_mobile.quantize.plot import write_plot
    from igf_mobile.quantize.ranking import save
    from igf_mobile.quantize.sensitivity import Bench, measure

    path = checkpoint or DEFAULT_CHECKPOINT
    model, info = load_checkpoint(path)
    with _Bar() as bar:
        bench = Bench(calibrate(model, info.ranges, str(path)), suite, bar)
        found = measure(bench, sha256_of(path), suite, by, precision, bar)
    save(found, build)
    plot = write_plot(found, build)
    artifacts = _artifact_losses(build, found)
    if json_:
        print(json.dumps({**dataclasses.asdict(found), "artifacts": artifacts}, indent=1))
        return
    console = stdout(120)
    console.print(_table(found))
    console.print(f"all layers together, simulated: {found.all_loss:+.2%}", highlight=False)
    for name, loss in artifacts.items():
        console.print(f"{name}, the artifact of {build}: {loss:+.2%}", highlight=False)
    console.print(f"{build / 'sensitivity.json'}  {plot}", highlight=False)


def _table(found: "Sensitivity") -> "Table":
    from rich.table import Table

    title = f"{found.precision}, one {found.unit} at a time, {found.samples} samples of {found.suite}"
    table = Table(title=f"{title}; float SAD {found.float_sad:.3f}")
    table.add_column(found.unit.capitalize(), no_wrap=True)
    for column in ("SAD", "loss", "worst sample", "its loss", "M multiplications", "weights"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found.rows:
        numbers = (f"{row.sad:.4f}", f"{row.loss:+.3%}", row.worst, f"{row.worst_loss:+.2%}")
        table.add_row(row.name, *numbers, f"{row.macs / 1e6:.2f}", str(row.weights))
    return table


def _artifact_losses(build: Path, found: "Sensitivity") -> dict[str, float]:
    """Loss of SAD of the build's own artifacts, where they are of the same network, scheme and samples."""
    from igf_mobile.errors import DamagedFile
    from igf_mobile.manifest import load_manifest
    from igf_mobile.quantize.sensitivity import PROOF

    try:
        manifest = load_manifest(build)
    except DamagedFile:
        return {}
    if manifest.checkpoint.sha256 != found.checkpoint_sha256 or found.suite != PROOF:
        return {}
    return {
        record.name: record.parity.matte.sad / record.parity.float_matte.sad - 1.0
        for record in manifest.artifacts
        if record.scheme == found.precision and record.parity is not None
    }


def export_within(
    checkpoint: Path,
    build: Path,
    backend_names: Sequence[str],
    budget_text: str,
    progress: Callable[[str], None],
) -> "Manifest":
    """Find, export and measure the cheapest recipe of each backend within a budget; see `budget`.

    Args:
        checkpoint: a safetensors checkpoint.
        build: the build folder; recipes go to its `recipes/`.
        backend_names: to search, one after the other.
        budget_text: "1%" or "0.01".
        progress: is told a line per step.

    Raises:
        ValueError: no such budget, or a backend that has no recipes.
        GateFailed: a backend has none within the budget.
        NotPossible: an artifact cannot be measured here.
    """
    from igf_mobile import backends
    from igf_mobile.calibration import calibrate
    from igf_mobile.checkpoint import load_checkpoint
    from igf_mobile.errors import GateFailed
    from igf_mobile.files import sha256_of
    from igf_mobile.manifest import load_manifest
    from igf_mobile.pipeline.export import export_build
    from igf_mobile.pipeline.folder import RECIPES
    from igf_mobile.pipeline.jobs import wanted_jobs
    from igf_mobile.quantize import budget, ranking, sensitivity
    from igf_mobile.quantize.plot import write_plot
    from igf_mobile.recipes import STATIC

    share = budget.parse_budget(budget_text)
    for name in backend_names:
        if STATIC not in backends.get(name).layer_precisions:
            raise ValueError(f"{name} takes no recipes, so there is nothing to search")
    model, info = load_checkpoint(checkpoint)
    with _Bar() as bar:
        bench = sensitivity.Bench(calibrate(model, info.ranges, str(checkpoint)), progress=bar)
        ranked = sensitivity.measure(bench, sha256_of(checkpoint), progress=bar)
    ranking.save(ranked, build)
    write_plot(ranked, build)
    known: dict[tuple[str, ...], float] = {}

    def simulate(layers: "dict[str, str]") -> float:
        key = tuple(layers.values())
        if key not in known:
            known[key] = bench.mean_sad(layers) / ranked.float_sad
        return known[key]

    for name in backend_names:

        def measured(recipe: "Recipe | None", name: str = name) -> float:
            wanted = wanted_jobs([name], None if recipe else ["w8a8"], recipe)
            manifest = export_build(checkpoint, build, wanted, progress=progress)
            record = manifest.find(name, recipe.name if recipe else "w8a8")
            if record is None or record.parity is None:
                raise NotPossible(record.ran_on if record else f"{name} gave no artifact")
            return record.parity.matte.sad / record.parity.float_matte.sad

        whole = measured(None)
        if whole <= 1.0 + share:
            progress(
                f"{name}: w8a8 throughout stays within {budget_text}: SAD ratio {whole:.4f}; no recipe needed"
            )
            continue
        precisions = backends.get(name).layer_precisions
        try:
            choice = budget.within(name, precisions, ranked.rows, share, simulate, measured, progress, whole)
        except GateFailed:
            _forget(build, name, budget.recipe_name(name, share))
            raise
        progress(
            f"{name}: {build / RECIPES / choice.recipe.name}.json: SAD ratio {choice.ratio:.4f}, "
            f"{choice.float_macs / choice.all_macs:.1%} of the multiplications in float"
        )
    return load_manifest(build)


def _forget(build: Path, backend: str, scheme: str) -> None:
    """Take an artifact that is past its budget out of a build."""
    from igf_mobile.manifest import load_manifest, save_manifest
    from igf_mobile.pipeline.folder import MATTES

    manifest = load_manifest(build)
    record = manifest.find(backend, scheme)
    if record is None or record.recipe is None:
        return
    rest = tuple(other for other in manifest.artifacts if other is not record)
    save_manifest(dataclasses.replace(manifest, artifacts=rest), build)
    for path in (build / record.file, build / MATTES / f"{backend}-{scheme}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (build / record.recipe.file.file).unlink(missing_ok=True)


class _Bar:
    """A progress bar per kind of step, on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description:<34}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self.progress = Progress(*columns, console=Console(stderr=True))
        self.tasks: dict[int, TaskID] = {}

    def __enter__(self) -> "_Bar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, text: str, total: int) -> None:
        """One more of `total`; steps of the same total share a bar."""
        if total not in self.tasks:
            self.tasks[total] = self.progress.add_task(text, total=total)
        self.progress.update(self.tasks[total], advance=1, description=text)
