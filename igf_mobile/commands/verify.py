"""`igf verify`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from igf_mobile import terminal
from igf_mobile.commands.options import Build, Checkpoint, Json, Tolerances
from igf_mobile.commands.parity_table import parity_table
from igf_mobile.errors import GateFailed, NotPossible

if TYPE_CHECKING:
    from igf_mobile.budget import Spending
    from igf_mobile.manifest import Manifest


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
            agreement = _elsewhere(arch, runtime, build, json_)
        except NotPossible as reason:
            terminal.fail(f"not run: {reason}", 3)
        terminal.screen.print(agreement, style="green")
        return
    from igf_mobile import gates
    from igf_mobile.budget import as_json, load_budget, not_on_photographs, spend
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT
    from igf_mobile.parity import load_tolerances
    from igf_mobile.pipeline.verify import open_build, verify_build
    from igf_mobile.quantize import artifact_scales
    from igf_mobile.report import FILE_NAME, write_report

    rows = [] if set_tolerances else load_tolerances(tolerances or gates.DEFAULT_TOLERANCES)
    opened = open_build(build, checkpoint or DEFAULT_CHECKPOINT)
    schemes = [record.scheme for record in opened.manifest.artifacts]
    progress = terminal.Steps(1 + len(schemes) + schemes.count("w8a8"))
    manifest, failures = verify_build(opened, rows, progress)
    failures += artifact_scales.check_build(manifest, build, opened.model, progress)
    if set_tolerances:
        # What new gates will bound may be past the old ones; what is broken may not become a gate.
        if broken := [s for s in failures if "no tolerance for" not in s and "fell back" not in s]:
            raise GateFailed.of(broken)
        gates.write_tolerances(set_tolerances, manifest)
        terminal.stdout().print(f"wrote {set_tolerances}", highlight=False)
        return
    spendings = spend(manifest, build, load_budget())
    unseen = not_on_photographs(manifest, build)
    failures += [s.failure for s in spendings if s.failure]
    if (build / FILE_NAME).is_file():
        write_report(build, failures)  # with what was found inside the files
    if json_:
        artifacts = dataclasses.asdict(manifest)["artifacts"]
        terminal.print_json(
            {
                "artifacts": artifacts,
                "failures": failures,
                "budget": as_json(spendings),
                "not_on_photographs": unseen,
            }
        )
    else:
        _show(manifest, spendings, unseen)
    if failures:
        raise GateFailed.of(failures)
    terminal.screen.print(f"all gates passed for {len(manifest.artifacts)} artifacts", style="green")


def _show(manifest: "Manifest", spendings: "Sequence[Spending]", unseen: "Sequence[str]") -> None:
    """The table, goals that are not met, and what was measured on no photographs."""
    out = terminal.stdout()
    out.print(parity_table(manifest))
    sentences = [spending.unmet for spending in spendings if spending.unmet]
    if unseen:
        sentences.append(f"photographs: not run: `igf eval --artifacts` measures {', '.join(unseen)} on some")
    for sentence in sentences:
        out.print(sentence, highlight=False, soft_wrap=True)


def _elsewhere(arch: str | None, runtime: str | None, build: Path, as_json: bool) -> str:
    """`--arch` or, without it, `--runtime`; what agreed."""
    if arch:
        from igf_mobile.arm.command import verify_architecture

        passed = verify_architecture(arch, build, as_json, terminal.stdout(), terminal.Steps(None))
        return f"{passed} runs on emulated Arm cores agree with this machine"
    from igf_mobile.oldest.command import verify_runtime

    passed = verify_runtime(str(runtime), build, as_json, terminal.stdout(), terminal.Steps(None))
    return f"{passed} artifacts agree with the current runtime in {runtime}"
