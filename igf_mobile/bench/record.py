"""`bench.json`: everything one run measured, raw samples included, so that two runs can be compared."""

import dataclasses
import json
import os
import platform
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from igf_mobile.bench.memory import Memory
from igf_mobile.bench.roofline import Roofline
from igf_mobile.device.report import DeviceParity, Summary, summarise
from igf_mobile.errors import DamagedFile
from igf_mobile.files import write_text
from igf_mobile.processor import processor_name

SCHEMA_VERSION = 1
_PACKAGES = (
    "igf-mobile",
    "torch",
    "executorch",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "pymatting",
)


@dataclass(frozen=True)
class Machine:
    """Where it ran."""

    processor: str
    cores: int
    memory_bytes: int | None
    system: str
    system_version: str
    python: str


@dataclass(frozen=True)
class Settings:
    """How it was measured."""

    build: str
    size: tuple[int, int]
    """(H, W) of the photograph."""
    threads: tuple[int, ...]
    warm_up: int
    iterations: int
    block: int
    """Calls in a row before the next side's turn."""
    frame: str | None
    """Format and size of whole frames, as "nv12 1280x720"."""
    load_average: tuple[float, float]
    """Processes that wanted a core, over a minute, before and after: far above 0 before is a busy machine."""


@dataclass(frozen=True)
class Sustained:
    """Calls back to back, nobody else's turn between them."""

    duration_s: float
    samples_ms: tuple[float, ...]


@dataclass(frozen=True)
class Row:
    """One side on one number of threads."""

    name: str
    kind: str
    """artifact, applied, torch or peer: `sides.Kind`."""
    threads: int
    ran_on: str
    """The runtime, or "not run: reason"."""
    pixels: int | None
    """Of the picture it computes on."""
    load_ms: float | None
    first_ms: float | None
    samples_ms: tuple[float, ...]
    memory: Memory | None
    duration_s: float | None = None
    """Wall time from its first turn to its last."""
    stages: dict[str, tuple[float, ...]] | None = None
    """Of whole frames: stage -> samples in ms; see `frame.STAGES`."""
    sustained: Sustained | None = None
    parity: DeviceParity | None = None
    size: tuple[int, int] | None = None
    """(H, W) of the photograph it is given; None in records from before."""
    coefficients_only: bool | None = None
    """Whether an artifact, applied or not, ends at A and B; None of other sides and in records from before."""

    @property
    def summary(self) -> Summary | None:
        """Of the samples; None when it did not run."""
        return summarise(self.samples_ms) if self.samples_ms else None

    @property
    def artifact(self) -> str | None:
        """`<backend>-<scheme>` of an artifact, applied or not; other sides have none."""
        return self.name.partition(" + ")[0] if self.kind in ("artifact", "applied") else None

    @property
    def scheme(self) -> str:
        """Of an artifact; torch's is fp32; a peer and what does more than the network have none."""
        return {"artifact": self.name.partition("-")[2], "torch": "fp32"}.get(self.kind, "")


@dataclass(frozen=True)
class BenchRun:
    """One `igf bench`."""

    schema_version: int
    created_at: str
    """UTC, 2026-11-22T22:00:00Z."""
    machine: Machine
    versions: dict[str, str]
    settings: Settings
    rows: tuple[Row, ...]
    roofline: Roofline | None = None
    """What the machine could do; None where it was not probed."""
    finished: bool = True
    """False in what was written on the way and never replaced: the run was stopped, these are the rounds before."""

    def find(self, name: str, threads: int) -> Row | None:
        """A row that has samples."""
        for row in self.rows:
            if (row.name, row.threads) == (name, threads) and row.samples_ms:
                return row
        return None

    def multiple(self, row: Row) -> float | None:
        """The row's median as a multiple of the least time a frame can take here; None of other work."""
        if self.roofline is None or row.summary is None or not row.scheme or row.coefficients_only:
            return None
        return row.summary.median_ms / self.roofline.limit_ms(row.scheme, row.threads)


def machine() -> Machine:
    """This machine."""
    try:
        memory: int | None = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        memory = None
    return Machine(
        processor=processor_name(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=memory,
        system=platform.system(),
        system_version=platform.release(),
        python=platform.python_version(),
    )


def versions() -> dict[str, str]:
    """Of the packages that are measured."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def now() -> str:
    """As `BenchRun.created_at`."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def as_json(run: BenchRun) -> dict[str, Any]:
    """The document; each row has a `summary` beside its samples, for readers."""
    document = dataclasses.asdict(run)
    for row, stored in zip(run.rows, document["rows"], strict=True):
        stored["summary"] = dataclasses.asdict(row.summary) if row.summary else None
    return document


def save(run: BenchRun, path: Path) -> None:
    """Write the document, atomically."""
    write_text(path, json.dumps(as_json(run), indent=1, sort_keys=True, allow_nan=False) + "\n")


def load(path: Path) -> BenchRun:
    """Read a document that `save` wrote.

    Raises:
        DamagedFile: it is absent, not JSON, or no such document; the text names the field.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(f"{path} is not readable JSON: {error}") from error
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        raise DamagedFile(f"{path} is no document of `igf bench --output`, schema {SCHEMA_VERSION}")
    try:
        run: BenchRun = TypeAdapter(BenchRun).validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DamagedFile(f"{path}: {where}: {first['msg']}") from error
    return run
