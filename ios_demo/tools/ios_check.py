#!/usr/bin/env python3
"""`make ios-check`: everything about ios_demo that can be checked without a Mac, and on a Mac what Xcode adds.

Standard library only. One line a check: passed, failed, or "not run" with its reason; then a table. Exit code 0
when nothing failed, 1 when something did, 3 when nothing failed but no Swift toolchain could be had.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import checks
from toolchain import REPOSITORY, WORK, Failed, NotRun, toolchain_problem


@dataclass(frozen=True)
class Result:
    """How one check ended."""

    name: str
    state: str
    """passed, failed or not run."""
    detail: str
    seconds: float


CHECKS: list[tuple[str, Callable[[], str]]] = [
    ("Xcode project", checks.check_project),
    ("Info.plist", checks.check_info),
    ("build step", checks.check_build_step),
    ("Metal kernel's arithmetic", checks.check_kernel),
    ("Swift toolchain", checks.check_toolchain),
    ("IGFCore builds", checks.check_core_build),
    ("IGFCore tests", checks.check_core_tests),
    ("desktop takes the report", checks.check_report),
    ("app parses", checks.check_parse),
    ("app's types, by stubs", checks.check_types),
    ("swift-format", checks.check_format),
    ("Metal compiler", checks.check_metal),
    ("Xcode build", checks.check_xcode),
]


def perform(name: str, check: Callable[[], str]) -> Result:
    """Run one check and print its line."""
    start = time.monotonic()
    try:
        state, detail = "passed", check()
    except NotRun as reason:
        state, detail = "not run", str(reason)
    except Failed as found:
        state, detail = "failed", str(found)
    result = Result(name, state, detail, time.monotonic() - start)
    print(f"{name}: {state}: {detail}" if detail else f"{name}: {state}", flush=True)
    return result


def main() -> int:
    """All checks, a table, the exit code."""
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "log").write_text("")
    (WORK / "latency_report.json").unlink(missing_ok=True)
    results = [perform(name, check) for name, check in CHECKS]
    width = max(len(result.name) for result in results)
    print()
    for result in results:
        print(f"{result.name:<{width}}  {result.state:<8} {result.seconds:6.1f} s")
    print("On a device: not run: there is none. ios_demo/README.md says how.")
    counts = {
        state: sum(result.state == state for result in results) for state in ("passed", "failed", "not run")
    }
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['not run']} not run")
    if counts["failed"]:
        print(f"What the tools said is in {WORK.relative_to(REPOSITORY) / 'log'}")
        return 1
    return 3 if toolchain_problem() else 0


if __name__ == "__main__":
    sys.exit(main())
