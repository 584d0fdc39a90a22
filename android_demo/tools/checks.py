"""Checks of a finished APK. Each reads the APK itself, not what the build meant to put into it."""

import hashlib
import json
import re
import struct
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dex
import elf

PASSED, FAILED, NOTE = "passed", "FAILED", "note"
PAGE = 16384

SYSTEM_LIBRARIES = frozenset(
    f"lib{name}.so"
    for name in ("c", "m", "dl", "log", "android", "EGL", "GLESv2", "GLESv3", "nativewindow", "z")
)
"""What Android gives every app."""


@dataclass(frozen=True)
class Row:
    """One line of the table. NOTE: it is so, nobody here can change it, and the reader must know."""

    check: str
    outcome: str
    detail: str


@dataclass(frozen=True)
class Expectation:
    """What the APK is held to; none of it comes from the APK."""

    application_id: str
    version: str
    minimum_sdk: int
    target_sdk: int
    permissions: frozenset[str]
    abis: tuple[str, ...]
    classes: tuple[str, ...]
    """Descriptors that the dex must define."""
    libraries: tuple[str, ...]
    """Native libraries of every ABI that must be inside."""
    build: Path
    backends: tuple[str, ...]


def check_apk(apk: Path, expected: Expectation) -> list[Row]:
    """Every check, in the order of the table."""
    with zipfile.ZipFile(apk) as archive:
        names = [item.filename for item in archive.infolist()]
        rows = [_signature(apk, expected), *_manifest(apk, expected)]
        rows += [_row("dex", lambda: check_dex(archive.read("classes.dex"), expected))]
        rows += [_row("native libraries", lambda: check_libraries(names, expected))]
        libraries = {name: archive.read(name) for name in names if name.endswith(".so")}
        rows += [_row("library needs", lambda: check_needs(libraries)), *check_pages(libraries)]
        rows += [_row("zip alignment", lambda: check_alignment(apk))]
        assets = {name: archive.read(name) for name in names if name.startswith("assets/")}
        rows += [_row("artifacts", lambda: check_artifacts(assets, expected))]
        rows += [_row("golden case", lambda: check_case(assets))]
        rows += [_row("ExecuTorch programs", lambda: check_programs(assets, libraries))]
    return rows


def table(rows: list[Row]) -> str:
    """The rows for people."""
    width = max(len(row.check) for row in rows)
    return "\n".join(f"{row.check:<{width}}  {row.outcome:<6}  {row.detail}" for row in rows)


def check_dex(content: bytes, expected: Expectation) -> str:
    """No `invoke-custom`, which the minimum SDK does not know, and all classes that others call by name."""
    found = dex.parse(content)
    _require(found.call_sites == 0, f"{found.call_sites} call sites of invoke-custom")
    missing = [name for name in expected.classes if name not in found.classes]
    _require(not missing, f"no class {', '.join(missing)}")
    return f"{len(found.classes)} classes, 0 invoke-custom"


def check_libraries(names: list[str], expected: Expectation) -> str:
    """Exactly the expected ABIs, and in each the expected libraries."""
    by_abi: dict[str, set[str]] = {}
    for name in names:
        if name.startswith("lib/"):
            _, abi, file = name.split("/")
            by_abi.setdefault(abi, set()).add(file)
    _require(set(by_abi) == set(expected.abis), f"ABIs {', '.join(sorted(by_abi)) or 'none'}")
    for abi, files in by_abi.items():
        missing = set(expected.libraries) - files
        _require(not missing, f"{abi} lacks {', '.join(sorted(missing))}")
    return f"{', '.join(expected.abis)}: {', '.join(sorted(by_abi[expected.abis[0]]))}"


