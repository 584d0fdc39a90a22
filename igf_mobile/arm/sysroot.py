"""An arm64 Debian, small enough for LiteRT's Python, and the emulator to run it: unpacked into a cache, without root.

    IGF_ARM_CACHE      the folder; default ~/.cache/igf_mobile/arm64
    IGF_DEBIAN_MIRROR  a mirror ending in /debian; default: the one this machine's apt is set to

A finished machine is a folder named by the hash of its recipe; it appears once it is whole.
"""

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from igf_mobile.errors import NotPossible
from igf_mobile.files import atomic_path

_SUITE = "bookworm"
"""Its Python is 3.11, its qemu 7.2."""
_PYTHON = "3.11"
_DEBIAN = ("libpython3.11-stdlib", "python3.11-minimal", "libstdc++6", "libgomp1")
_EMULATOR, _EMULATOR_FILE = "qemu-user-static", "qemu-aarch64-static"
_WHEELS = ("ai-edge-litert", "numpy")
"""At this environment's versions, so that both sides run the same release."""
_PLATFORMS = (
    "manylinux_2_28_aarch64",
    "manylinux_2_27_aarch64",
    "manylinux_2_17_aarch64",
    "manylinux2014_aarch64",
)
_HOSTS = {"x86_64": "amd64", "aarch64": "arm64"}
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_CORES = 2

_CPUINFO = """processor\t: {core}
BogoMIPS\t: 48.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: 0xd0b
CPU revision\t: 1

"""
"""A Cortex-A76's. LiteRT crashes without one; the instructions it uses come from the auxiliary vector."""

_APT = """Dir::State "{apt}";
Dir::State::lists "{apt}/lists";
Dir::State::status "{apt}/status";
Dir::Cache "{apt}";
Dir::Cache::archives "{apt}/archives";
Dir::Etc::sourcelist "{apt}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
APT::Architecture "arm64";
APT::Architectures {{ {architectures} }};
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

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """An unpacked arm64 machine."""

    folder: Path

    def command(self, cpu: str, script: Path, arguments: Sequence[str]) -> list[str]:
        """The command line that runs a Python file on a CPU model of qemu."""
        root = self.folder / "root"
        environment = {
            "PYTHONHOME": f"{root}/usr",
            "PYTHONPATH": str(self.folder / "site"),
            "LC_ALL": "C.UTF-8",
        }
        sets = [part for name, value in environment.items() for part in ("-E", f"{name}={value}")]
        emulator = self.folder / _EMULATOR_FILE
        program = [f"{root}/usr/bin/python{_PYTHON}", "-B", str(script), *arguments]
        return [str(emulator), "-cpu", cpu, "-L", str(root), *sets, *program]


def cache_folder() -> Path:
    """Where machines are kept."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "igf_mobile/arm64"
    return Path(os.environ.get("IGF_ARM_CACHE") or default).absolute()


def obtain(progress: Progress) -> Machine:
    """The machine of this environment's versions, set up where it is absent.

    Raises:
        NotPossible: this machine cannot have one; the text says what is missing.
    """
    try:
        wheels = [f"{name}=={version(name)}" for name in _WHEELS]
    except PackageNotFoundError as error:
        raise NotPossible(f"{error.name} is not installed here, so there is no version to match") from error
    recipe = json.dumps([_SUITE, _DEBIAN, _EMULATOR, wheels, _CPUINFO, platform.machine()])
    folder = cache_folder() / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    if not folder.is_dir():
        host = _check_machine()
        with _locked(folder.parent):
            if not folder.is_dir():
                progress(f"setting up arm64 Debian and {wheels[0]} in {folder} (about 110 MB to fetch)")
                with atomic_path(folder) as temporary:
                    _set_up(temporary, folder.parent / "apt", host, wheels, progress)
    return Machine(folder)


