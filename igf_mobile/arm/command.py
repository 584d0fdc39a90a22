"""The table and the verdict of `igf verify --arch arm64`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from igf_mobile.arm.check import LIMITS, Row, verify
from igf_mobile.elsewhere.verdict import conclude, number

ARCHITECTURES = ("arm64",)


def verify_architecture(
    arch: str, build: Path, as_json: bool, console: Console, progress: Callable[[str], None]
) -> int:
    """Run, record in `arm64.json` of the build, print and judge. Returns how many runs passed.

    Raises:
        ValueError: an unknown architecture.
        GateFailed: a sentence per artifact and CPU model that is past its limits.
        NotPossible: this machine cannot emulate an Arm core.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {arch!r}; available: {', '.join(ARCHITECTURES)}")
    rows = verify(build, progress)
    limits = {"-".join(key): limit for key, limit in LIMITS.items()}
    conclude("arch", arch, rows, limits, _table(rows), build, as_json, console)
    return sum(row.not_run is None for row in rows)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="arm64, emulated, against this machine: largest difference")
    for column in ("Artifact", "CPU model"):
        table.add_column(column, no_wrap=True)
    for column in ("alpha", "coefficients", "steps of int8", "blocks"):
        table.add_column(column, justify="right")
    table.add_column("Verdict")
    for row in rows:
        if row.not_run:
            continue
        exact = f", {' and '.join(row.bit_exact)} bit-exact" if row.bit_exact else ""
        table.add_row(
            f"{row.backend}-{row.scheme}",
            row.cpu,
            number(row.alpha_max_abs),
            number(row.coefficients_max_abs),
            number(row.heads.steps if row.heads else None),
            "-" if row.heads is None else f"{row.heads.changed:.2%}",
            "failed" if row.failures else f"passed{exact}",
        )
    skipped = sorted({(row.backend, row.not_run) for row in rows if row.not_run})
    table.caption = "\n".join(f"{backend}: not run: {reason}" for backend, reason in skipped) or None
    return table
