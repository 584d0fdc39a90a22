"""Build and check the Android demo: `python android_demo/tools/build.py apk --build build`."""

import argparse
import json
import shutil
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
    """0 done, 1 a check or test failed, 2 bad input, 3 not possible on this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "what",
        choices=["apk", "assets", "test", "check"],
        help="apk; assets for Gradle; the core's tests; check: tests and apk",
    )
    parser.add_argument("--build", type=Path, default=Path("build"), help="a build folder of `igf export`")
    parser.add_argument("--work", type=Path, help="where the output goes (default: <build>/android)")
    arguments = parser.parse_args()
    work = arguments.work or arguments.build / "android"
    try:
        if arguments.what == "check":
            toolchain.require_drawing()
        if arguments.what in ("test", "check"):
            print(kotlin.run_core_tests(work, REPOSITORY / "shared_vectors").strip())
        if arguments.what == "test":
            return 0
        staged = stage_assets(arguments.build, work)
        return 0 if arguments.what == "assets" else make_apk(arguments.build, work, staged)
    except toolchain.TestsFailed as error:
        print(error, file=sys.stderr)
        return 1
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except toolchain.ToolError as error:
        print(error, file=sys.stderr)
        return 3


class BadInput(Exception):
    """The build folder holds nothing that the app can take."""


def make_apk(build: Path, work: Path, staged: Path) -> int:
    """Build the APK, print the table of checks; 1 when one failed."""
    product = apk.build(work, staged)
    rows = checks.check_apk(product, apk.expectation(build, BACKENDS))
    print(checks.table(rows))
    print(f"{product} ({product.stat().st_size / 1e6:.1f} MB)")
    return 1 if any(row.outcome == checks.FAILED for row in rows) else 0


def stage_assets(build: Path, work: Path) -> Path:
    """The folder of assets that the APK script and Gradle add to the app's own: build/ and device_case/."""
    manifest = build / "manifest.json"
    if not manifest.is_file():
        raise BadInput(f"there is no {manifest}; run `make export` first")
    records = json.loads(manifest.read_text(encoding="utf-8"))["artifacts"]
    artifacts = [build / record["file"] for record in records if record["backend"] in BACKENDS]
    missing = [file.name for file in artifacts if not file.is_file()]
    if missing or not artifacts:
        raise BadInput(f"{build} lacks {', '.join(missing) or 'artifacts'}; run `make export` first")
    case = build / "device_case"
    if not (case / "case.json").is_file():
        raise BadInput(f"there is no {case}; run `make export` first")

    def make(folder: Path) -> None:
        (folder / "build").mkdir(parents=True)
        for file in (manifest, *artifacts):
            shutil.copy(file, folder / "build")
        shutil.copytree(case, folder / "device_case")

    step(work / "assets", [manifest, *artifacts, case], "", make)
    return work / "assets"


if __name__ == "__main__":
    sys.exit(main())
