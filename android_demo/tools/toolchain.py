"""The pinned tools and libraries of `packages.json`, downloaded once into a cache and checked by hash."""

import ctypes.util
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(__file__).parent
DEMO = TOOLS.parent


class ToolError(Exception):
    """What is wrong and what to do about it, in one line."""


class TestsFailed(Exception):
    """What the test runner said."""


def cache() -> Path:
    """Where downloads are kept; IGF_ANDROID_CACHE chooses another folder."""
    return Path(os.environ.get("IGF_ANDROID_CACHE", "~/.cache/igf_mobile/android")).expanduser()


@dataclass(frozen=True)
class Coordinate:
    """One file of Maven Central."""

    group: str
    artifact: str
    version: str
    packaging: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the cache has it."""
        return cache() / "maven" / f"{self.artifact}-{self.version}.{self.packaging}"


def locked() -> dict[str, list[Coordinate]]:
    """The Maven files of `packages.json` by use."""
    groups = json.loads((TOOLS / "packages.json").read_text(encoding="utf-8"))["maven"]
    return {use: [_coordinate(**row) for row in rows] for use, rows in groups.items()}


def _coordinate(coordinate: str, sha256: str) -> Coordinate:
    group, artifact, version, packaging = coordinate.split(":")
    return Coordinate(group, artifact, version, packaging, sha256)


@functools.cache
def files(use: str) -> list[Path]:
    """The downloaded Maven files for `use`: compiler, shrinker, dexer, framework, tests or runtime."""
    wanted = locked()[use]
    missing = [c for c in wanted if not _is_whole(c.path, c.sha256)]
    if missing:
        _download(missing)
    return [c.path for c in wanted]


def classpath(paths: list[Path]) -> str:
    """For `java -cp`."""
    return os.pathsep.join(str(path) for path in paths)


def require_java() -> None:
    """A JDK of Java 17 or later."""
    if shutil.which("javac") is None:
        install(["default-jdk-headless"], "a JDK (javac)")


def jdk() -> Path:
    """The JDK's folder."""
    require_java()
    return Path(str(shutil.which("javac"))).resolve().parents[1]


def require_packagers() -> None:
    """The Debian packages that make an APK."""
    packages = json.loads((TOOLS / "packages.json").read_text(encoding="utf-8"))["debian"]
    missing = [package for package in packages if shutil.which(package) is None]
    if missing:
        install(missing, ", ".join(missing))


def require_drawing() -> None:
    """What the shader's tests need; where it cannot be installed they say "not run" and why."""
    if shutil.which("glslangValidator") is None or ctypes.util.find_library("EGL") is None:
        try:
            install(["glslang-tools", "libegl1", "libgles2", "libegl-mesa0", "libgl1-mesa-dri"], "OpenGL ES")
        except ToolError as error:
            print(error)


def install(packages: list[str], what: str) -> None:
    """Install Debian packages when root, else say which."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ToolError(f"{what} is missing; install it (Debian: apt-get install {' '.join(packages)})")
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *packages]):
        run(command)


def run(command: list[str], cwd: Path | None = None) -> str:
    """Run a command; its last lines are the message when it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stdout + done.stderr).strip().splitlines()
        raise ToolError(f"{Path(command[0]).name} failed:\n" + "\n".join(words[-40:]))
    return done.stdout


def executorch() -> Path:
    """A folder with ExecuTorch's `classes.jar` and `jni/<abi>/libexecutorch.so`, out of an npm package."""
    (row,) = json.loads((TOOLS / "packages.json").read_text(encoding="utf-8"))["npm"]
    folder = cache() / f"{row['package']}-{row['version']}"
    if folder.is_dir():
        return folder
    if shutil.which("npm") is None:
        install(["npm"], "npm")
    with tempfile.TemporaryDirectory(dir=_made(cache())) as name:
        scratch = Path(name)
        run(["npm", "pack", "--silent", f"{row['package']}@{row['version']}"], cwd=scratch)
        (archive,) = scratch.glob("*.tgz")
        _check(archive, row["sha256"])
        for member in ("package/android/libs", "package/third-party/android/libs/executorch"):
            run(["tar", "xzf", archive.name, member], cwd=scratch)
        tree = scratch / "tree"
        shutil.move(scratch / "package/third-party/android/libs/executorch", tree / "jni")
        shutil.move(scratch / "package/android/libs/classes.jar", tree / "classes.jar")
        tree.replace(folder)
    return folder


def unpacked(archive: Path) -> Path:
    """An AAR as a folder; a jar as a folder with the jar as `classes.jar`."""
    folder = cache() / "unpacked" / archive.stem
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=_made(folder.parent)) as name:
            scratch = Path(name) / "tree"
            scratch.mkdir()
            if archive.suffix == ".aar":
                with zipfile.ZipFile(archive) as content:
                    content.extractall(scratch)
            else:
                shutil.copy(archive, scratch / "classes.jar")
            scratch.replace(folder)
    return folder


def runtimes() -> list[Path]:
    """Folders of everything that goes into the app besides our code: classes.jar and jni/<abi>/*.so."""
    return [*(unpacked(path) for path in files("runtime")), executorch()]


def _download(coordinates: list[Coordinate]) -> None:
    if shutil.which("mvn") is None:
        install(["maven"], "mvn")
    with tempfile.TemporaryDirectory(dir=_made(cache() / "maven")) as name:
        scratch = Path(name)
        (scratch / "pom.xml").write_text(_pom(coordinates), encoding="utf-8")
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
        run(
            ["mvn", "-q", "-B", goal, "-DoutputDirectory=out", "-Dmdep.useRepositoryLayout=true"], cwd=scratch
        )
        for c in coordinates:
            file = scratch / "out" / c.group.replace(".", "/") / c.artifact / c.version / c.path.name
            _check(file, c.sha256)
            file.replace(c.path)


def _pom(coordinates: list[Coordinate]) -> str:
    """Exactly these files: everything that they depend on is excluded, because it is pinned too."""
    rows = "".join(
        f"<dependency><groupId>{c.group}</groupId><artifactId>{c.artifact}</artifactId>"
        f"<version>{c.version}</version><type>{c.packaging}</type><exclusions><exclusion>"
        "<groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>\n"
        for c in coordinates
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>igf</groupId><artifactId>tools</artifactId>"
        f"<version>1</version><packaging>pom</packaging>\n<dependencies>\n{rows}</dependencies></project>\n"
    )


def _is_whole(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path) == sha256


def _check(path: Path, sha256: str) -> None:
    found = _sha256(path)
    if found != sha256:
        raise ToolError(f"{path.name} has the sha256 {found}, packages.json says {sha256}")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
