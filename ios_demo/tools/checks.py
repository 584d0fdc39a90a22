"""The checks of `make ios-check`: each returns a few words, or raises `Failed` or `NotRun`."""

import array
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import project
from toolchain import BUILD, IOS_DEMO, REPOSITORY, WORK, Failed, NotRun, run, swift

CORE = IOS_DEMO / "IGFCore"
STUBS = IOS_DEMO / "Tests" / "Stubs"
STUB_ORDER = (
    "Metal",
    "CoreVideo",
    "QuartzCore",
    "CoreML",
    "AVFoundation",
    "Vision",
    "UIKit",
    "SwiftUI",
    "XCTest",
)
"""Each after what it imports; ExecuTorch is compiled apart, to check the app with it and without."""
APP = sorted((IOS_DEMO / "App").rglob("*.swift"))
APP_TESTS = sorted((IOS_DEMO / "AppTests").rglob("*.swift"))

KERNEL_TOLERANCE = 2e-6
"""Another order of float32 additions than torch's; 9.5e-7 was measured. Mutants: tests/ios/test_kernel.py."""


def check_toolchain() -> str:
    """Swift is there, or is set up."""
    version = swift("swift", "--version")
    found = re.search(r"Swift version [\w.]+", version)
    return found[0] if found else version.strip()


def check_project() -> str:
    """project.pbxproj parses, every reference leads somewhere, every file is there, nothing is signed."""
    if found := project.problems():
        raise Failed("\n".join(found))
    return "references, files, build step, scheme"


def check_info() -> str:
    """Info.plist parses and has the keys the app needs."""
    if found := project.info_problems():
        raise Failed("\n".join(found))
    return "camera, file sharing, open in place"


def check_build_step() -> str:
    """The build step refuses an empty build in words, and copies a real one."""
    script = IOS_DEMO / "tools" / "copy_build.sh"
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "exported"
        refused = subprocess.run([script, scratch, target], capture_output=True, text=True)
        if refused.returncode != 1 or "run 'make export'" not in refused.stderr or target.exists():
            raise Failed(f"an empty build is not refused: {refused.stderr.strip()}")
        if not (BUILD / "device_case" / "case.json").exists():
            raise NotRun(f"there is no {BUILD}/device_case; run `make export` (refusing was checked)")
        return run(script, BUILD, target).strip()


def check_kernel() -> str:
    """The Metal kernel's arithmetic, compiled as C++, gives the golden alpha."""
    compiler = next((found for name in ("c++", "g++", "clang++") if (found := shutil.which(name))), None)
    if compiler is None:
        raise NotRun("no C++ compiler on PATH")
    program = WORK / "kernel"
    run(
        compiler,
        "-std=c++17",
        "-O1",
        "-ffp-contract=off",
        "-Wall",
        "-Werror",
        "-o",
        program,
        IOS_DEMO / "Tests" / "kernel.cpp",
    )
    cases = [REPOSITORY / "shared_vectors" / "matte", BUILD / "device_case"]
    distances = [f"{case.name} {kernel_distance(program, case):.1e}" for case in cases if case.exists()]
    return f"largest distance: {', '.join(distances)}"


def kernel_distance(program: Path, case: Path) -> float:
    """Largest distance of the kernel's alpha from the golden one. Raises `Failed` beyond the tolerance."""
    shapes = json.loads((case / "case.json").read_text())["shapes"]
    small, large = (shapes[name][2:] for name in ("coefficients", "guidance"))
    done = subprocess.run(
        [program, case / "coefficients.f32", *map(str, small), case / "guidance.f32", *map(str, large)],
        stdout=subprocess.PIPE,
        check=True,
    )
    golden = array.array("f", (case / "alpha.f32").read_bytes())
    alpha = array.array("f", done.stdout)[: len(golden)]
    distance = max(abs(one - other) for one, other in zip(alpha, golden, strict=True))
    if not distance <= KERNEL_TOLERANCE:
        raise Failed(f"{case.name}: {distance:.3g} from the golden alpha, the limit is {KERNEL_TOLERANCE}")
    return distance


def check_core_build() -> str:
    """IGFCore and its tests compile, in Swift 6 mode, without a warning."""
    output = swift("swift", "build", "--build-tests", "--package-path", CORE)
    warnings = [line for line in output.splitlines() if "warning:" in line and str(CORE) in line]
    if warnings:
        raise Failed("\n".join(warnings))
    return "Swift 6 language mode"


def check_core_tests() -> str:
    """IGFCore's tests, the golden cases and (where there is one) the exported build among them."""
    variables = {"IGF_REPORT_FOLDER": str(WORK)}
    has_build = (BUILD / "device_case").exists() and BUILD.is_relative_to(REPOSITORY)
    if has_build:
        variables["IGF_BUILD"] = str(BUILD)
    output = swift("swift", "test", "--package-path", CORE, **variables)
    counts = re.findall(
        r"Executed (\d+) tests?,(?: with (\d+) tests? skipped and)? .*\(0 unexpected\)", output
    )
    if not counts or int(counts[-1][0]) == 0:
        raise Failed("no test was executed")
    skipped = "" if has_build else f", 1 not run: there is no {BUILD.name}/device_case (run `make export`)"
    return f"{counts[-1][0]} tests{skipped}"


