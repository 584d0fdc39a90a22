"""An adb that replays a scenario: `FAKE_ADB` names a folder with `scenario.json`; the device's files are below it.

Its answers are those of adb 35 and Android 14. `log` of the scenario is what the app does once it is started, an
action each: {"line"}: a line of logcat; {"report": file}: that report is there now; {"pulled": true}: wait until it was
pulled; {"die": true}: the process ends; {"gone": true}: the cable is pulled; {"end": true}: logcat ends. After the last
one it waits, as it does.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["FAKE_ADB"])
SCENARIO = json.loads((ROOT / "scenario.json").read_text())
SERIAL = SCENARIO.get("serial", "R58M12ABCDE")


def on_device(path: str) -> Path:
    return ROOT / "device" / path.lstrip("/")


def flag(name: str) -> Path:
    return ROOT / name


def fail(text: str, code: int = 1) -> int:
    print(text, file=sys.stderr)
    return code


def devices() -> int:
    print("* daemon not running; starting now at tcp:5037\n* daemon started successfully")
    print("List of devices attached")
    for line in SCENARIO.get(
        "devices", [f"{SERIAL}       device usb:1-1 product:shiba model:Pixel_8 transport_id:1"]
    ):
        print(line)
    print()
    return 0


def install(apk: str) -> int:
    print("Performing Streamed Install")
    if why := SCENARIO.get("install"):
        return fail(f"adb: failed to install {apk}: Failure [{why}]")
    flag("installed").touch()
    print("Success")
    return 0


def push(source: str, target: str) -> int:
    if Path(source).name == SCENARIO.get("full_at"):
        return fail(
            f"adb: error: failed to copy '{source}' to '{target}': remote couldn't create file: No space left on device"
        )
    on_device(target).parent.mkdir(parents=True, exist_ok=True)
    (shutil.copytree if Path(source).is_dir() else shutil.copy)(source, on_device(target))
    print(f"{source}: 1 file pushed, 0 skipped. 31.2 MB/s (262156 bytes in 0.008s)")
    return 0


def pull(source: str, target: str) -> int:
    if not on_device(source).exists():
        return fail(f"adb: error: failed to stat remote object '{source}': No such file or directory")
    shutil.copy(on_device(source), target)
    flag("pulled").touch()
    print(f"{source}: 1 file pulled, 0 skipped. 22.0 MB/s (24343 bytes in 0.001s)")
    return 0


def logcat() -> int:
    while not flag("started").exists():
        time.sleep(0.005)
    print("--------- beginning of main")
    for action in SCENARIO.get("log", []):
        if "line" in action:
            print(action["line"], flush=True)
        if "report" in action:
            target = on_device(SCENARIO["report_path"])
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(action["report"], target)
        if "die" in action:
            flag("dead").touch()
        if "gone" in action:
            flag("gone").touch()
            print("- waiting for device -", file=sys.stderr, flush=True)
        if "end" in action:
            return 0
        while "pulled" in action and not flag("pulled").exists():
            time.sleep(0.01)
    time.sleep(60)
    return 0


def shell(command: str) -> int:
    words = command.split()
    if words[:2] == ["pm", "path"]:
        if not (flag("installed").exists() or SCENARIO.get("installed", True)):
            return 1
        print(f"package:/data/app/~~x==/{words[2]}-y==/base.apk")
    elif words[0] == "date":
        print("11-22 22:00:00.000")
    elif words[0] == "rm":
        for path in words[2:]:
            shutil.rmtree(on_device(path), ignore_errors=True)
            on_device(path).unlink(missing_ok=True)
    elif words[0] == "mkdir":
        on_device(words[-1]).mkdir(parents=True, exist_ok=True)
    elif words[:2] == ["am", "start"]:
        component = words[words.index("-n") + 1]
        print(f"Stopping: {component.split('/')[0]}\nStarting: Intent {{ cmp={component} (has extras) }}")
        if SCENARIO.get("no_activity"):
            print(f"Error type 3\nError: Activity class {{{component}}} does not exist.")
            return 1
        print("Status: ok\nLaunchState: COLD\nTotalTime: 412\nWaitTime: 415\nComplete")
        flag("started").touch()
    elif words[0] == "pidof":
        if flag("dead").exists():
            return 1
        print("12345")
    elif words[:2] == ["cmd", "power"]:
        if not SCENARIO.get("fixed_performance", True):
            print("Failed to set FIXED_PERFORMANCE mode")
            return 255
    elif words[:2] == ["dumpsys", "activity"]:
        print(SCENARIO.get("exit_info", ""))
    return 0


def main(arguments: list[str]) -> int:
    with (ROOT / "calls.txt").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if arguments == ["devices", "-l"]:
        return devices()
    assert arguments[:2] == ["-s", SERIAL], arguments
    verb, *rest = arguments[2:]
    if flag("gone").exists():
        return fail(
            f"adb: device '{SERIAL}' not found" if verb == "shell" else f"error: device '{SERIAL}' not found"
        )
    if verb == "shell":
        return shell(" ".join(rest))
    if verb == "install":
        return install(rest[-1])
    if verb == "push":
        return push(*rest)
    if verb == "pull":
        return pull(*rest)
    if verb == "logcat":
        return logcat()
    if verb == "get-state":
        print("device")
        return 0
    return fail(f"adb: unknown command {verb}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
