"""An arm64 Debian, small enough for both runtimes, and the emulator to run it: in a cache, without root.

    IGF_ARM_CACHE      the folder; default ~/.cache/igf_mobile/arm64
    IGF_DEBIAN_MIRROR  a mirror ending in /debian; default: the one this machine's apt is set to

A finished machine is a folder named by the hash of its recipe; it appears once it is whole.
"""

import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from igf_mobile.arm import fetch
from igf_mobile.errors import NotPossible
from igf_mobile.files import atomic_path, sha256_of

_ARM = ("libpython3.11-stdlib", "python3.11-minimal", "libstdc++6", "libgomp1")
_HOST = ("qemu-user-static", "g++-12-aarch64-linux-gnu")
_OWN = ("libc6_", "libgcc-s1_", "libstdc++6_")
"""Host packages that are left out: a C library goes with its own loader, and this machine has both."""
_WHEELS = ("ai-edge-litert", "numpy", "executorch")
"""At this environment's versions, so that both sides run the same release."""
_QEMU = "qemu-aarch64-static"
_LIBRARIES = ("backend_xnnpack", "kernels_optimized", "kernels_quantized", "threadpool")
"""Of ExecuTorch: linked for what they register when they are loaded."""
_LITERT_GUEST = Path(__file__).with_name("litert_guest.py")
_EXECUTORCH_GUEST = Path(__file__).with_name("executorch_guest.cpp")
BACKENDS = ("litert", "executorch")

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
_CORES = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """An unpacked arm64 machine."""

    folder: Path

    def command(self, cpu: str, backend: str, arguments: Sequence[str]) -> list[str]:
        """The command line of a backend's guest on a CPU model of qemu."""
        root = self.folder / "root"
        environment = {
            "PYTHONHOME": f"{root}/usr",
            "PYTHONPATH": f"{self.folder}/site",
            "LD_LIBRARY_PATH": f"{self.folder}/lib",
            "LC_ALL": "C.UTF-8",
        }
        sets = [part for name, value in environment.items() for part in ("-E", f"{name}={value}")]
        guest = {
            "litert": [f"{root}/usr/bin/python{fetch.PYTHON}", "-B", str(_LITERT_GUEST)],
            "executorch": [str(self.folder / _EXECUTORCH_GUEST.stem)],
        }[backend]
        return [str(self.folder / _QEMU), "-cpu", cpu, "-L", str(root), *sets, *guest, *arguments]


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
        versions = {name: version(name) for name in _WHEELS}
    except PackageNotFoundError as error:
        raise NotPossible(f"{error.name} is not installed here, so there is no version to match") from error
    recipe = [_ARM, _HOST, versions, _LIBRARIES, _CPUINFO, sha256_of(_EXECUTORCH_GUEST)]
    folder = cache_folder() / hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:12]
    if not folder.is_dir():
        if (here := f"{platform.system()} {platform.machine()}") != "Linux x86_64":
            raise NotPossible(
                f"the emulator and the cross compiler are fetched for Linux x86_64, this is {here}"
            )
        fetch.check_tools()
        with _locked(folder.parent):
            if not folder.is_dir():
                progress(f"setting up an arm64 machine in {folder} (about 190 MB to fetch)")
                with atomic_path(folder) as temporary:
                    _set_up(temporary, folder.parent / "apt", versions, progress)
                shutil.rmtree(folder.parent / "apt")
    return Machine(folder)


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


def _set_up(folder: Path, apt: Path, versions: dict[str, str], progress: Progress) -> None:
    """Fetch and unpack into `folder`; `apt` keeps what was fetched when this is interrupted."""
    root, tools, wheel = folder / "root", folder / "tools", folder / "wheel"
    progress("fetching Debian's Python for arm64")
    _unpack(fetch.debian(apt / "arm64", "arm64", _ARM), root)
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text("".join(_CPUINFO.format(core=core) for core in range(_CORES)))
    progress("fetching Debian's emulator and cross compiler")
    archives = fetch.debian(apt / "amd64", "amd64", _HOST)
    _unpack([archive for archive in archives if not archive.name.startswith(_OWN)], tools)
    os.replace(tools / "usr/bin" / _QEMU, folder / _QEMU)
    litert, numpy, executorch = (f"{name}=={versions[name]}" for name in _WHEELS)
    progress(f"fetching {litert}, {numpy} and {executorch} for arm64")
    fetch.wheels(folder / "site", [litert, numpy])
    fetch.wheels(wheel, [executorch], dependencies=False)
    progress("compiling the ExecuTorch guest")
    _compile(folder, tools, wheel / "executorch", versions["executorch"])
    shutil.rmtree(tools)
    shutil.rmtree(wheel)


def _unpack(archives: Sequence[Path], root: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in archives:
        fetch.run(["dpkg-deb", "--extract", str(archive), str(root)], "unpacking")


def _compile(folder: Path, tools: Path, sdk: Path, sdk_version: str) -> None:
    """Build the guest, and keep the libraries it loads."""
    libraries = [f"executorch_{name}" for name in _LIBRARIES] + ["executorch"]
    command = [
        str(tools / "usr/bin/aarch64-linux-gnu-g++-12"),
        f"--sysroot={tools}",
        "-std=c++17",
        "-O1",
        "-w",
    ]
    command += ["-DC10_USING_CUSTOM_GENERATED_MACROS", f'-DEXECUTORCH_VERSION="{sdk_version}"']
    command += [f"-I{sdk}/include", f"-I{sdk}/include/executorch/runtime/core/portable_type/c10"]
    command += [str(_EXECUTORCH_GUEST), "-o", str(folder / _EXECUTORCH_GUEST.stem), f"-L{sdk}/lib"]
    command += ["-Wl,--no-as-needed", *(f"-l{name}" for name in libraries)]
    environment = {**os.environ, "LD_LIBRARY_PATH": f"{tools}/usr/lib/x86_64-linux-gnu", "LC_ALL": "C"}
    fetch.run(command, "compiling the ExecuTorch guest", environment)
    (folder / "lib").mkdir()
    for name in libraries:
        shutil.copy(sdk / f"lib/lib{name}.so", folder / "lib")
