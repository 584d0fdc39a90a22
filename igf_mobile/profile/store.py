"""Where reports from devices end: checked, then `devices/<model>-<date>.json` of a build."""

import re
from pathlib import Path

from igf_mobile.device.checks import check_build, check_end, check_report
from igf_mobile.device.reader import load_report
from igf_mobile.device.report import DeviceReport
from igf_mobile.errors import DamagedFile
from igf_mobile.files import atomic_path
from igf_mobile.manifest import load_manifest

_SHOWN = 10


def checked(path: Path, build: Path) -> DeviceReport:
    """Read a report and hold it to the schema, to itself and to a build.

    A fixture is of no build and is not compared with one.

    Raises:
        DamagedFile: it breaks the schema or contradicts itself, it is of another build, or the build's manifest
            cannot be read. A line per contradiction.
    """
    report = load_report(path)
    manifest = load_manifest(build)
    problems = check_report(report, size=manifest.size)
    if report.kind == "device" and (why := check_end(report, manifest)):
        problems.append(why)  # once, not for each run
    elif report.kind == "device":
        problems += [f"runs[{index}]: {why}" for index, why in check_build(report, manifest).items()]
    if len(problems) == 1:
        raise DamagedFile(f"{path}: {problems[0]}")
    if problems:
        more = [f"  and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        lines = [f"  - {problem}" for problem in problems[:_SHOWN]] + more
        raise DamagedFile("\n".join([f"{path} has {len(problems)} contradictions:", *lines]))
    return report


def store(path: Path, report: DeviceReport, folder: Path, partial: bool = False) -> Path:
    """Copy a checked report into `folder`; a name that another report has gets a number.

    Raises:
        IgfError: the folder cannot be written.
    """
    model = re.sub(r"[^A-Za-z0-9]+", "-", report.device.model).strip("-")[:60] or "device"
    stem = f"{model}-{report.created_at.replace(':', '')}{'-partial' if partial else ''}"
    content = path.read_bytes()
    number = 1
    while True:
        target = folder / f"{stem}{f'-{number}' if number > 1 else ''}.json"
        if not target.exists():
            break
        if target.read_bytes() == content:
            return target
        number += 1
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)
    return target


def outcome(report: DeviceReport) -> str:
    """`Pixel 8: 12 runs, 10 valid; parity failed: 1`."""
    valid = sum(run.valid for run in report.runs)
    failed = [run.name for run in report.runs if run.parity and not run.parity.passed]
    note = " (fixture: not measured on a device)" if report.kind == "fixture" else ""
    text = f"{report.device.model}{note}: {len(report.runs)} runs, {valid} valid"
    return text + (f"; parity failed: {', '.join(failed)}" if failed else "")
