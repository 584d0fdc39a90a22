"""What was found on another machine or runtime: written to the build, printed, and judged."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

from igf_mobile.errors import GateFailed
from igf_mobile.files import write_text


class Row(Protocol):
    """One artifact's result, a dataclass."""

    @property
    def failures(self) -> tuple[str, ...]:
        """A sentence each."""
        ...


def conclude(
    kind: str,
    name: str,
    rows: Sequence[Row],
    limits: Mapping[str, Any],
    table: Table,
    build: Path,
    as_json: bool,
    console: Console,
) -> None:
    """Write `<name>.json` into the build, print it or the table, and fail where a row does.

    Args:
        kind: what `name` is, "arch" or "runtime".
        name: of the file and in it.
        rows: of artifacts.
        limits: dataclasses by name.
        table: of the rows, for people.
        build: the build folder.
        as_json: print the document in place of the table.
        console: for the table.

    Raises:
        GateFailed: with the rows' sentences.
    """
    failures = [sentence for row in rows for sentence in row.failures]
    document = {
        kind: name,
        "rows": [dataclasses.asdict(row) for row in rows],  # type: ignore[call-overload]
        "limits": {key: dataclasses.asdict(limit) for key, limit in limits.items()},
        "failures": failures,
    }
    text = json.dumps(document, indent=1, sort_keys=True)
    write_text(build / f"{name}.json", text + "\n")
    if as_json:
        print(text)
    else:
        console.print(table)
    if failures:
        raise GateFailed.of(failures)


def number(value: float | None) -> str:
    """Two digits, or a dash."""
    return "-" if value is None else f"{value:.2g}"
