"""The Gradle project, the APK script, the manifest and the sources say the same; Gradle itself cannot run here."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import apk
import pytest
import toolchain

DEMO = Path(__file__).parents[2] / "android_demo"
ANDROID = "{http://schemas.android.com/apk/res/android}"
APP = DEMO / "app/src/main"
CORE = DEMO / "core/src/main/kotlin"
SCRIPTS = [
    DEMO / "settings.gradle.kts",
    DEMO / "build.gradle.kts",
    DEMO / "app/build.gradle.kts",
    DEMO / "core/build.gradle.kts",
]


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def kotlin_files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.kt"))
    assert found
    return found


def manifest() -> ElementTree.Element:
    return ElementTree.parse(APP / "AndroidManifest.xml").getroot()


def test_modules_and_sources_are_where_gradle_looks() -> None:
    modules = re.findall(r'":(\w+)"', text(DEMO / "settings.gradle.kts"))
    assert modules == ["core", "app"]
    for module in modules:
        assert (DEMO / module / "build.gradle.kts").is_file()
        assert (DEMO / module / "src/main/kotlin").is_dir()
    assert (APP / "AndroidManifest.xml").is_file()


def test_every_alias_is_in_the_catalog() -> None:
    catalog = text(apk.CATALOG)
    sections = dict(re.findall(r"^\[(\w+)\]\n(.*?)(?=^\[|\Z)", catalog, re.MULTILINE | re.DOTALL))
    names = {key: re.findall(r"^([\w-]+) = ", body, re.MULTILINE) for key, body in sections.items()}
    known = (
        {f"plugins.{n}" for n in names["plugins"]}
        | {f"versions.{n}" for n in names["versions"]}
        | set(names["libraries"])
    )
    used = {
        alias
        for script in SCRIPTS
        for alias in re.findall(r"\blibs\.([\w.]+?)(?:\.get\(\)|\))", text(script))
    }
    assert len(used) > 8
    assert used <= {name.replace("-", ".") for name in known}
    for reference in re.findall(r'version\.ref = "(\w+)"', catalog):
        assert reference in names["versions"]


def test_names_versions_and_abis_agree() -> None:
    script = text(DEMO / "app/build.gradle.kts")
    assert f'namespace = "{apk.NAMESPACE}"' in script
    assert f'applicationId = "{apk.APPLICATION_ID}"' in script
    abis = re.search(r"abiFilters \+= listOf\((.*?)\)", script)
    assert abis and tuple(re.findall(r'"([^"]+)"', abis[1])) == apk.ABIS
    pinned = {
        c.artifact: c.version
        for rows in toolchain.locked().values()
        for c in rows
        if c.artifact != "kotlin-stdlib"
    }
    assert pinned["kotlin-compiler-embeddable"] == apk.catalog_version("kotlin")
    assert pinned["junit"] == apk.catalog_version("junit")
    assert toolchain.locked()["runtime"][0].version == apk.catalog_version("kotlin")
    with pytest.raises(toolchain.ToolError):
        apk.catalog_version("nothing")


def test_pins_are_whole() -> None:
    rows = [c for group in toolchain.locked().values() for c in group]
    npm = json.loads(text(toolchain.TOOLS / "packages.json"))["npm"]
    assert len(rows) > 20
    for sha256 in [*(c.sha256 for c in rows), *(row["sha256"] for row in npm)]:
        assert re.fullmatch(r"[0-9a-f]{64}", sha256)


def test_the_manifest_asks_for_the_camera_alone() -> None:
    permissions = [p.get(f"{ANDROID}name") for p in manifest().iter("uses-permission")]
    assert permissions == ["android.permission.CAMERA"]
    assert manifest().get("package") is None, "Gradle refuses a package here; the script adds it"
    merged = ElementTree.fromstring(apk.merged_manifest())
    assert merged.get("package") == apk.APPLICATION_ID
    assert [s.get(f"{ANDROID}minSdkVersion") for s in merged.iter("uses-sdk")] == [
        apk.catalog_version("minSdk")
    ]


def test_components_exist_and_survive_the_shrinker() -> None:
    rules = text(toolchain.TOOLS / "keep.pro")
    expected = apk.expectation(Path(), ()).classes
    application = manifest().find("application")
    assert application is not None
    components = [c for c in application if c.tag in ("activity", "provider", "service", "receiver")]
    assert len(components) == 2
    for component in components:
        name = str(component.get(f"{ANDROID}name"))
        assert (APP / "kotlin" / f"{name.replace('.', '/')}.kt").is_file()
        assert f"-keep public class {name}" in rules
        assert f"L{name.replace('.', '/')};" in expected
    (provider,) = [c for c in components if c.tag == "provider"]
    assert provider.get(f"{ANDROID}exported") == "false"
    authority = provider.get(f"{ANDROID}authorities")
    assert f'"{authority}"' in text(APP / "kotlin/igf/app/ReportProvider.kt")


def test_every_resource_that_the_code_names_exists() -> None:
    strings = {s.get("name") for s in ElementTree.parse(APP / "res/values/strings.xml").getroot()}
    used = {
        name for file in kotlin_files(APP / "kotlin") for name in re.findall(r"R\.string\.(\w+)", text(file))
    }
    assert used and used <= strings
    assert strings - used == {"app_name"}


def test_the_core_knows_no_android_and_nobody_androidx() -> None:
    for file in kotlin_files(CORE):
        assert not re.search(r"^import (android|org\.tensorflow|org\.pytorch)", text(file), re.MULTILINE), (
            file
        )
    for file in kotlin_files(APP / "kotlin"):
        assert "androidx" not in re.sub(r"//.*|@Deprecated.*", "", text(file)), file


@pytest.mark.parametrize(
    "vendor, home", [("org.tensorflow", "LiteRtRuntime.kt"), ("org.pytorch", "ExecuTorchRuntime.kt")]
)
def test_a_runtime_is_one_file(vendor: str, home: str) -> None:
    assert [f.name for f in kotlin_files(APP / "kotlin") if f"import {vendor}" in text(f)] == [home]


def test_the_readme_has_every_extra_and_no_other() -> None:
    """The contract with the desktop."""
    code = text(APP / "kotlin/igf/app/UnattendedRequest.kt")
    extras = set(re.findall(r'"(igf\.[a-z_]+)"', code))
    assert len(extras) == 12
    assert set(re.findall(r"`(igf\.[a-z_]+)`", text(DEMO / "README.md"))) == extras


def test_the_readme_has_every_progress_event() -> None:
    code = text(CORE / "igf/core/Progress.kt")
    events = set(re.findall(r'of\(\s*"(\w+)"', code))
    assert events == {"session", "run", "phase", "run_done", "refused", "finished", "failed"}
    readme = text(DEMO / "README.md")
    assert events <= set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE))
    tag = re.search(r'TAG = "(\w+)"', code)
    assert tag and f"`{tag[1]}`" in readme