def check_needs(libraries: dict[str, bytes]) -> str:
    """Each library is of its ABI, and what it needs is Android's or packaged beside it, down to fbjni's symbols."""
    parsed = {name: elf.parse(content) for name, content in libraries.items()}
    for name, library in parsed.items():
        abi = name.split("/")[1]
        _require(library.machine == elf.MACHINES[abi], f"{name} is for machine {library.machine}")
        beside = {
            other.rsplit("/", 1)[1]: found for other, found in parsed.items() if other.split("/")[1] == abi
        }
        absent = set(library.needed) - SYSTEM_LIBRARIES - set(beside)
        _require(not absent, f"{name} needs {', '.join(sorted(absent))}")
        if "libfbjni.so" in library.needed:
            wanted = {symbol for symbol in library.undefined if "8facebook3jni" in symbol}
            missing = wanted - beside["libfbjni.so"].defined
            _require(not missing, f"{name}: libfbjni.so does not define {', '.join(sorted(missing)[:3])}")
    return f"{len(parsed)} libraries, each with all it needs"


def check_pages(libraries: dict[str, bytes]) -> Iterator[Row]:
    """A note for each library that upstream linked for pages of 4 KiB."""
    for name, content in sorted(libraries.items()):
        alignment = elf.parse(content).alignment
        if alignment >= PAGE:
            yield Row("16 KiB pages", PASSED, f"{name}: segments aligned to {alignment}")
        else:
            mode = "phones with 16 KiB pages run it in compatibility mode"
            yield Row("16 KiB pages", NOTE, f"{name}: upstream aligned its segments to {alignment}; {mode}")


def check_alignment(apk: Path) -> str:
    """Libraries are stored, not compressed, at multiples of 16 KiB; other stored entries at multiples of 4."""
    with zipfile.ZipFile(apk) as archive, apk.open("rb") as stream:
        items = [item for item in archive.infolist() if item.compress_type == zipfile.ZIP_STORED]
        packed = [i.filename for i in archive.infolist() if i.filename.endswith(".so") and i not in items]
        _require(not packed, f"compressed, cannot be mapped: {', '.join(packed)}")
        for item in items:
            stream.seek(item.header_offset + 26)
            name_length, extra_length = struct.unpack("<HH", stream.read(4))
            start = item.header_offset + 30 + name_length + extra_length
            wanted = PAGE if item.filename.endswith(".so") else 4
            _require(start % wanted == 0, f"{item.filename} begins at {start}, no multiple of {wanted}")
    return f"{len(items)} stored entries, libraries at multiples of {PAGE}"


def check_artifacts(assets: dict[str, bytes], expected: Expectation) -> str:
    """The manifest is the build's, byte for byte, and every artifact of our runtimes has the manifest's hash."""
    manifest = assets.get("assets/build/manifest.json", b"")
    _require(manifest == (expected.build / "manifest.json").read_bytes(), "manifest.json is not the build's")
    records = [r for r in json.loads(manifest)["artifacts"] if r["backend"] in expected.backends]
    for record in records:
        content = assets.get(f"assets/build/{record['file']}")
        _require(content is not None, f"{record['file']} is not in the APK")
        _require(
            _sha256(content or b"") == record["sha256"],
            f"{record['file']} does not have the manifest's sha256",
        )
    bundled = {name for name in assets if name.startswith("assets/build/")}
    extra = bundled - {f"assets/build/{r['file']}" for r in records} - {"assets/build/manifest.json"}
    _require(not extra, f"not in the manifest: {', '.join(sorted(extra))}")
    return f"{len(records)} artifacts with the manifest's sha256"


def check_case(assets: dict[str, bytes]) -> str:
    """The golden case is whole, of the build's checkpoint, and has a limit for every artifact."""
    case = json.loads(assets["assets/device_case/case.json"])
    manifest = json.loads(assets["assets/build/manifest.json"])
    _require(case["checkpoint_sha256"] == manifest["checkpoint"]["sha256"], "it is of another checkpoint")
    for name, sha256 in case["sha256"].items():
        _require(
            _sha256(assets[f"assets/device_case/{name}.f32"]) == sha256, f"{name}.f32 has another sha256"
        )
    bundled = [r for r in manifest["artifacts"] if f"assets/build/{r['file']}" in assets]
    without = [r["file"] for r in bundled if r["scheme"] not in case["limits"].get(r["backend"], {})]
    _require(not without, f"no limit for {', '.join(without)}")
    return f"{case['name']}, limits for {len(bundled)} artifacts"


