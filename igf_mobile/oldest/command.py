"""The table, the JSON and the verdict of `igf verify --runtime tflite-2.14`."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from igf_mobile.errors import GateFailed
from igf_mobile.files import write_text
from igf_mobile.oldest.check import LIMITS, verify

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
    failures = [sentence for row in rows for sentence in row.failures]
    limits = {scheme: dataclasses.asdict(limit) for scheme, limit in LIMITS.items()}
    document = {
        "runtime": runtime,
        "rows": [dataclasses.asdict(r) for r in rows],
        "limits": limits,
        "failures": failures,
    }
    write_text(build / f"{runtime}.json", json.dumps(document, indent=1, sort_keys=True) + "\n")
    if as_json:
        print(json.dumps(document, indent=1, sort_keys=True))
    else:
        table = Table("Artifact", "alpha: largest", "mean", "coefficients: largest", "Verdict")
        table.title = f"{runtime} against the current LiteRT: difference"
        for row in rows:
            numbers = ["-"] * 3
            if row.alpha is not None and row.coefficients is not None:
                values = (row.alpha.max_abs, row.alpha.mean_abs, row.coefficients.max_abs)
                numbers = [f"{value:.2g}" for value in values]
            table.add_row(row.file, *numbers, "failed" if row.failures else "passed")
        console.print(table)
    if failures:
        raise GateFailed.of(failures)
    return len(rows)
