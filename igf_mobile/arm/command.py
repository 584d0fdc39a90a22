"""The table, the JSON and the verdict of `igf verify --arch arm64`."""

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from igf_mobile.arm.check import LIMITS, Row, verify
from igf_mobile.errors import GateFailed
from igf_mobile.files import write_text

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
    failures = [sentence for row in rows for sentence in row.failures]
    limits = {"-".join(key): dataclasses.asdict(limit) for key, limit in LIMITS.items()}
    document = {
        "arch": arch,
        "rows": [dataclasses.asdict(r) for r in rows],
        "limits": limits,
        "failures": failures,
    }
    write_text(build / f"{arch}.json", json.dumps(document, indent=1, sort_keys=True) + "\n")
    if as_json:
        print(json.dumps(document, indent=1, sort_keys=True))
    else:
        console.print(_table(rows))
        for backend, reason in sorted({(row.backend, row.not_run) for row in rows if row.not_run}):
            console.print(f"{backend}: not run: {reason}", highlight=False)
    if failures:
        raise GateFailed.of(failures)
    return sum(row.not_run is None for row in rows)


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="arm64, emulated, against this machine: largest difference")
    for column in ("Artifact", "CPU model"):
        table.add_column(column, no_wrap=True)
    for column in ("alpha", "limit", "coefficients", "limit"):
        table.add_column(column, justify="right")
    table.add_column("Verdict")
    for row in rows:
        if row.not_run:
            continue
        limit = LIMITS.get((row.backend, row.scheme))
        exact = f", {' and '.join(row.bit_exact)} bit-exact" if row.bit_exact else ""
        verdict = "failed" if row.failures else f"passed{exact}"
        table.add_row(
            f"{row.backend}-{row.scheme}",
            row.cpu,
            _number(row.alpha_max_abs),
            _number(limit.alpha if limit else None),
            _number(row.coefficients_max_abs),
            _number(limit.coefficients if limit else None),
            verdict,
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
