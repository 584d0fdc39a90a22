"""Runs commands for the checks, Swift's among them, and knows where things are."""

import os
import subprocess
import sys
from pathlib import Path

IOS_DEMO = Path(__file__).resolve().parent.parent
REPOSITORY = IOS_DEMO.parent
BUILD = Path(os.environ.get("IGF_BUILD") or REPOSITORY / "build").resolve()
WORK = REPOSITORY / "build" / "ios-check"
"""Inside the repository, because the toolchain sees nothing else."""

SWIFT_ENV = IOS_DEMO / "tools" / "swift-env"


class NotRun(Exception):
    """This machine lacks what the check needs."""


class Failed(Exception):
    """The check found something; the text is for a person."""


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """Output of a command, standard error included. Raises `Failed` with its last lines."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
    )
    with (WORK / "log").open("a") as log:
        log.write(f"$ {' '.join(map(str, command))[:2000]}\n{done.stdout}\n")
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        wrong = [line for line in lines if "error:" in line] or lines[-15:]
        raise Failed("\n".join(wrong[:15]) or f"{command[0]} ended with {done.returncode}")
    return done.stdout


def swift(*command: str | Path, **variables: str) -> str:
    """As `run`, with the Swift toolchain; `variables` are set in its environment."""
    if reason := toolchain_problem():
        raise NotRun(reason)
    return run(SWIFT_ENV, "env", *(f"{name}={value}" for name, value in variables.items()), *command)


_toolchain: list[str | None] = []


def toolchain_problem() -> str | None:
    """Why there is no Swift here; sets Debian's up where it can, and shows what it says. Asked once."""
    if not _toolchain:
        command = [str(SWIFT_ENV), "swift", "--version"]
        last = ""
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as asked:
            for line in asked.stderr or ():
                last = line.strip() or last
                print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
        _toolchain.append(None if asked.returncode == 0 else last or "swift --version failed")
    return _toolchain[0]