def check_programs(assets: dict[str, bytes], libraries: dict[str, bytes]) -> str:
    """The packaged runtime knows the programs' formats and operators; not that it computes right."""
    runtimes = [content for name, content in libraries.items() if name.endswith("/libexecutorch.so")]
    programs = {name: content for name, content in assets.items() if name.endswith(".pte")}
    for name, content in programs.items():
        formats = {content[4:8], *re.findall(rb"XN\d\d", content)}
        operators = set(re.findall(rb"(?:aten|dim_order_ops|quantized_decomposed)::\w+", content))
        for runtime in runtimes:
            unknown = [word.decode() for word in sorted(formats | operators) if word not in runtime]
            _require(not unknown, f"{name}: the runtime does not know {', '.join(unknown)}")
    return f"{len(programs)} programs, their formats and operators are known to {len(runtimes)} runtimes; not run"


class _Failure(Exception):
    pass


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise _Failure(otherwise)


def _row(name: str, check: Callable[[], str]) -> Row:
    try:
        return Row(name, PASSED, check())
    except (_Failure, ValueError, KeyError) as error:
        return Row(name, FAILED, f"{'no ' if isinstance(error, KeyError) else ''}{error}")


def _signature(apk: Path, expected: Expectation) -> Row:
    command = ["apksigner", "verify", "--verbose", "--min-sdk-version", str(expected.minimum_sdk), str(apk)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Row("signature", FAILED, (done.stdout + done.stderr).strip().splitlines()[0])
    schemes = re.findall(r"Verified using (v\d\S*) scheme.*: true", done.stdout)
    return Row("signature", PASSED, f"apksigner verify: {', '.join(schemes)}; throwaway debug key")


def _manifest(apk: Path, expected: Expectation) -> Iterator[Row]:
    badging = _aapt("badging", apk)

    def identity() -> str:
        found = re.search(r"package: name='(\S+)' versionCode='(\d+)' versionName='(\S+)'", badging)
        _require(found is not None and found[1] == expected.application_id, f"package {found and found[1]}")
        _require(found is not None and found[3] == expected.version, f"version {found and found[3]}")
        _require("application-debuggable" not in badging, "it is debuggable")
        return f"{expected.application_id} {expected.version}"

    def sdk() -> str:
        levels = [
            int(x) for x in re.findall(r"^(?:sdkVersion|targetSdkVersion):'(\d+)'", badging, re.MULTILINE)
        ]
        _require(levels == [expected.minimum_sdk, expected.target_sdk], f"minimum and target {levels}")
        return f"minimum {levels[0]}, target {levels[1]}"

    def permissions() -> str:
        found = set(re.findall(r"^uses-permission: name='(\S+)'", _aapt("permissions", apk), re.MULTILINE))
        _require(found == expected.permissions, f"{', '.join(sorted(found)) or 'none'}")
        return f"{', '.join(sorted(found))}; no INTERNET"

    def components() -> str:
        tree = _aapt("xmltree", apk, "AndroidManifest.xml")
        found = sorted(
            set(
                re.findall(
                    r'E: (activity|provider|service|receiver)[^E]*?A: android:name\(\S+\)="(\S+)"', tree
                )
            )
        )
        undefined = [name for _, name in found if f"L{name.replace('.', '/')};" not in expected.classes]
        _require(bool(found) and not undefined, f"components {', '.join(undefined)} are not known")
        return ", ".join(f"{kind} {name}" for kind, name in found)

    for name, check in (
        ("package", identity),
        ("SDK levels", sdk),
        ("permissions", permissions),
        ("components", components),
    ):
        yield _row(name, check)


def _aapt(what: str, apk: Path, *more: str) -> str:
    return subprocess.run(
        ["aapt", "dump", what, str(apk), *more], capture_output=True, text=True, check=False
    ).stdout


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
