"""`igf`: the command line. Thin: it parses, calls the package and prints; imports wait until needed.

Exit codes: 0 done, 1 a gate failed, 2 bad input or usage, 3 not possible on this machine, 130 Ctrl-C.
"""

import dataclasses
import functools
import json
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from igf_mobile import profile_cli
from igf_mobile.ablation import command as ablation_command
from igf_mobile.bench import command as bench_command
from igf_mobile.errors import GateFailed, IgfError, NotPossible
from igf_mobile.proof import command as proof_command
from igf_mobile.quantize import command as quantize_command
from igf_mobile.quantize import qat_command
from igf_mobile.terminal import stdout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

app = typer.Typer(
    name="igf",
    help="Export, quantize, verify and measure the Inductive Guided Filter for phones.\n\n"
    "Exit codes: 0 done, 1 a gate failed, 2 bad input, 3 not possible on this machine, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich's help takes longer to import than everything else together.
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Training data: fetch, index, composite.", no_args_is_help=True)
app.add_typer(data_app, name="data")
app.add_typer(profile_cli.app, name="profile")
app.command("eval")(proof_command.evaluate)
app.command("bench")(bench_command.bench)
app.command("observers")(qat_command.observers)
app.command("qat")(qat_command.qat)
app.command("ablate")(ablation_command.ablate)

_INTERRUPTED = 130


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


_screen = _Screen()

Build = Annotated[Path, typer.Option("--build", "-b", help="The build folder.")]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", "-c", help="Weights; the shipped ones by default.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
Tolerances = Annotated[
    Path | None, typer.Option(help="Gates as JSON; the shipped ones, of the shipped checkpoint, by default.")
]


def main() -> None:
    """Run `igf` and turn errors into one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except GateFailed as error:
        _fail(str(error), 1)
    except NotPossible as error:
        _fail(f"not possible here: {error}", 3)
    except (IgfError, ValueError, OSError) as error:
        _fail(str(error), 2)
    except Exception as error:
        # Typer carries a click of its own; its usage errors have this method and no public name.
        if not hasattr(error, "show"):
            raise
        error.show()
        sys.exit(2)
    if code == _INTERRUPTED:
        _fail("interrupted", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(text: str, code: int) -> NoReturn:
    _screen.print(f"igf: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, sort_keys=True))


def _checkpoint_path(checkpoint: Path | None) -> Path:
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT

    return checkpoint or DEFAULT_CHECKPOINT


@app.command()
def doctor(json_: Json = False) -> None:
    """What this machine can export, run and measure, and what is missing.

    Example: `igf doctor`
    """
    from rich.table import Table

    from igf_mobile.doctor import examine

    findings = examine()
    if json_:
        _print_json([dataclasses.asdict(f) for f in findings])
        return
    table = Table("What", "Here", "Detail")
    for finding in findings:
        table.add_row(finding.what, "yes" if finding.available else "no", finding.detail)
    stdout().print(table)


@app.command()
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
    from igf_mobile.parity import load_tolerances
    from igf_mobile.pipeline.export import export_build
    from igf_mobile.pipeline.jobs import wanted_jobs
    from igf_mobile.recipes import load_recipe
    from igf_mobile.report import write_report

    if size <= 0 or size % 32:
        raise ValueError(f"size {size} is not a positive multiple of 32")
    names = backend or backends.names()
    wanted = wanted_jobs(names, scheme, load_recipe(recipe) if recipe else None)
    rows = load_tolerances(tolerances or gates.DEFAULT_TOLERANCES)
    if budget_sad:
        if recipe or scheme or size != 512 or coefficients_only:
            raise ValueError(
                "--budget-sad finds the recipe itself, at 512; leave out --recipe, --scheme, --size and "
                "--coefficients-only"
            )
        manifest = quantize_command.export_within(
            _checkpoint_path(checkpoint), build, names, budget_sad, _Steps(None)
        )
    else:
        manifest = export_build(
            _checkpoint_path(checkpoint),
            build,
            wanted,
            (size, size),
            _Steps(2 * len(wanted)),
            coefficients_only,
        )
    failures = [sentence for record in manifest.artifacts for sentence in gates.check_artifact(record, rows)]
    report_path = write_report(build, failures)
    if json_:
        _print_json(dataclasses.asdict(manifest))
    else:
        stdout().print(_parity_table(manifest))
        stdout().print(f"{build / 'manifest.json'}  {report_path}", highlight=False)
    _raise_failures(failures)


@app.command("sensitivity")
@functools.wraps(quantize_command.sensitivity)
def sensitivity(**options: Any) -> None:
    """As `quantize.command.sensitivity`, which the report imports and which cannot write it again."""
    from igf_mobile.report import FILE_NAME, rewrite_report

    quantize_command.sensitivity(**options)
    if (options["build"] / FILE_NAME).is_file():
        rewrite_report(options["build"])


@app.command()
def verify(
    build: Build = Path("build"),
    checkpoint: Checkpoint = None,
    tolerances: Tolerances = None,
    set_tolerances: Annotated[
        Path | None, typer.Option(help="Write gates of 1.5 times what is measured now to this file.")
    ] = None,
    arch: Annotated[
        str | None,
        typer.Option(help="arm64: on phones' NEON kernels, emulated by qemu, against this machine."),
    ] = None,
    runtime: Annotated[
        str | None,
        typer.Option(help="tflite-2.14: .tflite files in the oldest runtime that apps still ship."),
    ] = None,
    json_: Json = False,
) -> None:
    """Run every artifact of a build again and hold it to its gates; exit code 1 when one fails.

    Examples: `igf verify` · `igf verify --build build --json` · `igf verify --arch arm64` ·
    `igf verify --runtime tflite-2.14`
    """
    if arch and runtime:
        raise ValueError("--arch and --runtime are two checks; give one of them")
    if arch or runtime:
        try:
            agreement = _verify_elsewhere(arch, runtime, build, json_)
        except NotPossible as reason:
            _fail(f"not run: {reason}", 3)
        _screen.print(agreement, style="green")
        return
    from igf_mobile import gates
    from igf_mobile.budget import as_json, load_budget, spend
    from igf_mobile.parity import load_tolerances
    from igf_mobile.pipeline.verify import verify_build
    from igf_mobile.quantize import artifact_scales
    from igf_mobile.report import FILE_NAME, write_report

    rows = [] if set_tolerances else load_tolerances(tolerances or gates.DEFAULT_TOLERANCES)
    names = backends_and_schemes(build)
    progress = _Steps(1 + len(names) + sum(name.endswith("-w8a8") for name in names))
    manifest, failures = verify_build(build, _checkpoint_path(checkpoint), rows, progress)
    failures += artifact_scales.check_build(manifest, build, _checkpoint_path(checkpoint), progress)
    if set_tolerances:
        # What new gates will bound may be past the old ones; what is broken may not become a gate.
        _raise_failures([s for s in failures if "no tolerance for" not in s and "fell back" not in s])
        gates.write_tolerances(set_tolerances, manifest)
        stdout().print(f"wrote {set_tolerances}", highlight=False)
        return
    spendings = spend(manifest, build, load_budget())
    failures += [s.failure for s in spendings if s.failure]
    if (build / FILE_NAME).is_file():
        write_report(build, failures)  # with what was found inside the files
    if json_:
        artifacts = dataclasses.asdict(manifest)["artifacts"]
        _print_json({"artifacts": artifacts, "failures": failures, "budget": as_json(spendings)})
    else:
        stdout().print(_parity_table(manifest))
        for spending in spendings:
            if spending.unmet:
                stdout().print(spending.unmet, highlight=False, soft_wrap=True)
    _raise_failures(failures)
    _screen.print(f"all gates passed for {len(manifest.artifacts)} artifacts", style="green")


def backends_and_schemes(build: Path) -> list[str]:
    """The artifacts of a build, by name."""
    from igf_mobile.manifest import load_manifest

    return [f"{record.backend}-{record.scheme}" for record in load_manifest(build).artifacts]


@app.command()
def report(
    build: Build = Path("build"),
    devices: Annotated[
        list[Path] | None,
        typer.Option(help="Reports of devices; those stored in the build's `devices` by default."),
    ] = None,
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="[REPORT]...", help="More of them: `--devices *.json`.")
    ] = None,
    against: Annotated[
        list[Path] | None, typer.Option(help="Older device reports; what became slower is flagged.")
    ] = None,
) -> None:
    """Write `report.html` of a build again; exit code 1 when a device became slower than in an older report.

    Examples: `igf report --build build` · `igf report --devices pixel.json iphone.json` ·
    `igf report --devices new.json --against old.json`
    """
    from igf_mobile.device.comparison import compare_files
    from igf_mobile.device.reader import stored
    from igf_mobile.report import rewrite_report

    reports = [*(devices or []), *(more or [])] or stored(build)
    older = compare_files(reports, against) if against else None
    stdout().print(str(rewrite_report(build, reports, older)), highlight=False)
    for sentence in older.unmatched if older else ():
        stdout().print(f"not compared: {sentence}", markup=False, highlight=False, soft_wrap=True)
    if older and older.regressions:
        lines = "\n".join(f"  - {sentence}" for sentence in older.regressions)
        raise GateFailed(f"{len(older.regressions)} regression(s) against older reports:\n{lines}")


@app.command()
def matte(
    image: Annotated[Path, typer.Argument(help="The photograph.")],
    mask: Annotated[Path, typer.Argument(help="Its weak mask: white is foreground.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the result goes, a .png.")],
    runtime: Annotated[str, typer.Option(help="float, or a backend of the build folder.")] = "float",
    scheme: Annotated[str, typer.Option(help="Of the artifact; not for float.")] = "fp32",
    background: Annotated[
        str | None, typer.Option(help="A colour (#00b140, white) or picture to composite on; else alpha.")
    ] = None,
    native: Annotated[
        bool, typer.Option("--native", help="Run at the photograph's own size (float only), not at 512.")
    ] = False,
    invert: Annotated[
        bool, typer.Option("--invert", help="The mask is white where the background is.")
    ] = False,
    build: Build = Path("build"),
    checkpoint: Checkpoint = None,
) -> None:
    """Matte one photograph at its full resolution.

    Examples: `igf matte photo.jpg mask.png -o alpha.png` ·
    `igf matte photo.jpg mask.png -o out.png --runtime litert --scheme w8a8 --background white`
    """
    from igf_mobile import images, matting
    from igf_mobile.pipeline.runners import open_runner

    guidance = images.read_image(image)
    weak_mask = images.read_mask(mask, size=(guidance.shape[0], guidance.shape[1]), invert=invert)
    if native and runtime != "float":
        raise ValueError(f"--native goes with --runtime float; a {runtime} artifact has a fixed size")
    runner, size = open_runner(runtime, scheme, build, _checkpoint_path(checkpoint))
    alpha = matting.matte(runner, guidance, weak_mask, None if native else size)
    if background is None:
        images.write_alpha(out, alpha)
        return
    behind = images.read_image(Path(background)) if Path(background).is_file() else background
    images.write_image(out, matting.composite(guidance, alpha, behind))


@app.command()
def train(
    run: Annotated[Path, typer.Option(help="Folder of the run; the same folder continues it.")],
    data: Annotated[Path, typer.Option(help="Folder of `igf data build`.")] = Path("data_cache"),
    preset: Annotated[str, typer.Option(help="fast, or paper (the recipe of section 3.4).")] = "fast",
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.", min=1)] = None,
    batch_size: Annotated[int | None, typer.Option(min=1)] = None,
    crop: Annotated[int | None, typer.Option(help="Side of the crops, a multiple of 32.")] = None,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.")] = None,
    seed: Annotated[int | None, typer.Option()] = None,
    threads: Annotated[int | None, typer.Option(min=1)] = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint to start from.")] = None,
    extend: Annotated[bool, typer.Option("--extend", help="Continue with another number of steps.")] = False,
) -> None:
    """Train a checkpoint, or go on with a run that was killed.

    Examples: `igf train --run runs/a` · `igf train --run runs/a --steps 80000 --extend`
    """
    from igf_mobile.train import train as run_training
    from igf_mobile.training_state import preset_config

    changes = {
        "steps": steps,
        "batch_size": batch_size,
        "crop": crop,
        "lr": lr,
        "seed": seed,
        "threads": threads,
        "init": str(init) if init else None,
    }
    config = preset_config(preset, str(data), str(run), **{k: v for k, v in changes.items() if v is not None})
    stdout().print(str(run_training(config, extend=extend)), highlight=False)


@data_app.command("build")
def data_build(
    data: Annotated[Path, typer.Option(help="Where the data go.")] = Path("data_cache"),
    count: Annotated[int, typer.Option(help="Composites for training.", min=256)] = 4096,
    seed: Annotated[int, typer.Option()] = 0,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 2,
) -> None:
    """Fetch the sources by package name, filter and index them, and make composites. Resumes.

    Example: `igf data build --count 10000`
    """
    from igf_mobile.data.build import build_data

    for sheet in build_data(data, count, seed, workers):
        stdout().print(f"{sheet}: image, alpha and weak mask of some composites", soft_wrap=True)


class _Steps:
    """Prints each step with the time since the start and how many there are."""

    def __init__(self, total: int | None) -> None:
        import time

        self.total, self.done, self.clock = total, 0, time.monotonic
        self.start = self.clock()

    def __call__(self, text: str) -> None:
        self.done += 1
        of = f"/{self.total}" if self.total else ""
        _screen.print(
            f"[dim]{self.clock() - self.start:6.1f} s  {self.done}{of}[/dim]  {text}", highlight=False
        )


def _verify_elsewhere(arch: str | None, runtime: str | None, build: Path, as_json: bool) -> str:
    """`--arch` or, without it, `--runtime`; what agreed."""
    if arch:
        from igf_mobile.arm.command import verify_architecture

        passed = verify_architecture(arch, build, as_json, stdout(), _Steps(None))
        return f"{passed} runs on emulated Arm cores agree with this machine"
    from igf_mobile.oldest.command import verify_runtime

    passed = verify_runtime(str(runtime), build, as_json, stdout(), _Steps(None))
    return f"{passed} artifacts agree with the current runtime in {runtime}"


def _raise_failures(failures: list[str]) -> None:
    if failures:
        raise GateFailed.of(failures)


def _parity_table(manifest: Any) -> "Table":
    from rich.table import Table

    table = Table(title=f"{manifest.name} {manifest.version}")
    for column in ("Backend", "Scheme", "Step", "KB", "SQNR dB", "max |error|", "SAD", "SAD / float", "ms"):
        text = column in ("Backend", "Scheme", "Step")
        table.add_column(column, justify="left" if text else "right", no_wrap=True)
    table.add_column("Ran on")
    for record in manifest.artifacts:
        parity, latency = record.parity, record.latency
        values = ["-"] * 5
        if parity is not None:
            ratio = parity.matte.sad / parity.float_matte.sad
            values = [parity.step, f"{parity.alpha.sqnr_db:.1f}", f"{parity.alpha.max_abs:.2g}"]
            values += [f"{parity.matte.sad:.3f}", f"{ratio:.4f}"]
        table.add_row(
            record.backend,
            record.scheme,
            values[0],
            f"{record.bytes / 1000:.0f}",
            *values[1:],
            f"{latency.median_ms:.1f}" if latency else "-",
            record.ran_on,
        )
    return table
