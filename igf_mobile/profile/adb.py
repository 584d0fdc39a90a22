"""adb: finding it, choosing a device, and its failures as one line each."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.errors import NotPossible
from igf_mobile.profile.command import DeviceFailed, Finished, Lines, run

_CALL_S = 60.0
_TRANSFER_S = 600.0

_STATES = {
    "unauthorized": "does not trust this computer: unlock it and allow USB debugging in the dialog it shows",
    "authorizing": "is still asking whether it trusts this computer: unlock it and allow USB debugging",
    "offline": "is offline: unplug it and plug it in again, or run `adb reconnect offline`",
    "no permissions": "may not be opened by this user: it needs a udev rule for its vendor",
    "recovery": "is in recovery mode: start Android",
    "sideload": "is in sideload mode: start Android",
    "bootloader": "is in its bootloader: start Android",
}

_INSTALL = {
    "INSTALL_FAILED_INSUFFICIENT_STORAGE": "the device's storage is full: free some space",
    "INSTALL_FAILED_VERSION_DOWNGRADE": "a newer version is installed: `adb uninstall {package}` first",
    "INSTALL_FAILED_UPDATE_INCOMPATIBLE": "the installed app has another signature: `adb uninstall {package}` first",
    "INSTALL_FAILED_OLDER_SDK": "the device's Android is older than the app supports",
    "INSTALL_FAILED_NO_MATCHING_ABIS": "the app has no native code for the device's processor",
    "INSTALL_FAILED_USER_RESTRICTED": "the device refused: allow installing over USB in its developer options",
    "INSTALL_FAILED_TEST_ONLY": "the app was built for tests only",
    "INSTALL_PARSE_FAILED_NO_CERTIFICATES": "the APK is not signed",
    "INSTALL_FAILED_INVALID_APK": "the APK is damaged",
}

_GONE = re.compile(
    r"device '.*' not found|device offline|no devices/emulators found|device unauthorized|error: closed"
)


@dataclass(frozen=True)
class Attached:
    """A device that adb sees."""

    serial: str
    state: str
    """"device" when it can be used."""
    model: str


class DeviceGone(DeviceFailed):
    """The cable was pulled, or the device went offline."""


def find_adb() -> str:
    """Path of adb: from PATH, then `ANDROID_HOME` and `ANDROID_SDK_ROOT`.

    Raises:
        NotPossible: there is none.
    """
    if found := shutil.which("adb"):
        return found
    for variable in ("ANDROID_HOME", "ANDROID_SDK_ROOT"):
        candidate = Path(os.environ.get(variable) or "/nonexistent") / "platform-tools" / "adb"
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return str(candidate)
    raise NotPossible(
        "adb is neither on PATH nor below ANDROID_HOME or ANDROID_SDK_ROOT; "
        "install Android's platform-tools (Debian: `apt-get install adb`)"
    )


def attached(adb: str) -> list[Attached]:
    """What `adb devices -l` lists.

    Raises:
        DeviceFailed: adb failed.
    """
    done = run([adb, "devices", "-l"], _CALL_S)
    if done.code:
        raise DeviceFailed(f"`adb devices` failed: {_said(done.output)}")
    devices = []
    for line in done.output.splitlines():
        match = re.match(r"(\S+)\s+(no permissions|\S+)(.*)", line)
        if match and not line.startswith(("*", "List of devices", "adb")):
            model = re.search(r"\bmodel:(\S+)", match[3])
            devices.append(Attached(match[1], match[2], model[1] if model else "unknown model"))
    return devices


def choose(devices: Sequence[Attached], serial: str | None) -> Attached:
    """The device to use: the one named, or the only one.

    Raises:
        NotPossible: there is none, it cannot be used, or several can.
    """
    known = ", ".join(f"{d.serial} ({d.model}, {d.state})" for d in devices)
    if serial:
        devices = [d for d in devices if d.serial == serial]
        if not devices:
            raise NotPossible(f"no device {serial!r}; adb sees: {known or 'none'}")
    if not devices:
        raise NotPossible(
            "adb sees no device: plug a phone in and enable USB debugging in its developer options"
        )
    usable = [d for d in devices if d.state == "device"]
    if len(usable) > 1:
        raise NotPossible(f"several devices; choose one with --serial: {known}")
    if not usable:
        first = devices[0]
        raise NotPossible(
            f"{first.serial} {_STATES.get(first.state, f'cannot be used: its state is {first.state!r}')}"
        )
    return usable[0]


class Adb:
    """adb for one device."""

    def __init__(self, path: str, serial: str) -> None:
        """`path`: of adb itself."""
        self._start = [path, "-s", serial]
        self.serial = serial

    def run(self, *arguments: str, timeout_s: float = _CALL_S) -> Finished:
        """One adb command; its exit code is the caller's business.

        Raises:
            DeviceGone: the device is not there any more.
            DeviceFailed: adb did not end in time.
        """
        done = run([*self._start, *arguments], timeout_s)
        if done.code and _GONE.search(done.output):
            raise DeviceGone(f"lost {self.serial}: {_said(done.output)}")
        return done

    def shell(self, *arguments: str) -> Finished:
        """A command on the device."""
        return self.run("shell", *arguments)

    def is_installed(self, package: str) -> bool:
        """Whether an app is on the device."""
        return self.shell("pm", "path", package).output.startswith("package:")

    def install(self, apk: Path, package: str) -> None:
        """Install an APK, keeping the app's data.

        Raises:
            DeviceFailed: it was refused; the text says why and what to do.
        """
        done = self.run("install", "-r", str(apk), timeout_s=_TRANSFER_S)
        if done.code == 0 and "Failure" not in done.output:
            return
        code = re.search(r"INSTALL_[A-Z_]+", done.output)
        known = _INSTALL.get(code[0]) if code else None
        why = known.format(package=package) if known else _said(done.output)
        raise DeviceFailed(f"{apk} cannot be installed: {why}" + (f" ({code[0]})" if code and known else ""))

    def push(self, source: Path, target: str) -> None:
        """Copy a file or folder to the device.

        Raises:
            DeviceFailed: the storage is full, or adb says something else.
        """
        done = self.run("push", str(source), target, timeout_s=_TRANSFER_S)
        if done.code:
            full = "No space left on device" in done.output
            why = "the device's storage is full: free some space" if full else _said(done.output)
            raise DeviceFailed(f"{source.name} cannot be copied to {target}: {why}")

    def pull(self, source: str, target: Path) -> bool:
        """Copy a file from the device; False when it is not there.

        Raises:
            DeviceFailed: it is there and cannot be copied.
        """
        done = self.run("pull", source, str(target), timeout_s=_TRANSFER_S)
        if done.code and "does not exist" not in done.output and "No such file" not in done.output:
            raise DeviceFailed(f"{source} cannot be copied from the device: {_said(done.output)}")
        return done.code == 0 and target.is_file()

    def logcat(self, since: str, tags: Sequence[str]) -> Lines:
        """The device's log from a time on (of its own clock), of some tags ("IGF:I")."""
        return Lines([*self._start, "logcat", "-v", "brief", "-T", since, "-s", *tags])


def _said(output: str) -> str:
    """adb's last line that tells an error, or its last line: the order of its two streams is not kept."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if re.search("error|fail|not found", line, re.IGNORECASE)]
    last = (errors or lines or ["it said nothing"])[-1]
    return last.removeprefix("adb: ").removeprefix("error: ")
