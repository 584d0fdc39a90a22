"""`igf profile android`: install the app, push a build, let it measure by itself, fetch its report.

What the app and this module agree on is the constants below, the extras of `start` and the JSON lines of the app's log
(`Progress.kt`). The app writes its report again after each run, so that a crash or a pulled cable costs one run.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.errors import IgfError
from igf_mobile.manifest import FILE_NAME as MANIFEST
from igf_mobile.manifest import load_manifest
from igf_mobile.profile.adb import Adb, DeviceGone
from igf_mobile.profile.command import DeviceFailed
from igf_mobile.profile.progress import Done, Event, Failed, Progress, Tell

PACKAGE = "igf.mobile.demo"
ACTIVITY = f"{PACKAGE}/igf.app.MainActivity"
BACKENDS = ("litert", "executorch")
FOLDER = f"/sdcard/Android/data/{PACKAGE}/files"
BUILD = "build"
"""Folder of the pushed build, below `FOLDER`."""
REPORT = f"{FOLDER}/latency_report.json"
DEVICE_CASE = "device_case"
"""Folder of a build with the golden case at the artifacts' size."""
TAG = "IGF"

_TAGS = (f"{TAG}:V", "AndroidRuntime:E", "libc:F")
_LINE = re.compile(r"[VDIWEF]/(\S+?)\s*\(\s*\d+\): (.*)")
_FATAL_SIGNAL = re.compile(r"Fatal signal \d+ \((\w+)\).*, pid \d+ \((\S+)\)")


@dataclass(frozen=True)
class Session:
    """How to measure."""

    build: Path | None
    """Pushed to the device; None: the artifacts inside the app."""
    apk: Path | None
    """Installed first; None: the app that is there."""
    sustained_s: int = 0
    """Seconds of a sustained run per artifact; 0: none."""
    fixed_performance: bool = False
    hang_s: float = 900.0
    """Without a line of the app for so long, it hangs."""
    poll_s: float = 2.0
    """How often to see whether it is alive."""


def measure(adb: Adb, session: Session, local: Path, tell: Tell) -> None:
    """Measure on a device; `local` holds the app's report in the end, and what there is of it on an error.

    Raises:
        DeviceFailed: the app or the device failed; the text says how.
        DamagedFile: the build's manifest cannot be read.
        IgfError: there is no APK of that name.
    """
    prepare(adb, session, tell)
    with _fixed_performance(adb, session.fixed_performance, tell):
        since = adb.shell("date '+%m-%d %H:%M:%S.000'").output.strip()
        with adb.logcat(since, _TAGS) as log, _stopped_on_errors(adb):
            _start(adb, session)
            follow(adb, log.next, session, local, tell)
    if not adb.pull(REPORT, local):
        raise DeviceFailed(f"the app says it is done and wrote no {REPORT}")


def prepare(adb: Adb, session: Session, tell: Tell) -> None:
    """Install, push, remove the last report."""
    if session.apk:
        if not session.apk.is_file():
            raise IgfError(f"there is no {session.apk}; `make apk` writes the app")
        tell(Progress(f"installing {session.apk.name}"))
        adb.install(session.apk, PACKAGE)
    elif not adb.is_installed(PACKAGE):
        raise IgfError(f"{PACKAGE} is not on {adb.serial}; `make apk` builds it, --apk installs it")
    adb.shell("am", "force-stop", PACKAGE)
    adb.shell("rm", "-rf", REPORT, f"{FOLDER}/{BUILD}")
    if session.build:
        push_build(adb, session.build, tell)


def push_build(adb: Adb, build: Path, tell: Tell) -> None:
    """Copy the manifest, the artifacts that Android has a runtime for and the golden case."""
    names = [record.file for record in load_manifest(build).artifacts if record.backend in BACKENDS]
    names += [DEVICE_CASE] if (build / DEVICE_CASE).is_dir() else []
    adb.shell("mkdir", "-p", f"{FOLDER}/{BUILD}")
    for name in (MANIFEST, *names):
        tell(Progress(f"copying {name}"))
        adb.push(build / name, f"{FOLDER}/{BUILD}/{name}")


