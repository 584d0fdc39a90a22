"""The checks of an APK see what they are there for: each on something good and on the same thing spoilt."""

import hashlib
import json
import struct
import zipfile
from pathlib import Path

import apk
import checks
import dex
import elf
import pytest
from steps import step

PTE = b"\0\0\0\0ET12 XN01 dim_order_ops::_to_dim_order_copy"


def library(
    machine: int = 183,
    alignment: int = 16384,
    needed: str = "libc.so",
    symbols: tuple[str, ...] = (),
    defined: bool = False,
) -> bytes:
    """A shared library of headers alone: one loaded segment, a dynamic section, symbols."""
    names = ["", needed, *symbols]
    strings = b"".join(name.encode() + b"\0" for name in names)
    places = [strings.index(name.encode() + b"\0") for name in names]
    dynamic = struct.pack("<QQ", 1, places[1])
    table = b"".join(struct.pack("<IBBHQQ", place, 0x12, 0, int(defined), 0, 0) for place in places[2:])
    start = 64 + 56
    offsets = [start, start + len(strings), start + len(strings) + len(dynamic)]
    sections = offsets[2] + len(table)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, sections, 0, 64, 56, 1, 64, 3, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0, 0, alignment)
    rows = [
        (3, offsets[0], len(strings), 0),
        (6, offsets[1], len(dynamic), 0),
        (11, offsets[2], len(table), 0),
    ]
    headers = b"".join(
        struct.pack("<IIQQQQIIQQ", 0, kind, 0, 0, at, size, link, 0, 0, 0) for kind, at, size, link in rows
    )
    return header + program + strings + dynamic + table + headers


def dex_file(*classes: str, call_sites: int = 0) -> bytes:
    strings = b"".join(bytes([len(name)]) + name.encode() + b"\0" for name in classes)
    count = len(classes)
    string_ids, type_ids, definitions = 112, 112 + 4 * count, 112 + 8 * count
    data = definitions + 32 * count
    place, starts = data, []
    for name in classes:
        starts.append(place)
        place += len(name) + 2
    content = bytearray(112)
    content[:8] = b"dex\n038\0"
    struct.pack_into("<I", content, 52, place)
    struct.pack_into("<II", content, 56, count, string_ids)
    struct.pack_into("<II", content, 64, count, type_ids)
    struct.pack_into("<II", content, 96, count, definitions)
    content += b"".join(struct.pack("<I", start) for start in starts)
    content += b"".join(struct.pack("<I", index) for index in range(count))
    content += b"".join(struct.pack("<I", index) + bytes(28) for index in range(count))
    content += strings
    items = [(0, 1)] + ([(7, call_sites)] if call_sites else [])
    return bytes(
        content + struct.pack("<I", len(items)) + b"".join(struct.pack("<HHII", k, 0, n, 0) for k, n in items)
    )


@pytest.fixture
def expected(tmp_path: Path) -> checks.Expectation:
    build = tmp_path / "build"
    build.mkdir()
    (build / "a.pte").write_bytes(PTE)
    records = [
        {
            "file": "a.pte",
            "sha256": hashlib.sha256(PTE).hexdigest(),
            "backend": "executorch",
            "scheme": "fp32",
        },
        {"file": "b.mlpackage", "sha256": "0", "backend": "coreml", "scheme": "fp32"},
    ]
    manifest = {"checkpoint": {"sha256": "c"}, "artifacts": records}
    (build / "manifest.json").write_text(json.dumps(manifest))
    return checks.Expectation(
        "x",
        "1",
        24,
        35,
        frozenset(),
        ("arm64-v8a", "x86_64"),
        ("La/B;",),
        ("libx.so",),
        build,
        ("executorch",),
    )


def assets(expected: checks.Expectation) -> dict[str, bytes]:
    case = {
        "name": "proof",
        "checkpoint_sha256": "c",
        "sha256": {"alpha": hashlib.sha256(b"1234").hexdigest()},
        "limits": {"executorch": {"fp32": {"max_abs": 0.1}}},
    }
    return {
        "assets/build/manifest.json": (expected.build / "manifest.json").read_bytes(),
        "assets/build/a.pte": PTE,
        "assets/device_case/case.json": json.dumps(case).encode(),
        "assets/device_case/alpha.f32": b"1234",
    }


def fails(words: str) -> pytest.RaisesExc:
    return pytest.raises(Exception, match=words)


def test_artifacts_have_the_manifests_hashes(expected: checks.Expectation) -> None:
    good = assets(expected)
    assert checks.check_artifacts(good, expected).startswith("1 artifacts")
    with fails("does not have the manifest's sha256"):
        checks.check_artifacts({**good, "assets/build/a.pte": PTE + b"!"}, expected)
    with fails("not in the APK"):
        checks.check_artifacts({k: v for k, v in good.items() if not k.endswith(".pte")}, expected)
    with fails("not in the manifest: assets/build/old.pte"):
        checks.check_artifacts({**good, "assets/build/old.pte": PTE}, expected)
    swapped = good["assets/build/manifest.json"].replace(b'"c"', b'"d"')
    with fails("not the build's"):
        checks.check_artifacts({**good, "assets/build/manifest.json": swapped}, expected)


