"""The APK: shrink, dex, resources, native libraries, assets, signature. No Gradle, no Android SDK."""

import os
import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import checks
import kotlin
import toolchain
from steps import step

ABIS = ("arm64-v8a", "x86_64")
APPLICATION_ID = "igf.mobile.demo"
NAMESPACE = "igf.app"
MAIN = toolchain.DEMO / "app/src/main"
CATALOG = toolchain.DEMO / "gradle/libs.versions.toml"
PAGE = 16384
"""Bytes that an uncompressed native library is aligned to in the APK; Android 15 has phones with such pages."""


def catalog_version(name: str) -> str:
    """A version of the catalog that Gradle reads too."""
    found = re.search(rf'^{name} = "([^"]+)"', CATALOG.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise toolchain.ToolError(f"{CATALOG.name} has no version {name}")
    return found[1]


def build(work: Path, staged: Path) -> Path:
    """The signed APK.

    Args:
        work: where everything between the sources and the APK goes.
        staged: a folder of assets besides the app's own: build/ and device_case/.
    """
    toolchain.require_java()
    toolchain.require_packagers()
    dex = _dex(work, _shrunk(work, _classes(work)))
    resources = _resources(work)
    unsigned = _unsigned(work, dex, resources, staged)
    return _signed(work, unsigned)


def merged_manifest() -> str:
    """AndroidManifest.xml with what Gradle would add: the package, versions and SDK levels."""
    text = (MAIN / "AndroidManifest.xml").read_text(encoding="utf-8")
    versions = (
        f'android:versionCode="{catalog_version("appCode")}" android:versionName="{catalog_version("app")}"'
    )
    minimum, target = catalog_version("minSdk"), catalog_version("targetSdk")
    sdk = f'android:minSdkVersion="{minimum}" android:targetSdkVersion="{target}"'
    opening = f'<manifest package="{APPLICATION_ID}" {versions} '
    merged = text.replace("<manifest ", opening, 1)
    return merged.replace("    <uses-permission", f"    <uses-sdk {sdk} />\n    <uses-permission", 1)


def libraries() -> list[tuple[str, Path]]:
    """(path in the APK, file) of every native library."""
    return [
        (f"lib/{abi}/{file.name}", file)
        for abi in ABIS
        for folder in toolchain.runtimes()
        for file in sorted((folder / "jni" / abi).glob("*.so"))
    ]


def _resources(work: Path) -> Path:
    """aapt's package of manifest and resources, and R.java beside it."""
    # Debian's aapt cannot read the resource table of API 35; the app uses nothing newer than this one has.
    (framework,) = toolchain.files("resources")
    manifest = merged_manifest()

    def make(folder: Path) -> None:
        (folder / "java").mkdir(parents=True)
        (folder / "AndroidManifest.xml").write_text(manifest, encoding="utf-8")
        command = ["aapt", "package", "-f", "-m", "--custom-package", NAMESPACE, "-I", str(framework)]
        command += [
            "-M",
            str(folder / "AndroidManifest.xml"),
            "-S",
            str(MAIN / "res"),
            "-J",
            str(folder / "java"),
        ]
        toolchain.run([*command, "-F", str(folder / "resources.zip")])

    step(work / "resources", [MAIN / "res", framework], manifest, make)
    return work / "resources"


def _classes(work: Path) -> list[Path]:
    """Jars of our own code: core, app and the resource numbers."""
    java = _resources(work) / "java"

    def make(jar: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            sources = [str(file) for file in java.rglob("*.java")]
            toolchain.run(
                ["javac", "-nowarn", "-source", "8", "-target", "8", "-Xlint:-options", "-d", name, *sources]
            )
            with zipfile.ZipFile(jar, "w") as archive:
                for file in sorted(Path(name).rglob("*.class")):
                    archive.write(file, file.relative_to(name).as_posix())

    numbers = work / "r.jar"
    step(numbers, [java], "javac 8", make)
    return [kotlin.compile_core(work), kotlin.compile_app(work, numbers), numbers]


def _shrunk(work: Path, classes: list[Path]) -> Path:
    """One jar of all the classes that the app reaches."""
    rules = toolchain.TOOLS / "keep.pro"
    jars = [*classes, *(folder / "classes.jar" for folder in toolchain.runtimes())]
    (framework,) = toolchain.files("framework")

    def make(output: Path) -> None:
        # The standard library also ships classes for Java 9 and later, which the dexer does not know.
        given = [f"-injars {jar}(!META-INF/**,!module-info.class,**.class)" for jar in jars]
        command = [
            "java",
            "-Xmx1g",
            "-cp",
            toolchain.classpath(toolchain.files("shrinker")),
            "proguard.ProGuard",
        ]
        command += [f"@{rules}", *" ".join(given).split(" ")]
        command += ["-libraryjars", f"{framework}(!META-INF/**,**.class)"]
        for module in ("java.base", "java.logging"):
            file = toolchain.jdk() / "jmods" / f"{module}.jmod"
            command += ["-libraryjars", f"{file}(!**.jar,!module-info.class,**.class)"]
        toolchain.run([*command, "-outjars", str(output)])

    step(work / "shrunk.jar", [rules, *jars, framework], "proguard 1", make)
    return work / "shrunk.jar"


def _dex(work: Path, jar: Path) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir()
        command = [
            "java",
            "-Xmx1g",
            "-cp",
            toolchain.classpath(toolchain.files("dexer")),
            "com.android.dx.command.Main",
        ]
        level = f"--min-sdk-version={catalog_version('minSdk')}"
        toolchain.run([*command, "--dex", level, f"--output={folder / 'classes.dex'}", str(jar)])

    step(work / "dex", [jar], catalog_version("minSdk"), make)
    return work / "dex" / "classes.dex"


def _unsigned(work: Path, dex: Path, resources: Path, staged: Path) -> Path:
    entries = [("classes.dex", dex), *libraries(), *_assets(staged)]

    def make(output: Path) -> None:
        with zipfile.ZipFile(output, "w") as apk:
            with zipfile.ZipFile(resources / "resources.zip") as packed:
                for item in packed.infolist():
                    add(apk, item.filename, packed.read(item), item.compress_type == zipfile.ZIP_STORED)
            for name, file in entries:
                add(apk, name, file.read_bytes(), stored=name.endswith(".so"))

    names = "\n".join(name for name, _ in entries)
    step(work / "unsigned.apk", [resources / "resources.zip", *(file for _, file in entries)], names, make)
    return work / "unsigned.apk"


def _assets(staged: Path) -> list[tuple[str, Path]]:
    """(path in the APK, file) of the app's own assets and of the staged ones."""
    return [
        (f"assets/{file.relative_to(root).as_posix()}", file)
        for root in (MAIN / "assets", staged)
        for file in sorted(root.rglob("*"))
        if file.is_file()
    ]


def add(apk: zipfile.ZipFile, name: str, content: bytes, stored: bool) -> None:
    """Add an entry with a fixed date; a stored one begins at a multiple of 4 bytes, a library of PAGE."""
    entry = zipfile.ZipInfo(name, date_time=(2020, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    if stored:
        alignment = PAGE if name.endswith(".so") else 4
        assert apk.fp is not None
        data = apk.fp.tell() + 30 + len(name.encode())
        # An extra field is 4 bytes of header and then padding, as Android's own zipalign writes it.
        padding = -(data + 4) % alignment
        entry.extra = b"\x35\xd9" + padding.to_bytes(2, "little") + bytes(padding)
    apk.writestr(entry, content)


def _signed(work: Path, unsigned: Path) -> Path:
    key = _debug_key()
    name = f"igf-demo-{catalog_version('app')}.apk"

    def make(output: Path) -> None:
        secret = ["--ks-pass", "pass:android", "--ks-key-alias", "debug"]
        level = ["--min-sdk-version", catalog_version("minSdk"), "--v4-signing-enabled", "false"]
        shutil.copy(unsigned, output)
        toolchain.run(["apksigner", "sign", "--ks", str(key), *secret, *level, str(output)])

    step(work / name, [unsigned, key], "sign", make)
    return work / name


def _debug_key() -> Path:
    """A throwaway key, made once per cache, so that a newer APK installs over an older one."""
    path = toolchain.cache() / "debug.keystore"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}.keystore")
        command = [
            "keytool",
            "-genkeypair",
            "-keystore",
            str(temporary),
            "-storepass",
            "android",
            "-keypass",
            "android",
        ]
        command += ["-alias", "debug", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000"]
        subprocess.run([*command, "-dname", "CN=igf debug"], check=True, capture_output=True)
        temporary.replace(path)
    return path


def expectation(build_folder: Path, backends: tuple[str, ...]) -> checks.Expectation:
    """What a finished APK is held to."""
    return checks.Expectation(
        application_id=APPLICATION_ID,
        version=catalog_version("app"),
        minimum_sdk=int(catalog_version("minSdk")),
        target_sdk=int(catalog_version("targetSdk")),
        permissions=frozenset({"android.permission.CAMERA"}),
        abis=ABIS,
        classes=(
            "Ligf/app/MainActivity;",
            "Ligf/app/ReportProvider;",
            "Ligf/core/Session;",
            "Lorg/tensorflow/lite/Interpreter;",
            "Lorg/tensorflow/lite/gpu/GpuDelegate;",
            "Lorg/tensorflow/lite/nnapi/NnApiDelegate;",
            "Lorg/pytorch/executorch/Module;",
        ),
        libraries=(
            "libtensorflowlite_jni.so",
            "libtensorflowlite_gpu_jni.so",
            "libexecutorch.so",
            "libfbjni.so",
        ),
        build=build_folder,
        backends=backends,
    )