def follow(
    adb: Adb,
    next_line: Callable[[float], str | None],
    session: Session,
    local: Path,
    tell: Tell,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Read the log until the app is done; fetch the report whenever a run was finished.

    Raises:
        DeviceFailed: it crashed, hangs, said that it failed, or the device is gone.
    """
    heard = checked = clock()
    finished, crash, was_gone = 0, _Crash(), False
    while True:
        try:
            line = next_line(session.poll_s)
        except EOFError:
            adb.run("get-state")
            raise DeviceFailed("`adb logcat` ended before the app did") from None
        if match := _LINE.match(line or ""):
            crash.see(match[1], match[2])
            heard = clock() if match[1] == TAG else heard
            event = parse(match[2]) if match[1] == TAG else None
            if isinstance(event, Done):
                return
            if isinstance(event, Failed):
                raise DeviceFailed(f"the app gave up: {event.why}")
            if isinstance(event, Progress):
                tell(event)
                if event.done > finished:
                    finished = event.done
                    adb.pull(REPORT, local)
        if line is not None and clock() - checked < session.poll_s:
            continue
        checked = clock()
        if line is None:
            gone = not adb.shell("pidof", PACKAGE).output.strip()
            if gone and was_gone:  # twice: the log may be later than the end of the process
                raise DeviceFailed(f"the app crashed: {crash.why or _exit_reason(adb)}")
            was_gone = gone
        if clock() - heard > session.hang_s:
            raise DeviceFailed(f"the app hangs: no progress for {session.hang_s:g} s")


def parse(text: str) -> Event | None:
    """An event of the app's log; None for what is none, or says nothing to follow.

    `run` and `run_done` count from 1. Lines of other events show that the app is alive.
    """
    try:
        fields = json.loads(text)
        event = fields.get("event")
        if event == "finished":
            return Done()
        if event == "failed":
            return Failed(str(fields.get("error")))
        if event in ("run", "run_done"):
            done = fields["index"] - (event == "run")
            end = "" if event == "run" else ": done" if fields["error"] is None else f": {fields['error']}"
            return Progress(f"{fields['file']} on {fields['unit']}{end}", done, fields["of"])
        if event == "refused":
            return Progress(f"{fields['file']} on {fields['unit']}: {fields['reason']}")
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


class _Crash:
    """What the log says of the app's end."""

    def __init__(self) -> None:
        self.why, self._ours = "", False

    def see(self, tag: str, text: str) -> None:
        if tag == "AndroidRuntime" and text.startswith("Process: "):
            self._ours = text.startswith(f"Process: {PACKAGE},")
        elif tag == "AndroidRuntime" and self._ours and not self.why:
            self.why = text
        elif tag == "libc" and (match := _FATAL_SIGNAL.search(text)) and PACKAGE.endswith(match[2]):
            self.why = f"{match[1]} in native code"


def _exit_reason(adb: Adb) -> str:
    """What Android noted of the app's last end (API 30 and later)."""
    noted = adb.shell("dumpsys", "activity", "exit-info", PACKAGE).output
    match = re.search(r"\breason=\d+ \(([^)]+)\)", noted)
    return f"it is gone, and Android noted {match[1]}" if match else "it is gone, without a word in the log"


def _start(adb: Adb, session: Session) -> None:
    adb.shell("input", "keyevent", "KEYCODE_WAKEUP")
    adb.shell("wm", "dismiss-keyguard")
    extras = ["--es", "igf.run", "measure", "--ei", "igf.sustained_s", str(session.sustained_s)]
    if session.build:
        extras += ["--es", "igf.build", BUILD]
    done = adb.shell("am", "start", "-W", "-S", "-n", ACTIVITY, *extras)
    if done.code or "Error" in done.output:
        why = next((line for line in done.output.splitlines() if line.startswith("Error:")), "")
        raise DeviceFailed(f"{ACTIVITY} cannot be started{': ' if why else ''}{why.removeprefix('Error: ')}")


@contextmanager
def _stopped_on_errors(adb: Adb) -> Iterator[None]:
    """An app that nobody follows any more does not go on heating the phone."""
    try:
        yield
    except BaseException:
        with suppress(DeviceFailed):
            adb.shell("am", "force-stop", PACKAGE)
        raise


@contextmanager
def _fixed_performance(adb: Adb, wanted: bool, tell: Tell) -> Iterator[None]:
    """Clocks that do not change, where the device can; what it was before afterwards."""
    command = ("cmd", "power", "set-fixed-performance-mode-enabled")
    if wanted and (refused := adb.shell(*command, "true")).code:
        tell(Progress(f"no fixed performance mode: {refused.output.strip() or 'the device refuses'}"))
        wanted = False
    try:
        yield
    finally:
        if wanted:
            try:
                adb.shell(*command, "false")
            except DeviceGone:
                tell(
                    Progress(
                        "the fixed performance mode is still on; it ends with the next start of the device"
                    )
                )