def test_the_golden_case_is_whole_and_of_the_build(expected: checks.Expectation) -> None:
    good = assets(expected)
    assert checks.check_case(good) == "proof, limits for 1 artifacts"
    with fails("another sha256"):
        checks.check_case({**good, "assets/device_case/alpha.f32": b"1235"})
    case = json.loads(good["assets/device_case/case.json"])
    for change, words in (
        ({"checkpoint_sha256": "d"}, "another checkpoint"),
        ({"limits": {}}, "no limit for a.pte"),
    ):
        with fails(words):
            checks.check_case(
                {**good, "assets/device_case/case.json": json.dumps({**case, **change}).encode()}
            )


def test_programs_need_formats_and_operators_of_the_runtime(expected: checks.Expectation) -> None:
    runtime = {"lib/x86_64/libexecutorch.so": PTE}
    assert "not run" in checks.check_programs(assets(expected), runtime)
    for word in (b"ET12", b"XN01", b"_to_dim_order_copy"):
        with fails(f"does not know .*{word.decode()}"):
            checks.check_programs(assets(expected), {"lib/x86_64/libexecutorch.so": PTE.replace(word, b"")})


def test_libraries_of_every_abi(expected: checks.Expectation) -> None:
    good = ["lib/arm64-v8a/libx.so", "lib/x86_64/libx.so", "lib/x86_64/liby.so"]
    assert checks.check_libraries(good, expected)
    with fails("ABIs arm64-v8a"):
        checks.check_libraries(good[:1], expected)
    with fails("x86_64 lacks libx.so"):
        checks.check_libraries([good[0], good[2]], expected)


def test_library_needs() -> None:
    jni = "_ZN8facebook3jni4initEv"
    good = {
        "lib/arm64-v8a/libx.so": library(needed="libfbjni.so", symbols=(jni,)),
        "lib/arm64-v8a/libfbjni.so": library(symbols=(jni,), defined=True),
    }
    assert checks.check_needs(good).startswith("2 libraries")
    with fails("is for machine 62"):
        checks.check_needs({**good, "lib/arm64-v8a/liby.so": library(machine=62)})
    with fails("needs libnot_there.so"):
        checks.check_needs({**good, "lib/arm64-v8a/liby.so": library(needed="libnot_there.so")})
    with fails("libfbjni.so does not define"):
        checks.check_needs({**good, "lib/arm64-v8a/libfbjni.so": library()})


def test_small_pages_are_noted() -> None:
    rows = list(checks.check_pages({"a.so": library(), "b.so": library(alignment=4096)}))
    assert [row.outcome for row in rows] == [checks.PASSED, checks.NOTE]
    assert "4096" in rows[1].detail
    with pytest.raises(ValueError, match="not a 64-bit"):
        elf.parse(b"MZ" + bytes(100))


def test_dex(expected: checks.Expectation) -> None:
    assert checks.check_dex(dex_file("La/B;", "Lc;"), expected) == "2 classes, 0 invoke-custom"
    with fails("3 call sites"):
        checks.check_dex(dex_file("La/B;", call_sites=3), expected)
    with fails("no class La/B;"):
        checks.check_dex(dex_file("Lc;"), expected)
    with pytest.raises(ValueError, match=r"not a \.dex"):
        dex.parse(b"PK")


def test_zip_alignment(tmp_path: Path) -> None:
    good, crooked, packed = (tmp_path / f"{name}.apk" for name in ("good", "crooked", "packed"))
    with zipfile.ZipFile(good, "w") as archive:
        apk.add(archive, "classes.dex", b"x" * 1001, stored=False)
        apk.add(archive, "resources.arsc", b"y" * 33, stored=True)
        apk.add(archive, "lib/x86_64/libx.so", library(), stored=True)
    assert checks.check_alignment(good).startswith("2 stored entries")
    with zipfile.ZipFile(crooked, "w") as archive:
        archive.writestr("lib/x86_64/libx.so", library())
    with fails("no multiple of 16384"):
        checks.check_alignment(crooked)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lib/x86_64/libx.so", library())
    with fails("cannot be mapped"):
        checks.check_alignment(packed)


def test_a_failing_check_is_a_row() -> None:
    def broken() -> str:
        raise KeyError("classes.dex")

    row = checks._row("dex", broken)
    assert (row.outcome, row.detail) == (checks.FAILED, "no 'classes.dex'")
    assert "FAILED" in checks.table([row])


def test_steps_run_again_only_after_a_change(tmp_path: Path) -> None:
    source, output = tmp_path / "source", tmp_path / "output"
    source.write_text("1")

    def make(path: Path) -> None:
        path.write_text(source.read_text() + "!")

    assert step(output, [source], "a", make)
    assert not step(output, [source], "a", make)
    assert step(output, [source], "b", make)
    source.write_text("2")
    assert step(output, [source], "b", make)
    assert output.read_text() == "2!"

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    source.write_text("3")
    with pytest.raises(OSError):
        step(output, [source], "b", fail)
    assert not output.exists()
    assert step(output, [source], "b", make)
