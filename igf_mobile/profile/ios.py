"""`igf profile ios`: run the app's unattended test on an iPhone with Xcode's tools and fetch its report.

`xcodebuild test` builds, signs, installs and starts; the test prints `igf verify ...` and `igf measure ...`, a line a
step; `devicectl` lists devices and copies the report out of the app's container.
"""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from igf_mobile.device.reader import load_report
from igf_mobile.errors import DamagedFile, IgfError, NotPossible
from igf_mobile.profile.command import DeviceFailed, Lines, run
from igf_mobile.profile.progress import Progress, Tell

BUNDLE = "org.igf-mobile.demo"
SCHEME = "IGF"
TEST = "IGFTests/UnattendedTests/testVerifyAndMeasure"
PROJECT = Path("ios_demo/IGF.xcodeproj")
REPORT = "Documents/latency_report.json"

NEEDS = (
    "this needs a Mac with Xcode 16 or later (xcrun, xcodebuild) and an iPhone with iOS 17 in developer mode; "
    "a report that the app shared is read with `igf profile import`"
)
_CALL_S = 120.0
_CLOCKS_DIFFER = timedelta(minutes=1)
_REASONS = {
    "requires a development team": "signing needs a team: --team with your team's identifier",
    "No Account for Team": "Xcode is not signed in to that team: Xcode > Settings > Accounts",
    "Developer Mode disabled": "switch on Settings > Privacy & Security > Developer Mode on the device",
    "device is locked": "unlock the device",
    "has not been explicitly trusted": "trust the developer on the device: Settings > General > Device Management",
    "Unable to find a destination": "Xcode cannot reach the device: plug it in, unlock it and trust this Mac",
    "does not contain a scheme": "the project has no such scheme",
    "The device disconnected": "the device was unplugged",
}


@dataclass(frozen=True)
class IPhone:
    """A device that devicectl lists."""

    udid: str
    name: str
    model: str
    os_version: str
    reachable: bool
    developer_mode: bool


@dataclass(frozen=True)
class Session:
    """How to measure."""

    project: Path = PROJECT
    scheme: str = SCHEME
    team: str | None = None
    sustained_s: int = 0
    hang_s: float = 1800.0
    """Without a line for so long, it hangs; building counts."""
    poll_s: float = 2.0


def find_tools() -> None:
    """See that Xcode's tools are here.

    Raises:
        NotPossible: they are not; the text says what it takes.
    """
    missing = [tool for tool in ("xcrun", "xcodebuild") if not shutil.which(tool)]
    if missing:
        raise NotPossible(f"there is no {' and no '.join(missing)} here; {NEEDS}")


