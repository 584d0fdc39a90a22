"""`igf observers` and `igf qat`: parse, call, print."""

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from igf_mobile.errors import GateFailed, IgfError
from igf_mobile.terminal import stdout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from igf_mobile.quantize.compare import Row

Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", "-c", help="Float weights; the shipped ones by default.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def observers(
    checkpoint: Checkpoint = None,
    observer: Annotated[
        list[str] | None,
        typer.Option(help="Repeat for several: min-max, percentile-99.9, ...; all by default."),
    ] = None,
    build: Annotated[
        Path | None,
        typer.Option(
            "--build", "-b", help="Also its w8a8 artifacts, and how near the simulation is to them."
        ),
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option(help="Write the ranges of the one observer that is named to this .json file."),
    ] = None,
    json_: Json = False,
) -> None:
    """Compare ways of choosing the activation ranges of w8a8, on the shipped calibration and proof sets.

    The float network runs once over the calibration set in PyTorch; then, for each observer, the network rounded as
    in int8 mattes the proof set. Distances are to the float model.

    Examples: `igf observers` · `igf observers --build build --json` · `igf observers --observer mse --write r.json`
    """
    from igf_mobile import ranges as tables
    from igf_mobile.calibration import calibrate
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
    from igf_mobile.observers import OBSERVERS
    from igf_mobile.quantize.compare import compare_observers

    names = observer or list(OBSERVERS)
    if write is not None and len(names) != 1:
        raise IgfError(f"--write takes one --observer, not {len(names)}; there are {', '.join(OBSERVERS)}")
    model, _ = load_checkpoint(checkpoint or DEFAULT_CHECKPOINT)
    document: dict[str, Any] = {}
    with _progress("observers", len(names) * 2 + 10) as step:
        if write is not None:
            step(f"{names[0]}: writing {write}")
            tables.save(write, calibrate(model, observer=names[0]).ranges)
        rows = compare_observers(model, names, step)
        document["observers"] = [dataclasses.asdict(row) for row in rows]
        if build is not None:
            document |= _artifacts(build, checkpoint or DEFAULT_CHECKPOINT, step)
    if json_:
        print(json.dumps(document, indent=1))
        return
    _print_rows("activation ranges by observer, against the float model", rows)
    for title in ("artifacts", "nearness"):
        if title in document:
            _print_dicts(title, document[title])


def _artifacts(build: Path, checkpoint: Path, step: "Callable[[str], None]") -> dict[str, Any]:
    from igf_mobile.checkpoint import load_checkpoint
    from igf_mobile.files import sha256_of
    from igf_mobile.manifest import load_manifest
    from igf_mobile.pipeline.calibrated import open_calibrated
    from igf_mobile.quantize.compare import compare_artifacts

    manifest = load_manifest(build)
    if sha256_of(checkpoint) != manifest.checkpoint.sha256:
        raise IgfError(f"{build} is of another checkpoint than {checkpoint}")
    if manifest.ranges is None:
        raise IgfError(f"{build} has no table of ranges; export w8a8 first")
    model, _ = load_checkpoint(checkpoint)
    calibration = open_calibrated(model, manifest.ranges, build)
    rows, nearness = compare_artifacts(calibration, manifest, build, step)
    return {
        "artifacts": [dataclasses.asdict(row) for row in rows],
        "nearness": [dataclasses.asdict(near) for near in nearness],
    }


def qat(
    run: Annotated[Path, typer.Option(help="Folder of the run; the same folder continues it.")],
    checkpoint: Checkpoint = None,
    data: Annotated[Path, typer.Option(help="Folder of `igf data build`.")] = Path("data_cache"),
    steps: Annotated[int, typer.Option(help="Optimiser steps.", min=1)] = 300,
    batch_size: Annotated[int, typer.Option(min=1)] = 8,
    crop: Annotated[int, typer.Option(help="Side of the crops, a multiple of 32.")] = 256,
    lr: Annotated[float, typer.Option(help="Peak learning rate of the weights.")] = 5e-7,
    range_lr: Annotated[float, typer.Option(help="Peak learning rate of the scales' logarithms.")] = 1e-4,
    distil: Annotated[
        float,
        typer.Option(help="Share of the float model's matte in the target; the rest is the true alpha."),
    ] = 1.0,
    observer: Annotated[str, typer.Option(help="Of the first ranges; see `igf observers`.")] = "mse",
    seed: Annotated[int, typer.Option()] = 0,
    threads: Annotated[int, typer.Option(min=1)] = 1,
    json_: Json = False,
) -> None:
    """Train a float checkpoint to bear int8 (w8a8), or go on with a run that was killed.

    Writes `qat.safetensors` into the run's folder: weights and learned activation ranges in one file, which `igf export
    -c` turns into every scheme of every runtime; its w8a8 has the learned ranges, and its float schemes the same
    weights. Then measures it beside what an export makes of the float checkpoint without training (PTQ). Exit code 1:
    no gain.

    Examples: `igf qat --run runs/q1` · `igf qat --run runs/q1 --checkpoint my.safetensors --steps 2000`
    """
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
    from igf_mobile.quantize import qat as training
    from igf_mobile.quantize.qat_state import QatConfig, load_state
    from igf_mobile.train import STATE_FILE
    from igf_mobile.training_state import preset_config

    start = checkpoint or DEFAULT_CHECKPOINT
    train = preset_config(
        "fast",
        data,
        run,
        init=str(start),
        steps=steps,
        batch_size=batch_size,
        crop=crop,
        lr=lr,
        min_lr=0.01 * lr,
        warmup_steps=min(20, steps),
        ema_decay=0.98,
        validate_every=max(1, steps // 4),
        validation_samples=16,
        checkpoint_every_seconds=30.0,
        seed=seed,
        threads=threads,
    )
    config = QatConfig(train, observer, distil, range_lr)
    path = training.train(config)
    first = load_state(run / STATE_FILE, config).first
    outcome = training.measure(start, first, path)
    if json_:
        print(json.dumps(dataclasses.asdict(outcome) | {"gains": outcome.gains}, indent=1))
    else:
        _print_rows(f"{path}, against {start.name}", outcome.rows)
    if not outcome.gains:
        raise GateFailed(
            f"no gain: {path} is no nearer to {start.name} than its int8 weights without training; export {start.name}"
        )


def _print_rows(title: str, rows: "Sequence[Row]") -> None:
    _print_dicts(title, [dataclasses.asdict(row) for row in rows])


def _print_dicts(title: str, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table(*rows[0], title=title)
    for row in rows:
        table.add_row(*(f"{value:.5g}" if isinstance(value, float) else str(value) for value in row.values()))
    stdout(120).print(table)


@contextmanager
def _progress(title: str, total: int) -> "Iterator[Callable[[str], None]]":
    """A bar on standard error that names what is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(title), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)
