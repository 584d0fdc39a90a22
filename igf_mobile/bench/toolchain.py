"""What the toolchain itself costs: a whole export into an empty folder, its verification, other sizes, `igf --help`."""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from igf_mobile.bench.process import child_environment
from igf_mobile.errors import IgfError

_PROGRAM = "from igf_mobile.cli import main; main()"
_STARTS = 7
_SIZES = (256, 1024, 2048)
_OF_A_SIZE = ("--backend", "litert", "--backend", "executorch", "--scheme", "fp32")
_STEP = re.compile(r"^\s*(?P<at>[0-9.]+) s\s+[0-9]+(?:/[0-9]+)?\s+(?P<what>\S.*)$")
"""A line of progress: the time since the start, how many, the step that begins."""


@dataclass(frozen=True)
class Step:
    """A step of `igf export` or `igf verify`."""

    command: str
    what: str
    """`litert-w8a8: exporting`; `all` is the whole command."""
    seconds: float


Run = Callable[[Sequence[str]], tuple[int, str, float]]
"""Arguments of igf -> its exit code, what it said on standard error, wall time in s."""


def measure_toolchain(
    checkpoint: Path | None, tell: Callable[[str], None], run: Run | None = None
) -> list[Step]:
    """Export, verify, export the float artifacts of other sizes and start `igf`, each as a user does.

    Raises:
        IgfError: a command ended with something else than 0 or 1, a gate that failed.
    """
    start = run or igf
    chosen = ["--checkpoint", str(checkpoint)] if checkpoint else []
    found: list[Step] = []
    with tempfile.TemporaryDirectory() as scratch:

        def timed(command: str, *arguments: str) -> None:
            tell(f"igf {command}")
            name, *options = command.split()
            code, said, seconds = start([name, *options, *arguments, *chosen])
            if code not in (0, 1):
                raise IgfError(f"igf {command} ended with {code}: {(said.strip().splitlines() or ['?'])[-1]}")
            found.extend([*steps(command, said, seconds), Step(command, "all", seconds)])

        for command in ("export", "verify"):
            timed(command, "--build", str(Path(scratch) / "build"))
        for size in _SIZES:
            timed(f"export --size {size}", "--build", str(Path(scratch) / str(size)), *_OF_A_SIZE)
    tell("igf --help")
    found.append(Step("--help", "all", min(start(["--help"])[2] for _ in range(_STARTS))))
    return found


def steps(command: str, said: str, seconds: float) -> list[Step]:
    """The steps of a command's progress; the last one lasts until the end."""
    begun = [
        (float(line["at"]), line["what"].strip()) for line in map(_STEP.match, said.splitlines()) if line
    ]
    ends = [*(at for at, _ in begun), seconds][1:]
    return [Step(command, what, max(0.0, end - at)) for (at, what), end in zip(begun, ends, strict=True)]


def igf(arguments: Sequence[str]) -> tuple[int, str, float]:
    """Start this package's command line."""
    start = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**child_environment(1), "COLUMNS": "200"},
    )
    return result.returncode, result.stderr, time.perf_counter() - start