def _check_machine() -> str:
    """This machine's name in Debian; what it lacks to set a machine up is raised."""
    if platform.system() != "Linux":
        raise NotPossible(f"qemu runs single programs on Linux only, this is {platform.system()}")
    if platform.machine() not in _HOSTS:
        raise NotPossible(
            f"no qemu is fetched for {platform.machine()}; there is one for {', '.join(_HOSTS)}"
        )
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NotPossible(f"fetching qemu and an arm64 Debian takes {tool}, which is not on the PATH")
    if not _KEYRING.is_file():
        raise NotPossible(
            f"there is no {_KEYRING} to check Debian's packages with (package debian-archive-keyring)"
        )
    return _HOSTS[platform.machine()]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One set-up at a time; the others wait for it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / "lock").open("w")
    except OSError as error:
        raise NotPossible(
            f"cannot write {folder}: {error.strerror} (set IGF_ARM_CACHE to another)"
        ) from error
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


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


def _set_up(folder: Path, apt: Path, host: str, wheels: Sequence[str], progress: Progress) -> None:
    """Fetch and unpack into `folder`; `apt` keeps what was fetched when this is interrupted."""
    root = folder / "root"
    for name in ("usr/bin", "usr/lib", "proc"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "proc/cpuinfo").write_text("".join(_CPUINFO.format(core=core) for core in range(_CORES)))
    for archive in _fetch(apt, host, progress):
        name, architecture = archive.stem.split("_")[0], archive.stem.rsplit("_", 1)[1]
        emulator = name == _EMULATOR and architecture == host
        _run(
            ["dpkg-deb", "--extract", str(archive), str(folder / "scratch" if emulator else root)],
            "unpacking",
        )
    os.replace(folder / "scratch/usr/bin" / _EMULATOR_FILE, folder / _EMULATOR_FILE)
    shutil.rmtree(folder / "scratch")
    progress(f"fetching {' and '.join(wheels)} for arm64")
    platforms = [part for name in _PLATFORMS for part in ("--platform", name)]
    target = ["--python-version", _PYTHON, "--implementation", "cp", "--target", str(folder / "site")]
    _run(
        [*_pip(), "install", "--quiet", "--no-compile", "--only-binary=:all:", *platforms, *target, *wheels],
        "fetching the wheels",
    )
    shutil.rmtree(apt, ignore_errors=True)


def _fetch(apt: Path, host: str, progress: Progress) -> list[Path]:
    """Debian's archives, by an apt that knows no other source and believes nothing is installed."""
    for name in ("lists", "archives"):
        (apt / name / "partial").mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text("")
    architectures = " ".join(f'"{name}";' for name in dict.fromkeys(("arm64", host)))
    (apt / "apt.conf").write_text(_APT.format(apt=apt, architectures=architectures))
    (apt / "debian.sources").write_text(_SOURCES.format(mirror=_mirror(), suite=_SUITE, keyring=_KEYRING))
    environment = {**os.environ, "APT_CONFIG": str(apt / "apt.conf"), "LC_ALL": "C"}
    progress("fetching the lists of Debian's packages")
    _run(["apt-get", "--quiet", "update"], "fetching Debian's lists", environment)
    progress("fetching Debian's packages")
    packages = [*_DEBIAN, f"{_EMULATOR}:{host}"]
    _run(
        ["apt-get", "--quiet", "--yes", "--download-only", "install", *packages],
        "fetching Debian's packages",
        environment,
    )
    return sorted((apt / "archives").glob("*.deb"))


def _pip() -> list[str]:
    """pip of this environment, or of the PATH."""
    own = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False)
    if own.returncode == 0:
        return [sys.executable, "-m", "pip"]
    if found := shutil.which("pip"):
        return [found]
    raise NotPossible("fetching arm64 wheels takes pip, which is neither in this environment nor on the PATH")


def _run(command: Sequence[str], what: str, environment: dict[str, str] | None = None) -> None:
    """Run a tool; its last line is the reason when it fails."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
        reason = lines[-1] if lines else f"{command[0]} ended with {result.returncode}"
        raise NotPossible(f"{what} failed: {reason}")
