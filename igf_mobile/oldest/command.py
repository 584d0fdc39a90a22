"""The table and the verdict of `igf verify --runtime tflite-2.14`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from igf_mobile.elsewhere.verdict import conclude, number
from igf_mobile.oldest.check import LIMITS, Row, verify

RUNTIMES = ("tflite-2.14",)


def verify_runtime(
    runtime: str, build: Path, as_json: bool, console: Console, progress: Callable[[str], None]
) -> int:
    """Run, record in `<runtime>.json` of the build, print and judge. Returns how many artifacts passed.

    Raises:
        ValueError: an unknown runtime.
        GateFailed: a sentence per artifact that it refuses or that is past its limits.
        NotPossible: the runtime cannot be had here.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"unknown runtime {runtime!r}; available: {', '.join(RUNTIMES)}")
    rows = verify(build, progress)
    conclude("runtime", runtime, rows, LIMITS, _table(runtime, rows), build, as_json, console)
    return len(rows)


def _table(runtime: str, rows: Sequence[Row]) -> Table:
    table = Table(title=f"{runtime} against the current LiteRT: largest difference")
    table.add_column("Artifact", no_wrap=True)
    for column in ("alpha", "mean", "coefficients", "same kernels: alpha", "steps of int8", "blocks"):
        table.add_column(column, justify="right")
    table.add_column("Verdict")
    for row in rows:
        own = row.own_kernels
        values = (
            row.alpha.max_abs if row.alpha else None,
            row.alpha.mean_abs if row.alpha else None,
            row.coefficients.max_abs if row.coefficients else None,
            own.alpha_max_abs if own else None,
            own.heads.steps if own else None,
        )
        changed = "-" if own is None else f"{own.heads.changed:.2%}"
        verdict = "failed" if row.failures else "passed"
        table.add_row(row.file, *(number(value) for value in values), changed, verdict)
    if any(row.own_kernels for row in rows):
        table.caption = (
            "same kernels: against the current LiteRT without XNNPACK, as the old one computes int8"
        )
    return table
