"""`igf bench`: what to measure, how to print it."""

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igf_mobile.terminal import stdout

if TYPE_CHECKING:
    from igf_mobile.bench.frame import Format
    from igf_mobile.bench.run import Tell
    from igf_mobile.bench.sides import Spec

_LOG = "bench.log"


def bench(
    build: Annotated[Path, typer.Option("--build", "-b", help="The build folder.")] = Path("build"),
    only: Annotated[
        list[str] | None,
        typer.Option(help="An artifact, as litert-fp32; repeat for several. All by default."),
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="Of the runtime; repeat for several. 1 and 2 by default.", min=1)
    ] = None,
    iterations: Annotated[int, typer.Option(help="Timed calls of each side.", min=1)] = 200,
    warm_up: Annotated[int, typer.Option(help="Calls before them.", min=0)] = 20,
    block: Annotated[int, typer.Option(help="Calls in a row before the next side's turn.", min=1)] = 10,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Also OpenCV's and PyMatting's filters, MediaPipe, u2netp."),
    ] = False,
    compiled: Annotated[
        bool, typer.Option("--compiled", help="Also torch.compile of the network; a minute or three to load.")
    ] = False,
    memory: Annotated[bool, typer.Option(help="Peak memory, in a process of its own per side.")] = True,
    roofline: Annotated[
        bool, typer.Option(help="Probe the machine; latencies as multiples of the least a frame can take.")
    ] = True,
    sustained: Annotated[
        float, typer.Option(help="Then so many seconds of each artifact alone, back to back.", min=0)
    ] = 0,
    frame: Annotated[
        str | None, typer.Option(metavar="WxH", help="Also whole frames by stage, as 1280x720.")
    ] = None,
    frame_format: Annotated[str, typer.Option(help="Of those frames: nv12, bgra or jpeg.")] = "nv12",
    applied: Annotated[
        Path | None,
        typer.Option(
            metavar="BUILD",
            help="Also its artifacts with A and B applied to a frame of --applied-at: of `igf export "
            "--coefficients-only`, or any.",
        ),
    ] = None,
    applied_at: Annotated[str, typer.Option(metavar="WxH", help="With --applied: the frame.")] = "3840x2160",
    latency_report: Annotated[
        Path | None,
        typer.Option(help="Write a report for `igf report --devices`: this machine beside phones."),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Weights of the torch side; the shipped ones.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="ARTIFACT", help="Only this: its time by operator, as litert-fp32.")
    ] = None,
    scaling: Annotated[
        bool,
        typer.Option("--scaling", help="Only this: time by the picture's size, 256 to 2048, and by batch."),
    ] = False,
    scaling_build: Annotated[
        list[Path] | None, typer.Option(help="With --scaling: builds of `igf export --size`; repeat.")
    ] = None,
    toolchain: Annotated[
        bool,
        typer.Option(
            "--toolchain",
            help="Only this: time a whole export, verification, other sizes; minutes.",
        ),
    ] = False,
    passes: Annotated[int, typer.Option(help="Of --profile: how often each operator is timed.", min=1)] = 5,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NEW OLD", help="Measure nothing: ratios of two runs written by --output, like with like."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write the run as JSON; after each round what there is."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Time the artifacts of a build on this machine, eager torch beside them; all take turns, a process each.

    A run that is stopped leaves the rounds before in --output.

    Examples: `igf bench` · `igf bench --peers --only litert-fp32 --threads 1 -o a.json` ·
    `igf bench --compare b.json a.json` · `igf bench --profile litert-fp32` ·
    `igf bench --only litert-fp32 --applied build-ab --threads 2`
    """
    if compare:
        _compare(*compare, json_)
        return
    if toolchain:
        _toolchain(checkpoint, json_)
        return
    if scaling:
        _scaling(build, scaling_build or [], checkpoint, (threads or [1])[0], json_)
        return
    if profile:
        _profile(build, profile, (threads or [1])[0], passes, json_)
        return
    from igf_mobile.bench import desktop, record, tables
    from igf_mobile.bench.peers import peer_specs
    from igf_mobile.bench.run import FrameSpec, Plan, run_bench
    from igf_mobile.bench.sides import (
        applied_specs,
        artifact_specs,
        cache_folder,
        compiled_spec,
        eager_spec,
    )
    from igf_mobile.manifest import load_manifest

    manifest = load_manifest(build)
    size = (manifest.size[0], manifest.size[1])
    specs: list[Spec] = []
    for count in threads or [1, 2]:
        base = eager_spec(build, checkpoint, cache_folder(), size, count)
        specs += [base, *artifact_specs(manifest, base, only or ())]
        if applied:
            base_applied = dataclasses.replace(base, build=str(applied))
            specs += applied_specs(load_manifest(applied), base_applied, _size(applied_at), only or ())
        if count == (threads or [1])[0]:
            specs += [compiled_spec(base)] if compiled else []
            specs += peer_specs(base) if peers else []
    whole = FrameSpec(_format(frame_format), _size(frame)) if frame else None
    plan = Plan(
        specs,
        warm_up,
        iterations,
        block,
        memory,
        roofline,
        sustained,
        whole,
        parity=latency_report is not None,
    )
    keep = (lambda so_far: record.save(so_far, output)) if output else (lambda so_far: None)
    run = run_bench(plan, build, size, cache_folder() / _LOG, _teller(), keep)
    if output:
        record.save(run, output)
    if latency_report:
        desktop.write_report(desktop.desktop_report(run, manifest, build), latency_report)
    if json_:
        print(json.dumps(record.as_json(run), indent=1, sort_keys=True))
        return
    console = stdout()
    console.print(tables.latency_table(run))
    if peers or applied:
        console.print(tables.ratio_table(run))
    if whole:
        console.print(tables.stage_table(run))
    if sustained:
        console.print(tables.sustained_table(run))
    console.print(tables.limits(run), highlight=False, markup=False)
    console.print(tables.how(run), highlight=False, markup=False)


def _size(text: str) -> tuple[int, int]:
    """ "1280x720" -> (720, 1280)."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()) or not int(width) * int(height):
        raise ValueError(f"{text!r} is no size; write it as 1280x720")
    return int(height), int(width)


