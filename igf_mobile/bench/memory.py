"""Peak memory of a side, in a process that does nothing else."""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


@dataclass(frozen=True)
class Memory:
    """Resident memory in bytes."""

    base_bytes: int
    """Before loading: the interpreter, the packages, the inputs."""
    peak_bytes: int
    """The most from loading to the last call."""


def peak_memory(load: Callable[[], Callable[[], object]], calls: int) -> Memory:
    """Load and call `calls` times, and say how high resident memory went."""
    base = _reset()
    call = load()
    for _ in range(calls):
        call()
    # Linux counts pages in batches, so a peak can lag behind what was resident by some.
    return Memory(base_bytes=base, peak_bytes=max(base, _peak()))


def _reset() -> int:
    """Forget the peak so far, where the system can; the resident memory now."""
    try:
        _CLEAR.write_text(_RESET_PEAK)
        return _status("VmRSS")
    except OSError:
        return _peak()


def _peak() -> int:
    if _STATUS.is_file():
        return _status("VmHWM")
    import resource

    # Linux would count the parent's memory here too; macOS gives bytes.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _status(field: str) -> int:
    found = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise OSError(f"{_STATUS} has no {field}")
    return int(found[1]) * 1024
