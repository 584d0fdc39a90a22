"""Checks of the Xcode project and of Info.plist that need no Xcode."""

import plistlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstep

IOS_DEMO = Path(__file__).resolve().parent.parent
PROJECT = IOS_DEMO / "IGF.xcodeproj" / "project.pbxproj"
SCHEME = IOS_DEMO / "IGF.xcodeproj" / "xcshareddata" / "xcschemes" / "IGF.xcscheme"
INFO = IOS_DEMO / "App" / "Info.plist"

REQUIRED_KEYS = {
    "LSSupportsOpeningDocumentsInPlace": True,
    "UIFileSharingEnabled": True,
    "LSRequiresIPhoneOS": True,
    "CFBundleIdentifier": "$(PRODUCT_BUNDLE_IDENTIFIER)",
    "CFBundleExecutable": "$(EXECUTABLE_NAME)",
    "CFBundlePackageType": "APPL",
}
_SIGNING = (
    "DEVELOPMENT_TEAM",
    "CODE_SIGN_IDENTITY",
    "PROVISIONING_PROFILE",
    "PROVISIONING_PROFILE_SPECIFIER",
)
_IDENTIFIER = re.compile(r"[0-9A-F]{24}")


def problems(path: Path = PROJECT, scheme: Path = SCHEME) -> list[str]:
    """One sentence for each thing in the project that would not open or build."""
    try:
        project: Any = openstep.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"{path.name} cannot be read: {error}"]
    objects = project["objects"]
    found = list(_dangling(objects, project["rootObject"]))
    found += _unused(objects, project["rootObject"])
    found += _missing_files(objects, path.parent.parent)
    found += _scripts(objects, path.parent.parent)
    found += _settings(objects, path.parent.parent)
    text = scheme.read_text(encoding="utf-8")
    targets = {key for key, value in objects.items() if value["isa"] == "PBXNativeTarget"}
    named = re.findall(r'BlueprintIdentifier = "([^"]*)"', text)
    found += [f"{scheme.name} names the target {name}, which is not there" for name in set(named) - targets]
    return found


def info_problems(path: Path = INFO) -> list[str]:
    """One sentence for each key of Info.plist that is missing or has another value."""
    try:
        information = plistlib.loads(path.read_bytes())
    except (OSError, ValueError, plistlib.InvalidFileException) as error:
        return [f"{path.name} cannot be read: {error}"]
    found = [
        f"{path.name}: {key} is {information.get(key)!r}, not {value!r}"
        for key, value in REQUIRED_KEYS.items()
        if information.get(key) != value
    ]
    if len(str(information.get("NSCameraUsageDescription", ""))) < 20:
        found.append(f"{path.name}: NSCameraUsageDescription does not say why; the app would be killed")
    return found


def _identifiers(value: Any) -> Iterator[str]:
    """Every object identifier in a value."""
    if isinstance(value, str):
        if _IDENTIFIER.fullmatch(value):
            yield value
    elif isinstance(value, list):
        for item in value:
            yield from _identifiers(item)
    else:
        for key, item in value.items():
            yield from _identifiers(key)
            yield from _identifiers(item)


def _dangling(objects: dict[str, Any], root: str) -> Iterator[str]:
    if root not in objects:
        yield f"the root object {root} is not there"
    for identifier, entry in objects.items():
        if "isa" not in entry:
            yield f"{identifier} has no isa"
        for other in _identifiers(entry):
            if other not in objects:
                yield f"{entry.get('isa')} {identifier} refers to {other}, which is not there"


def _unused(objects: dict[str, Any], root: str) -> list[str]:
    reached = {root}
    while new := {o for i in reached for o in _identifiers(objects.get(i, {})) if o in objects} - reached:
        reached |= new
    return [f"nothing refers to {objects[i]['isa']} {i}" for i in objects if i not in reached]


def _missing_files(objects: dict[str, Any], root: Path) -> list[str]:
    found = []
    for entry in objects.values():
        if entry["isa"] == "PBXFileReference" and entry["sourceTree"] == "<group>":
            names = [entry["path"]]
        elif entry["isa"] == "PBXFileSystemSynchronizedRootGroup":
            names = [entry["path"]]
            for exception in entry.get("exceptions", []):
                inside = objects[exception]["membershipExceptions"]
                names += [f"{entry['path']}/{name}" for name in inside]
        elif entry["isa"] == "XCLocalSwiftPackageReference":
            names = [f"{entry['relativePath']}/Package.swift"]
        else:
            continue
        found += [f"{entry['isa']}: {name} is not in {root}" for name in names if not (root / name).exists()]
    return found


def _scripts(objects: dict[str, Any], root: Path) -> list[str]:
    found = []
    for entry in objects.values():
        if entry["isa"] == "PBXShellScriptBuildPhase":
            for name in re.findall(r"\$\{SRCROOT\}/([\w./-]+)", entry["shellScript"]):
                file = root / name
                if not file.is_file() or not file.stat().st_mode & 0o111:
                    found.append(f"the build step runs {name}, which is not an executable file")
    return found


def _settings(objects: dict[str, Any], root: Path) -> list[str]:
    found = []
    for entry in objects.values():
        if entry["isa"] != "XCBuildConfiguration":
            continue
        settings = entry["buildSettings"]
        found += [f"{name} is checked in" for name in _SIGNING if settings.get(name)]
        plist = settings.get("INFOPLIST_FILE")
        if plist and not (root / plist).is_file():
            found.append(f"INFOPLIST_FILE: {plist} is not there")
        if settings.get("ENABLE_USER_SCRIPT_SANDBOXING") == "YES":
            found.append("with ENABLE_USER_SCRIPT_SANDBOXING the build step cannot read ../build")
    return found
