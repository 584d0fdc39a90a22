"""`igf doctor`: what this machine can export, run and measure."""

import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from igf_mobile import backends
from igf_mobile.checkpoint import DEFAULT_CHECKPOINT, load_checkpoint
from igf_mobile.errors import IgfError

_MINIMUM_FREE_GB = 1.0


@dataclass(frozen=True)
class Finding:
    """One thing the machine can do, or cannot and why."""

    what: str
    available: bool
    detail: str


def examine() -> list[Finding]:
    """All findings, quickly: nothing is exported or run."""
    findings = [
        Finding(
            "Python 3.10 to 3.12",
            (3, 10) <= sys.version_info[:2] <= (3, 12),
            f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        ),
        _checkpoint(),
    ]
    for name in backends.names():
        backend = backends.get(name)
        missing = [package for package in backend.packages if not _installed(package)]
        versions = ", ".join(
            f"{package} {version(package)}" for package in backend.packages if package not in missing
        )
        findings.append(
            Finding(f"export {name}", not missing, f"missing: {', '.join(missing)}" if missing else versions)
        )
        reason = backend.runs_here()
        findings.append(Finding(f"run {name}", reason is None, reason or _how_it_runs(name)))
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    findings.append(Finding("disk", free > _MINIMUM_FREE_GB, f"{free:.0f} GB free here"))
    for command, purpose in (("apt-get", "training data from Debian"), ("npm", "training data from npm")):
        found = shutil.which(command)
        findings.append(Finding(f"{command} ({purpose})", found is not None, found or "not on the PATH"))
    findings.append(
        Finding(
            "TensorBoard logs",
            importlib.util.find_spec("tensorboard") is not None,
            "optional, for `igf train`",
        )
    )
    return findings


def _how_it_runs(name: str) -> str:
    if name == "coreml" and platform.system() != "Darwin":
        return "no Core ML off macOS: reference evaluation of the file's own program"
    return "on the processor"


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _checkpoint() -> Finding:
    try:
        _, info = load_checkpoint(DEFAULT_CHECKPOINT)
    except IgfError as error:
        return Finding("shipped checkpoint", False, str(error))
    return Finding(
        "shipped checkpoint", True, f"{info.name} {info.version}, {info.steps} steps, {info.licence}"
    )
