"""xcrun and xcodebuild that replay a scenario: `FAKE_XCODE` names a folder with `scenario.json`.

`devices`: what `devicectl list devices` writes; `test`: lines of `xcodebuild test`, an action each ({"line"},
{"report": file}: the app's container has that report now, {"hang": true}); `code`: its exit code.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

ROOT = Path(os.environ["FAKE_XCODE"])
SCENARIO = json.loads((ROOT / "scenario.json").read_text())
CONTAINER = ROOT / "container.json"


def xcrun(arguments: list[str]) -> int:
    if arguments[:3] == ["devicectl", "list", "devices"]:
        if why := SCENARIO.get("devicectl"):
            print(why, file=sys.stderr)
            return 72
        content = SCENARIO["devices"]
        text = (
            content if isinstance(content, str) else json.dumps({"info": {}, "result": {"devices": content}})
        )
        Path(arguments[arguments.index("--json-output") + 1]).write_text(text)
        print("Name   Hostname   Identifier   State   Model")
        return 0
    if arguments[:4] == ["devicectl", "device", "copy", "from"]:
        if not CONTAINER.exists():
            print("ERROR: The operation couldn't be completed. No such file or directory", file=sys.stderr)
            return 1
        shutil.copy(CONTAINER, arguments[arguments.index("--destination") + 1])
        return 0
    raise SystemExit(f"unexpected: xcrun {arguments}")


def xcodebuild() -> int:
    for action in SCENARIO.get("test", []):
        if "line" in action:
            print(action["line"], flush=True)
        if "report" in action:
            shutil.copy(action["report"], CONTAINER)
        if "hang" in action:
            time.sleep(60)
    return int(SCENARIO.get("code", 0))


def main(tool: str, arguments: list[str]) -> int:
    with (ROOT / "calls.txt").open("a") as calls:
        calls.write(json.dumps([tool, *arguments, os.environ.get("TEST_RUNNER_IGF_SUSTAINED")]) + "\n")
    return xcrun(arguments) if tool == "xcrun" else xcodebuild()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