def check_report() -> str:
    """The desktop takes the report that IGFCore's tests wrote: its schema, and what no true report says."""
    report = WORK / "latency_report.json"
    if not report.exists():
        raise NotRun("IGFCore's tests wrote no report")
    sys.path.append(str(REPOSITORY))
    try:
        from igf_mobile.device.checks import check_report as contradictions
        from igf_mobile.device.reader import load_report
    except ImportError as error:
        raise NotRun(
            f"this Python cannot import the desktop side ({error}); `make setup` makes one"
        ) from None
    try:
        found = contradictions(load_report(report))
    except Exception as error:
        raise Failed(f"{type(error).__name__}: {error}") from error
    if found:
        raise Failed("\n".join(found))
    return "a valid run and a failed one"


def check_parse() -> str:
    """Every file of the app and of its tests parses."""
    swift("swiftc", "-frontend", "-parse", *APP, *APP_TESTS)
    return f"{len(APP) + len(APP_TESTS)} files"


def compile_stubs(folder: Path) -> None:
    """IGFCore and the stubs as modules in `folder`, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    core = sorted((CORE / "Sources" / "IGFCore").glob("*.swift"))
    emit = ("swiftc", "-wmo", "-parse-as-library", "-emit-module", "-I", folder)
    swift(
        *emit,
        "-swift-version",
        "6",
        "-module-name",
        "IGFCore",
        "-emit-module-path",
        folder / "IGFCore.swiftmodule",
        *core,
    )
    for name in STUB_ORDER:
        swift(
            *emit,
            "-module-name",
            name,
            "-emit-module-path",
            folder / f"{name}.swiftmodule",
            STUBS / f"{name}.swift",
        )


def check_types() -> str:
    """The app and its tests against the stubs: with and without ExecuTorch, in Swift 5 and Swift 6 mode."""
    if platform.system() == "Darwin":
        raise NotRun("Apple's SDK is here; the Xcode build below checks against it")
    modules = WORK / "stubs"
    compile_stubs(modules)
    app = ("swiftc", "-wmo", "-parse-as-library", "-warnings-as-errors", "-I", modules, "-module-name", "IGF")
    swift(*app, "-swift-version", "5", "-typecheck", *APP)
    emit = ("swiftc", "-wmo", "-parse-as-library", "-emit-module", "-I", modules)
    swift(
        *emit,
        "-module-name",
        "ExecuTorch",
        "-emit-module-path",
        modules / "ExecuTorch.swiftmodule",
        STUBS / "ExecuTorch.swift",
    )
    swift(*app, "-swift-version", "6", "-typecheck", *APP)
    swift(
        *app,
        "-swift-version",
        "5",
        "-emit-module",
        "-enable-testing",
        "-emit-module-path",
        modules / "IGF.swiftmodule",
        *APP,
    )
    swift(
        "swiftc",
        "-wmo",
        "-parse-as-library",
        "-swift-version",
        "5",
        "-I",
        modules,
        "-module-name",
        "IGFTests",
        "-typecheck",
        *APP_TESTS,
    )
    return f"{len(APP) + len(APP_TESTS)} files agree with {len(STUB_ORDER) + 1} stubs (not with Apple's SDK)"


def check_format() -> str:
    """swift-format has nothing to say."""
    folders = [
        IOS_DEMO / "App",
        IOS_DEMO / "AppTests",
        CORE / "Sources",
        CORE / "Tests",
        CORE / "Package.swift",
        STUBS,
    ]
    configuration = IOS_DEMO / ".swift-format"
    swift("swift", "format", "lint", "--strict", "--recursive", "--configuration", configuration, *folders)
    return "strict"


def check_metal() -> str:
    """Apple's compiler takes Matte.metal."""
    if shutil.which("xcrun") is None:
        raise NotRun("the Metal compiler is in Xcode; its arithmetic was checked as C++ above")
    source = IOS_DEMO / "App" / "Metal" / "Matte.metal"
    run("xcrun", "-sdk", "iphoneos", "metal", "-c", source, "-o", WORK / "Matte.air")
    return "compiled"


def check_xcode() -> str:
    """Xcode builds the app and its tests for the simulator, against the real SDK."""
    if shutil.which("xcodebuild") is None:
        raise NotRun("there is no Xcode")
    if not (BUILD / "device_case").exists():
        raise NotRun(f"there is no {BUILD}/device_case; run `make export`")
    run(
        *(
            "xcodebuild",
            "-quiet",
            "-project",
            IOS_DEMO / "IGF.xcodeproj",
            "-scheme",
            "IGF",
            "build-for-testing",
        ),
        *("-destination", "generic/platform=iOS Simulator", "-derivedDataPath", WORK / "xcode"),
        *("CODE_SIGNING_ALLOWED=NO", f"IGF_BUILD={BUILD}"),
    )
    return "app and tests"
