"""Debian packages and Python wheels of another architecture, without root and without installing anything."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from igf_mobile.errors import NotPossible

_SUITE = "bookworm"
"""Its Python is 3.11, its qemu 7.2, its g++ 12."""
PYTHON = "3.11"
_PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_APT = """Dir::State "{apt}";
Dir::State::lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
Dir::Cache::archives "{apt}/archives";
Dir::Etc::sourcelist "{apt}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
"""

_SOURCES = """Types: deb
URIs: {mirror}
Suites: {suite}
Components: main
Signed-By: {keyring}
"""


def check_tools() -> None:
    """Raise NotPossible where a tool that fetching takes is missing; the text names it."""
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NotPossible(f"fetching qemu and an arm64 Debian takes {tool}, which is not on the PATH")
    if not _KEYRING.is_file():
        raise NotPossible(
            f"there is no {_KEYRING} to check Debian's packages with (package debian-archive-keyring)"
        )


def debian(apt: Path, architecture: str, packages: Sequence[str]) -> list[Path]:
    """Archives of packages and of all they depend on.

    Args:
        apt: folder of an apt that knows no other source and believes nothing is installed; it keeps what was
            fetched when this is interrupted.
        architecture: Debian's name of it.
        packages: by name.

    Raises:
        NotPossible: they cannot be fetched; the text says why.
    """
    for name in ("lists", "archives"):
        (apt / name / "partial").mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text("")
    (apt / "apt.conf").write_text(_APT.format(apt=apt, architecture=architecture))
    (apt / "debian.sources").write_text(_SOURCES.format(mirror=_mirror(), suite=_SUITE, keyring=_KEYRING))
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf"), "LC_ALL": "C"}
    run(["apt-get", "--quiet", "update"], "fetching Debian's lists", environment)
    command = ["apt-get", "--quiet", "--yes", "--download-only", "install", *packages]
    run(command, "fetching Debian's packages", environment)
    return sorted((apt / "archives").glob("*.deb"))


def _mirror() -> str:
    """The mirror in apt's own configuration, whether or not its lists were ever fetched."""
    if chosen := os.environ.get("IGF_DEBIAN_MIRROR"):
        return chosen
    listed = subprocess.run(
        ["apt-get", "update", "--print-uris"], capture_output=True, text=True, check=False
    )
    found = re.search(r"^'(.*/debian)/dists/", listed.stdout, re.MULTILINE)
    if found is None:
        raise NotPossible("apt names no Debian mirror (set IGF_DEBIAN_MIRROR)")
    return found[1]


def wheels(target: Path, requirements: Sequence[str], dependencies: bool = True) -> None:
    """Unpack aarch64 wheels into `target`.

    Raises:
        NotPossible: there is no pip, or they cannot be fetched.
    """
    command = [*_pip(), "install", "--quiet", "--no-compile", "--only-binary=:all:", "--target", str(target)]
    command += [part for name in _PLATFORMS for part in ("--platform", name)]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    command += [] if dependencies else ["--no-deps"]
    run([*command, *requirements], f"fetching {' and '.join(requirements)}")


def _pip() -> list[str]:
    """pip of this environment, or of the PATH."""
    own = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if own.returncode == 0:
        return [sys.executable, "-m", "pip"]
    if found := shutil.which("pip"):
        return [found]
    raise NotPossible("fetching arm64 wheels takes pip, which is neither in this environment nor on the PATH")


def run(command: Sequence[str], what: str, environment: dict[str, str] | None = None) -> None:
    """Run a tool.

    Raises:
        NotPossible: it failed; the text is its last line that names an error, or its last.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
        reason = lines[-1] if lines else f"{command[0]} ended with {result.returncode}"
        errors = [line for line in lines if "error:" in line.lower() or line.startswith("E:")]
        raise NotPossible(f"{what} failed: {errors[-1] if errors else reason}")
