"""`igf`: the command line. Thin: it parses, calls the package and prints; imports wait until needed.

Exit codes: 0 done, 1 a gate failed, 2 bad input or usage, 3 not possible on this machine, 130 Ctrl-C.
"""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from igf_mobile import profile_cli
from igf_mobile.ablation import command as ablation_command
from igf_mobile.bench import command as bench_command
from igf_mobile.commands.export import export
from igf_mobile.commands.options import Build, Checkpoint, Json
from igf_mobile.commands.verify import verify
from igf_mobile.errors import GateFailed, IgfError, NotPossible
from igf_mobile.proof import command as proof_command
from igf_mobile.quantize import command as quantize_command
from igf_mobile.quantize import qat_command
from igf_mobile.terminal import fail, print_json, stdout

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


def main() -> None:
    """Run `igf` and turn errors into one line and an exit code."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as done:
        code = done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except GateFailed as error:
        fail(str(error), 1)
    except NotPossible as error:
        fail(f"not possible here: {error}", 3)
    except (IgfError, ValueError, OSError) as error:
        fail(str(error), 2)
    except Exception as error:
        # Typer carries a click of its own; its usage errors have this method and no public name.
        if not hasattr(error, "show"):
            raise
        error.show()
        sys.exit(2)
    if code == _INTERRUPTED:
        fail("interrupted", _INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


@app.command()
def doctor(json_: Json = False) -> None:
    """What this machine can export, run and measure, and what is missing.

    Example: `igf doctor`
    """
    from rich.table import Table

    from igf_mobile.doctor import examine

    findings = examine()
    if json_:
        print_json([dataclasses.asdict(f) for f in findings])
        return
    table = Table("What", "Here", "Detail")
    for finding in findings:
        table.add_row(finding.what, "yes" if finding.available else "no", finding.detail)
    stdout().print(table)


app.command()(export)


@app.command("sensitivity")
@functools.wraps(quantize_command.sensitivity)
def sensitivity(**options: Any) -> None:
    """As `quantize.command.sensitivity`, which the report imports and which cannot write it again."""
    from igf_mobile.report import FILE_NAME, rewrite_report

    quantize_command.sensitivity(**options)
    if (options["build"] / FILE_NAME).is_file():
        rewrite_report(options["build"])


app.command()(verify)


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
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
    from igf_mobile.pipeline.runners import open_runner

    guidance = images.read_image(image)
    weak_mask = images.read_mask(mask, size=(guidance.shape[0], guidance.shape[1]), invert=invert)
    if native and runtime != "float":
        raise ValueError(f"--native goes with --runtime float; a {runtime} artifact has a fixed size")
    runner, size = open_runner(runtime, scheme, build, checkpoint or DEFAULT_CHECKPOINT)
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
    workers: Annotated[int | None, typer.Option(help="Processes that make batches.", min=0)] = None,
    init: Annotated[Path | None, typer.Option(help="Checkpoint to start from.")] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Learn the mattes of this artifact, of any network, exported with --size of the crops."
        ),
    ] = None,
    teacher_share: Annotated[
        float | None, typer.Option(help="Share of the teacher's matte in the target.", min=0.0, max=1.0)
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write TensorBoard's event files into the run, beside log.jsonl."),
    ] = False,
    extend: Annotated[bool, typer.Option("--extend", help="Continue with another number of steps.")] = False,
) -> None:
    """Train a checkpoint, or go on with a run that was killed.

    Examples: `igf train --run runs/a` · `igf train --run runs/a --steps 80000 --extend` ·
    `igf train --run runs/b --tensorboard`, then `tensorboard --logdir runs` · `igf export --size 256 --backend litert
    --scheme fp32 -b taught-by`, then `igf train --run runs/c --teacher taught-by/igf-512-litert-fp32.tflite`
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
        "workers": workers,
        "tensorboard": tensorboard or None,
        "init": str(init) if init else None,
        "teacher": str(teacher) if teacher else None,
        "teacher_share": teacher_share,
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