def _format(name: str) -> "Format":
    from igf_mobile.bench.frame import FORMATS

    for known in FORMATS:
        if name == known:
            return known
    raise ValueError(f"unknown frame format {name!r}; available: {', '.join(FORMATS)}")


def _compare(new: Path, old: Path, json_: bool) -> None:
    from igf_mobile.bench import record, tables
    from igf_mobile.bench.ratios import compare_runs

    found = compare_runs(record.load(new), record.load(old))
    if json_:
        print(json.dumps([dataclasses.asdict(comparison) for comparison in found], indent=1, sort_keys=True))
    else:
        stdout().print(tables.comparison_table(found))


def _profile(build: Path, artifact: str, threads: int, passes: int, json_: bool) -> None:
    from igf_mobile.bench import tables
    from igf_mobile.bench.operators import profile_apart

    found = profile_apart(build, artifact, threads, passes)
    if json_:
        print(json.dumps(dataclasses.asdict(found), indent=1, sort_keys=True))
    else:
        stdout().print(tables.profile_table(found))


def _scaling(build: Path, builds: list[Path], checkpoint: Path | None, threads: int, json_: bool) -> None:
    from igf_mobile.bench import tables
    from igf_mobile.bench.scaling import measure_scaling
    from igf_mobile.bench.sides import cache_folder, eager_spec

    base = eager_spec(build, checkpoint, cache_folder(), (0, 0), threads)
    found = measure_scaling(base, [build, *builds], cache_folder() / _LOG, _teller())
    if json_:
        print(json.dumps([dataclasses.asdict(point) for point in found], indent=1, sort_keys=True))
    else:
        stdout().print(tables.scaling_table(found, threads))


def _toolchain(checkpoint: Path | None, json_: bool) -> None:
    from igf_mobile.bench import tables
    from igf_mobile.bench.toolchain import measure_toolchain

    found = measure_toolchain(checkpoint, _teller())
    if json_:
        print(json.dumps([dataclasses.asdict(step) for step in found], indent=1, sort_keys=True))
    else:
        stdout().print(tables.toolchain_table(found))


def _teller() -> "Tell":
    from rich.console import Console

    start, screen = time.monotonic(), Console(stderr=True)

    def tell(text: str) -> None:
        screen.print(f"[dim]{time.monotonic() - start:6.1f} s[/dim]  {text}", highlight=False)

    return tell