def devices() -> list[IPhone]:
    """The iPhones and iPads that this Mac knows.

    Raises:
        NotPossible: devicectl is not there: Xcode is older than 15.
        DeviceFailed: it failed, or what it wrote is not understood.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "devices.json"
        done = run(["xcrun", "devicectl", "list", "devices", "--json-output", str(path)], _CALL_S)
        if done.code and "unable to find utility" in done.output:
            raise NotPossible(f"this Xcode has no devicectl; {NEEDS}")
        if done.code:
            raise DeviceFailed(f"`xcrun devicectl list devices` failed: {_why(done.output.splitlines())}")
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))["result"]["devices"]
            return [_iphone(entry) for entry in listed if _is_phone(entry)]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DeviceFailed(f"the list of `xcrun devicectl` is not understood: {error!r}") from error


def choose(known: Sequence[IPhone], wanted: str | None) -> IPhone:
    """The device of that identifier or name, or the only one that can be reached.

    Raises:
        NotPossible: there is none, it cannot be used, or several can.
    """
    text = ", ".join(f"{d.udid} ({d.name}, {'reachable' if d.reachable else 'not reachable'})" for d in known)
    if wanted:
        known = [d for d in known if wanted in (d.udid, d.name)]
        if not known:
            raise NotPossible(f"no device {wanted!r}; Xcode knows: {text or 'none'}")
    usable = [d for d in known if d.reachable]
    if len(usable) > 1:
        raise NotPossible(f"several devices; choose one with --device: {text}")
    if not usable:
        raise NotPossible(
            f"no iPhone can be reached: plug it in, unlock it and trust this Mac; Xcode knows: {text or 'none'}"
        )
    if not usable[0].developer_mode:
        raise NotPossible(f"{usable[0].name}: {_REASONS['Developer Mode disabled']}")
    return usable[0]


def xcodebuild_command(session: Session, udid: str) -> list[str]:
    """The `xcodebuild test` that measures."""
    signing = [f"DEVELOPMENT_TEAM={session.team}"] if session.team else []
    return [
        "env",
        f"TEST_RUNNER_IGF_SUSTAINED={session.sustained_s}",  # xcodebuild hands it to the test without the prefix
        "xcodebuild",
        "test",
        "-project",
        str(session.project),
        "-scheme",
        session.scheme,
        "-configuration",
        "Release",
        "-destination",
        f"id={udid}",
        f"-only-testing:{TEST}",
        "-allowProvisioningUpdates",
        *signing,
    ]


def copy_command(udid: str, target: Path) -> list[str]:
    """The `devicectl` that fetches the report."""
    container = ["--domain-type", "appDataContainer", "--domain-identifier", BUNDLE]
    paths = ["--source", REPORT, "--destination", str(target)]
    return ["xcrun", "devicectl", "device", "copy", "from", "--device", udid, *container, *paths]


def measure(udid: str, session: Session, local: Path, tell: Tell) -> None:
    """Measure on a device; `local` holds the app's report in the end, and what there is of it on an error.

    Raises:
        DeviceFailed: building, signing, the test or copying failed.
        IgfError: there is no project of that name.
    """
    if not session.project.exists():
        raise IgfError(f"there is no {session.project}; name the app's project with --project")
    tell(Progress(f"building {session.scheme}"))
    started = f"{datetime.now(timezone.utc) - _CLOCKS_DIFFER:%Y-%m-%dT%H:%M:%SZ}"
    try:
        follow(xcodebuild_command(session, udid), session, tell)
    except DeviceFailed:
        _fetch(udid, local, started)
        raise
    if problem := _fetch(udid, local, started):
        raise DeviceFailed(f"the report cannot be copied from the device: {problem}")


def _fetch(udid: str, local: Path, started: str) -> str | None:
    """Copy the report; why there is none, when there is none. One of before `started` is an earlier measurement's."""
    done = run(copy_command(udid, local), _CALL_S)
    if done.code or not local.is_file():
        return _why(done.output.splitlines())
    try:
        created = load_report(local).created_at
    except DamagedFile:
        return None  # checked, and told, by who takes it
    if created < started:
        local.unlink()
        return f"the one that is there was written {created}, before this measurement"
    return None


def follow(
    command: Sequence[str], session: Session, tell: Tell, clock: Callable[[], float] = time.monotonic
) -> None:
    """Run the test to its end and pass its progress on.

    Raises:
        DeviceFailed: it failed, gave up or hangs.
    """
    heard, seen = clock(), []
    with Lines(command) as lines:
        while True:
            try:
                line = lines.next(session.poll_s)
            except EOFError:
                break
            if line is None:
                if clock() - heard > session.hang_s:
                    raise DeviceFailed(f"xcodebuild hangs: nothing from it for {session.hang_s:g} s")
                continue
            heard = clock()
            seen.append(line)
            if step := parse(line):
                tell(step)
        if lines.code():
            raise DeviceFailed(f"`xcodebuild test` failed: {_why(seen)}")


def parse(line: str) -> Progress | None:
    """A step of the test: `igf verify <file> ...`, `igf measure 3 of 16: <file> on gpu: loading` (2 are done)."""
    if found := re.search(r"\bigf measure (\d+) of (\d+): (.+)", line):
        return Progress(found[3], int(found[1]) - 1, int(found[2]))
    found = re.search(r"\bigf (verify .+)", line)
    return Progress(found[1]) if found else None


def _why(lines: Sequence[str]) -> str:
    """The known reason in a tool's output, or its last error line."""
    text = "\n".join(lines)
    for sign, reason in _REASONS.items():
        if sign in text:
            return reason
    errors = [line.strip() for line in lines if "error:" in line.lower()]
    return (errors or [line.strip() for line in lines if line.strip()] or ["it said nothing"])[-1]


def _is_phone(entry: Any) -> bool:
    hardware = entry["hardwareProperties"]
    return hardware.get("platform") in ("iOS", "iPadOS") and hardware.get("reality", "physical") == "physical"


def _iphone(entry: Any) -> IPhone:
    hardware, properties = entry["hardwareProperties"], entry["deviceProperties"]
    connection = entry["connectionProperties"]
    return IPhone(
        udid=hardware.get("udid") or entry["identifier"],
        name=properties.get("name", "iPhone"),
        model=hardware.get("productType", "unknown"),
        os_version=properties.get("osVersionNumber", "unknown"),
        # "disconnected" is a paired device at rest; its tunnel opens when it is needed.
        reachable=connection.get("pairingState") == "paired"
        and connection.get("tunnelState") != "unavailable",
        developer_mode=properties.get("developerModeStatus", "enabled") == "enabled",
    )
