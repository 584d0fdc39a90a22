"""`igf bench`: what to measure, how to print it."""

import dataclasses
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

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
        typer.Option(
            "--peers", help="Also OpenCV's and PyMatting's filters, MediaPipe, u2netp, torch.compile."
        ),
    ] = False,
    memory: Annotated[bool, typer.Option(help="Peak memory, in a process of its own per side.")] = True,
    roofline: Annotated[
        bool, typer.Option(help="Probe the machine; latencies as multiples of the least a frame can take.")
    ] = True,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", "-c", help="Weights of the torch side; the shipped ones.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="NEW OLD", help="Measure nothing: ratios of two runs written by --output."),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the run as JSON.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Time the artifacts of a build on this machine, eager torch beside them; all take turns, a process each.

    Examples: `igf bench` · `igf bench --peers --only litert-fp32 --threads 1 -o a.json` ·
    `igf bench --compare b.json a.json`
    """
    if compare:
        _compare(*compare, json_)
        return
    from igf_mobile.bench import record, tables
    from igf_mobile.bench.peers import peer_specs
    from igf_mobile.bench.run import Plan, run_bench
    from igf_mobile.bench.sides import artifact_specs, cache_folder, eager_spec
    from igf_mobile.manifest import load_manifest

    manifest = load_manifest(build)
    size = (manifest.size[0], manifest.size[1])
    specs: list[Spec] = []
    for count in threads or [1, 2]:
        base = eager_spec(build, checkpoint, cache_folder(), size, count)
        specs += [base, *artifact_specs(manifest, base, only or ())]
        specs += peer_specs(base) if peers and count == (threads or [1])[0] else []
    plan = Plan(specs, warm_up, iterations, block, memory, roofline)
    run = run_bench(plan, build, size, cache_folder() / _LOG, _teller())
    if output:
        record.save(run, output)
    if json_:
        print(json.dumps(record.as_json(run), indent=1, sort_keys=True))
        return
    console = _console()
    console.print(tables.latency_table(run))
    if peers:
        console.print(tables.ratio_table(run))
    console.print(tables.limits(run), highlight=False, markup=False)
    console.print(tables.how(run), highlight=False, markup=False)


def _compare(new: Path, old: Path, json_: bool) -> None:
    from igf_mobile.bench import record, tables
    from igf_mobile.bench.ratios import compare_runs

    found = compare_runs(record.load(new), record.load(old))
    if json_:
        print(json.dumps([dataclasses.asdict(comparison) for comparison in found], indent=1, sort_keys=True))
    else:
        _console().print(tables.comparison_table(found))


def _console() -> "Console":
    """Standard output; wide where it is a file, so that tables keep their columns."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=max(console.width, 160))


def _teller() -> "Tell":
    from rich.console import Console

    start, screen = time.monotonic(), Console(stderr=True)

    def tell(text: str) -> None:
        screen.print(f"[dim]{time.monotonic() - start:6.1f} s[/dim]  {text}", highlight=False)

    return tell
