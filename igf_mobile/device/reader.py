"""Reading a device report: every way it can break the schema is one line that names the field."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from igf_mobile.device.checks import check_report
from igf_mobile.device.report import SCHEMA_VERSION, DeviceReport, Run
from igf_mobile.errors import DamagedFile

FOLDER = "devices"
"""Of a build: the reports of its devices."""
MAXIMUM_BYTES = 64_000_000
HOT = ("moderate", "severe", "critical")
LEAST_SAMPLES = 50
LEAST_SECONDS = 60.0


def load_report(path: Path) -> DeviceReport:
    """Read a report and hold it to the schema.

    Raises:
        DamagedFile: it is absent, over 64 MB, cut off, of another schema version, or breaks the schema; the text
            names the first field that does.
    """
    from pydantic import ValidationError
    from pydantic_core import from_json

    path = Path(path)
    text = _read(path)
    try:
        data = from_json(text)
    except ValueError as error:
        cut = "; it is cut off" if "EOF" in str(error) else ""
        raise DamagedFile(f"{path} is not readable JSON: {error}{cut}") from None
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise DamagedFile(f"{path} has schema version {version!r}; this program reads {SCHEMA_VERSION}")
    try:
        report: DeviceReport = _adapter().validate_json(text)
    except ValidationError as error:
        raise DamagedFile(f"{path}: {_sentence(error.errors()[0])}") from None
    for index, run in enumerate(report.runs):
        if broken := validity_broken(run):
            raise DamagedFile(f"{path}: runs[{index}] ({run.name}) {broken}")
    return report


def stored(build: Path) -> list[Path]:
    """The reports that `igf profile` stored, by name."""
    return sorted((Path(build) / FOLDER).glob("*.json"))


def load_reports(paths: Sequence[Path], size: tuple[int, int] = (512, 512)) -> list[DeviceReport]:
    """Read reports; their builds are not looked at.

    Raises:
        DamagedFile: one breaks the schema or contradicts itself.
    """
    reports = []
    for path in paths:
        report = load_report(path)
        if problems := check_report(report, size=size):
            raise DamagedFile(f"{path}: {problems[0]}")
        reports.append(report)
    return reports


@cache
def _adapter() -> Any:
    """Building it takes longer than reading a report."""
    from pydantic import TypeAdapter

    return TypeAdapter(DeviceReport)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise DamagedFile(
                f"{path} has {size / 1e6:.0f} MB; a report has at most {MAXIMUM_BYTES / 1e6:.0f}"
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise DamagedFile(f"there is no {path}") from None
    except OSError as error:
        raise DamagedFile(f"cannot read {path}: {error.strerror or error}") from error


def _sentence(error: Any) -> str:
    """A validation error as `runs[0].stages.inference[3] is -2.5: negative, so the clock ran backwards`."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden" or kind == "unexpected_keyword_argument":
        return f"{where} is not a field of the schema"
    if kind in ("missing", "missing_argument"):
        return f"{where} is missing"
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if kind == "greater_than_equal" and _TIMES.search(where):
        return f"{where} is {shown}: negative, so the clock ran backwards"
    if kind == "finite_number":
        return f"{where} is {shown}: not a finite number"
    if kind == "predicate_failed":
        wanted = _PREDICATES[error["msg"].split()[1]]
        return f"{where} is {shown}, not {wanted}"
    return f"{where} is {shown}: {error['msg'][0].lower()}{error['msg'][1:]}"


_TIMES = re.compile(r"stages|samples_ms|_ms$|_s$")
_PREDICATES = {
    "is_utc": "a time like 2026-11-22T22:00:00Z",
    "is_sha256": "64 hexadecimal digits",
    "is_file_name": "a file name without a folder",
    "is_word": "a lower-case word",
}


def validity_broken(run: Run) -> str | None:
    """What contradicts `valid`, as a sentence without its subject; None when nothing does."""
    if not run.valid:
        return None if run.invalid_reasons else "is not valid and gives no reason"
    why = validity_failures(run)
    if run.invalid_reasons:
        why.append(f"it gives the reason {run.invalid_reasons[0]!r}")
    return f"says it is valid, but {'; '.join(why)}" if why else None


def validity_failures(run: Run) -> list[str]:
    """Which rules of a quotable run it does not meet: the schema's `valid`."""
    failures = []
    if run.error is not None:
        failures.append(f"it broke off: {run.error}")
    if run.load_ms is None or run.first_ms is None:
        failures.append("it has no load or first time")
    if len(run.stages.inference) < LEAST_SAMPLES:
        failures.append(f"it has {len(run.stages.inference)} samples, fewer than {LEAST_SAMPLES}")
    if run.duration_s is None or run.duration_s < LEAST_SECONDS:
        failures.append(f"it ran {run.duration_s} s, less than {LEAST_SECONDS:.0f}")
    if run.conditions.thermal_start in HOT:
        failures.append(f"it started hot ({run.conditions.thermal_start})")
    if run.parity is None or not run.parity.passed:
        failures.append("its parity was not checked" if run.parity is None else "its parity failed")
    if run.identical_to_cpu:
        failures.append("its output is bit-identical to the CPU's")
    return failures
