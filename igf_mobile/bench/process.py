"""A side in a process of its own, seen from the outside."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import igf_mobile
from igf_mobile.bench.memory import Memory
from igf_mobile.bench.rounds import Loaded, SideFailed
from igf_mobile.bench.sides import Spec
from igf_mobile.device.report import DeviceParity
from igf_mobile.errors import NotPossible

_ROOT = Path(igf_mobile.__file__).parent.parent
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_KEPT_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 30)}
"""glibc gives freed memory back to the system, and each call takes it anew, a page fault for every 4 KB: OpenCV's
fast guided filter took 6.6 ms with 2,016 faults a call, 2.1 ms without (measured). All sides keep what they had."""


def child_environment(threads: int, site: Sequence[str] = ()) -> dict[str, str]:
    """Of a process that imports this very package, folders of `site` before it, with so many threads."""
    path = [*site, str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    counts = {name: str(threads) for name in _THREADS}
    return {**os.environ, **counts, "PYTHONPATH": os.pathsep.join(path)}


class Worker:
    """A `rounds.Side` that runs in a child process."""

    def __init__(self, spec: Spec, log: Path, site: Callable[[], Path] | None = None) -> None:
        """Nothing is started yet: imports of one side would disturb the loading of another.

        Args:
            spec: the side.
            log: where what it prints is appended.
            site: gives a folder of packages that come before the environment's own; raises NotPossible.
        """
        self.spec, self._log, self._site = spec, log, site
        self._process: subprocess.Popen[str] | None = None

    def _start(self) -> None:
        """Start the process and wait until it has imported what the side needs."""
        spec, log = self.spec, self._log
        try:
            site = [str(self._site())] if self._site else []
        except NotPossible as reason:
            raise SideFailed(str(reason), unavailable=True) from reason
        log.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "igf_mobile.bench.worker", str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**child_environment(spec.threads, site), **_KEPT_MEMORY},
        )
        self._ask(dataclasses.asdict(spec))

    def load(self) -> Loaded:
        """See `rounds.Side`."""
        self._start()
        return Loaded(**self._ask({"do": "load"}))

    def time(self, calls: int) -> list[float]:
        """See `rounds.Side`."""
        return list(self._ask({"do": "time", "calls": calls}))

    def sustain(self, seconds: float) -> dict[str, Any]:
        """Back to back for `seconds`: {"duration_s", "samples_ms"}."""
        return dict(self._ask({"do": "sustain", "seconds": seconds}))

    def frames(self, pixels: str, size: tuple[int, int], count: int) -> dict[str, tuple[float, ...]]:
        """Whole frames: stage -> samples; see `frame.time_frames`."""
        found = self._ask({"do": "frames", "pixels": pixels, "size": size, "count": count})
        return {stage: tuple(samples) for stage, samples in found.items()}

    def parity(self) -> DeviceParity | None:
        """See `golden.check`."""
        found = self._ask({"do": "parity"})
        return DeviceParity(**found) if found else None

    def peak(self, calls: int) -> Memory:
        """Peak memory; instead of `load`."""
        self._start()
        return Memory(**self._ask({"do": "peak", "calls": calls}))

    def close(self) -> None:
        """End the process."""
        if self._process is None:
            return
        for stream in (self._process.stdin, self._process.stdout):
            # A process that died left something unsent.
            with suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, request: dict[str, Any]) -> Any:
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SideFailed(f"its process ended with code {process.wait()}; see {self._log}", False)
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise SideFailed(answer["error"], answer["unavailable"])
        return answer
