"""Build and check the Android demo: `python android_demo/tools/build.py apk --build build`."""

import argparse
import json
import sys
from pathlib import Path

import apk
import checks
import kotlin
import toolchain
from steps import step

REPOSITORY = toolchain.DEMO.parent
sys.path.insert(0, str(REPOSITORY))  # this checkout's package, whichever is installed

BACKENDS = ("litert", "executorch")
"""Whose artifacts the app runs."""


def main() -> int:
    """0 done, 1 a check failed, 2 bad input, 3 not possible on this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["apk", "test", "check"], help="apk; the core's tests; or both")
    parser.add_argument("--build", type=Path, default=Path("build"), help="a build folder of `igf export`")
    parser.add_argument("--work", type=Path, help="where the output goes (default: <build>/android)")
    arguments = parser.parse_args()
    work = arguments.work or arguments.build / "android"
    try:
        if arguments.what in ("test", "check"):
            print(kotlin.run_core_tests(work, REPOSITORY / "shared_vectors").strip())
        if arguments.what in ("apk", "check"):
            return make_apk(arguments.build, work)
    except toolchain.ToolError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


def make_apk(build: Path, work: Path) -> int:
    """Build the APK, print the table of checks; 1 when one failed."""
    path = build / "manifest.json"
    if not path.is_file():
        print(f"there is no {path}; run `make export` first", file=sys.stderr)
        return 2
    records = json.loads(path.read_text(encoding="utf-8"))["artifacts"]
    names = tuple(record["file"] for record in records if record["backend"] in BACKENDS)
    if not names:
        print(f"{path} has no artifact of {' or '.join(BACKENDS)}; run `make export` first", file=sys.stderr)
        return 2
    product = apk.build(work, apk.Inputs(build, device_case(build, work), names))
    rows = checks.check_apk(product, apk.expectation(build, BACKENDS))
    print(checks.table(rows))
    print(f"{product} ({product.stat().st_size / 1e6:.1f} MB)")
    return 1 if any(row.outcome == checks.FAILED for row in rows) else 0


def device_case(build: Path, work: Path) -> Path:
    """The golden case at the artifacts' size, with this build's limits; about a minute when it has to be made."""
    from igf_mobile import composites, device_case
    from igf_mobile.checkpoint import DEFAULT_CHECKPOINT

    def make(folder: Path) -> None:
        for file, reason in device_case.write_device_case(build, DEFAULT_CHECKPOINT, folder).items():
            print(f"no limit for {file}, the app will not pass it: {reason}", file=sys.stderr)

    code = REPOSITORY / "igf_mobile/device_case.py"
    step(work / "device_case", [build / "manifest.json", DEFAULT_CHECKPOINT, composites.FOLDERS["proof"], code], "", make)
    return work / "device_case"


if __name__ == "__main__":
    sys.exit(main())
